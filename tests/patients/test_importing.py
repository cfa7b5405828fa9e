"""What taking a list in does, on both stores."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from idbroker.accounts.account import Contact, Enrolment, Entry, Standing
from idbroker.errors import StoreError
from idbroker.messages.message import Channel
from idbroker.patients.importing import AT_ONCE, Imported, Importing, Overtaken
from idbroker.patients.listing import NotAList
from idbroker.webhooks import TRIED_FOR, Webhook, WebhookRow
from tests.patients.list_house import CLINIC, HEAD, OPERATOR, ListHouse, line_of, make_list, number_of


def enrolled(lists: ListHouse, index: int, **changes: object) -> Enrolment:
    """Keep an enrolment."""
    made = Enrolment(person=lists.person(index), clinic="clinea", standing=Standing.APPROVED, asked_at=lists.now)
    kept = lists.records.enrolments.change(made.person, "clinea", lambda _: dataclasses.replace(made, **changes))  # type: ignore[arg-type]
    assert kept is not None
    return kept


def test_a_list_is_taken_in(lists: ListHouse) -> None:
    """Each patient is in the list, found by number and by name, and one event of each says who entered them."""
    assert lists.take(make_list(3)) == Imported(new=3)

    one = lists.enrolment(1)
    assert one is not None
    assert (one.standing, one.by, one.language) == (Standing.APPROVED, "operator", "da")
    assert one.told == {Channel.EMAIL: "p1@example.org", Channel.SMS: "+4520123456"}
    assert one.entry is not None
    assert (one.entry.name, one.entry.checked, one.entry.by) == ("Prøve1 Person1", "list", "operator")
    assert one.entry.birthdate == lists.number(1).birthdate
    assert lists.records.enrolments.by_handle("clinea", one.handle) == one
    assert lists.records.enrolments.named("clinea", "person1", one.entry.birthdate or date.min) == (one,)
    events = lists.durable.events.since(lists.now, kind="patient.entered")
    assert {event.person for event in events} == {lists.person(index) for index in range(3)}
    assert events[0].detail == {"by": "operator", "role": "administrator", "from": "list"}
    assert {event.clinic for event in events} == {"clinea"}


def test_many_batches(lists: ListHouse) -> None:
    """However long a list is, all of it is taken in, and what has been read is told on the way."""
    octets, told = make_list(2 * AT_ONCE + 1), list[int]()

    assert lists.take(octets, progress=told.append) == Imported(new=2 * AT_ONCE + 1)

    assert lists.counts() == dict.fromkeys(("person", "person_key", "enrolment", "event"), 1001) | {"finding": 2002}
    assert told == sorted(told)
    assert told[-1] == len(octets)


def test_again_changes_nothing(lists: ListHouse) -> None:
    """The same list again leaves everything as it was: no row is written, and no event."""
    lists.take(make_list(3))
    before = lists.counts()

    assert lists.take(make_list(3)) == Imported(unchanged=3)

    assert lists.counts() == before


def test_brought_up_to_date(lists: ListHouse) -> None:
    """Who is in the list gets what it says now; an empty field says nothing; they are found by the new name alone."""
    lists.take(make_list(1))
    born = lists.number(0).birthdate or date.min
    changed = f"{number_of(0)},Prøve0,Person0 Nielsen,,"

    assert lists.take(make_list(0, changed)) == Imported(changed=1)

    one = lists.enrolment(0)
    assert one is not None
    assert one.entry is not None
    assert one.entry.family_name == "Person0 Nielsen"
    assert one.told[Channel.EMAIL] == "p0@example.org"
    assert lists.records.enrolments.named("clinea", "Prøve", born) == ()
    assert lists.records.enrolments.named("clinea", "Nielsen", born) == (one,)
    assert [event.kind for event in lists.durable.events.since(lists.now)] == ["patient.entered", "patient.changed"]


def test_dry_run(lists: ListHouse) -> None:
    """A dry run says what would happen, and writes nothing."""
    lists.take(make_list(1))
    before = lists.counts()
    again = make_list(3).replace(b"p0@", b"q0@")

    assert lists.take(again, dry=True) == Imported(new=2, changed=1)

    assert lists.counts() == before


def test_a_person_is_known_already(lists: ListHouse) -> None:
    """Who has come before, by whatever way, is the same person here; their own account is left alone."""
    verified = Contact(channel=Channel.EMAIL, address="own@example.org", verified_at=lists.now)
    account = lists.account(0, given_name="Somebody", family_name="Else", password="a hash", contacts=(verified,))

    assert lists.take(make_list(2)) == Imported(new=2)

    assert lists.records.accounts.of(account.person) == account
    one = lists.enrolment(0)
    assert one is not None
    assert one.person == account.person


@pytest.mark.parametrize("standing", [Standing.ASKED, Standing.DECLINED])
def test_no_question_is_answered(lists: ListHouse, standing: Standing) -> None:
    """Who has asked, or was declined, stays so: a list is no answer, and approves no guardian either."""
    enrolled(lists, 0, standing=standing, guardian="somebody")

    assert lists.take(make_list(1)) == Imported(changed=1)

    one = lists.enrolment(0)
    assert one is not None
    assert (one.standing, one.guardian, one.decided_at) == (standing, "somebody", None)
    assert one.entry is not None


def test_known_and_then_approved(lists: ListHouse) -> None:
    """Whom a list only made known is approved by the next one, and never the other way round."""
    assert lists.take(make_list(1), standing=Standing.KNOWN) == Imported(new=1)
    one = lists.enrolment(0)
    assert one is not None
    assert (one.standing, one.decided_at) == (Standing.KNOWN, None)

    assert lists.take(make_list(1)) == Imported(changed=1)
    assert lists.take(make_list(1), standing=Standing.KNOWN) == Imported(unchanged=1)

    one = lists.enrolment(0)
    assert one is not None
    assert one.standing is Standing.APPROVED


def test_what_staff_have_seen_stays(lists: ListHouse) -> None:
    """That staff saw a passport, and what they know besides: what a list does not speak of is kept."""
    passport = Entry(checked="passport", exempt="illness", takes_part=False, entered_at=lists.now, by="a")
    enrolled(lists, 0, entry=passport)

    lists.take(make_list(1))

    one = lists.enrolment(0)
    assert one is not None
    assert one.entry is not None
    assert (one.entry.checked, one.entry.exempt, one.entry.takes_part) == ("passport", "illness", False)


def test_every_column(lists: ListHouse) -> None:
    """The columns come in any order and spelling, after a byte order mark, with semicolons, quotes and CR LF."""
    head = 'Takes_Part;NUMBER; "checked" ;exempt;language;birthdate;family_name'
    line = f'no;"{number_of(0)}";passport;Abroad;fi;1940-01-01;"Da; ""O\'Neil"""'

    assert lists.take(b"\xef\xbb\xbf" + f"{head}\r\n{line}\r\n;;;;;;\r\n\r\n".encode()) == Imported(new=1)

    one = lists.enrolment(0)
    assert one is not None
    assert one.entry is not None
    assert (one.entry.takes_part, one.entry.checked, one.entry.exempt) == (False, "passport", "abroad")
    assert (one.language, one.entry.birthdate) == ("fi", date(1940, 1, 1))
    assert one.entry.family_name == 'Da; "O\'Neil"'


def test_another_clinics_patient(lists: ListHouse) -> None:
    """What another clinic calls a person is not compared: a list must not tell who is patient elsewhere."""
    elsewhere = Enrolment(
        person=lists.person(0),
        clinic="other",
        standing=Standing.APPROVED,
        asked_at=lists.now,
        entry=Entry(given_name="Whoever", entered_at=lists.now, by="operator"),
    )
    lists.records.enrolments.change(elsewhere.person, "other", lambda _: elsewhere)

    assert lists.take(make_list(1)) == Imported(new=1)


def test_overtaken_and_tried_again(lists: ListHouse) -> None:
    """Who signs in for the first time between the reading and the writing is met, and not there twice."""
    lists.take(make_list(1))
    meets: list[Callable[[], object]] = [
        lambda: lists.person(1),
        lambda: lists.take(make_list(0, line_of(0).replace("p0@", "q0@"))),
    ]

    def in_between(_: int) -> None:
        if meets:
            meets.pop()()

    assert lists.take(make_list(3).replace(b"+45 20", b"+45 21"), progress=in_between) == Imported(new=2, changed=1)

    assert lists.counts()["person"] == 3
    one = lists.enrolment(0)
    assert one is not None
    assert one.told[Channel.SMS] == "+4521123456"


def test_overtaken_for_ever(lists: ListHouse) -> None:
    """Where others keep changing the same, nothing is written and it is said."""
    lists.take(make_list(1))
    addresses = iter(range(99))

    def in_between(_: int) -> None:
        lists.take(make_list(0, line_of(0).replace("p0@", f"r{next(addresses)}@")))

    with pytest.raises(StoreError, match="again and again"):
        lists.take(make_list(2).replace(b"+45 20", b"+45 21"), progress=in_between)

    assert lists.counts()["enrolment"] == 1


def test_a_file_that_changes(lists: ListHouse) -> None:
    """A file that is not the same when it must be read again is refused: nobody has seen what it says now."""
    file = io.BytesIO(make_list(2))

    def in_between(_: int) -> None:
        lists.person(1)
        file.seek(0)
        file.write(make_list(2).replace(b"p0@", b"q0@"))

    with pytest.raises(NotAList, match="changed"):
        Importing(records=lists.records, many=lists.durable.many_patients).run(
            file, CLINIC, OPERATOR, lists.now, progress=in_between
        )

    assert lists.counts()["enrolment"] == 0


def test_nothing_is_left_behind(lists: ListHouse) -> None:
    """A basket that broke leaves nothing: the same connection lends an empty one."""

    def broken(_: int) -> None:
        raise Overtaken

    with pytest.raises(StoreError):
        lists.take(make_list(2), progress=broken)

    assert lists.take(make_list(2)) == Imported(new=2)


def test_an_empty_list(lists: ListHouse) -> None:
    """A list of nobody is taken in, and nothing happens."""
    assert lists.take(f"{HEAD}\n".encode()) == Imported()
    assert lists.counts()["event"] == 0


def test_nothing_of_an_account_made_elsewhere(lists: ListHouse) -> None:
    """The attack: a clinic that knows a number alone enters it, and reads the name and why there is no eID."""
    lists.account(0, given_name="Secret", family_name="Name", exempt="illness")

    assert lists.take(f"number,family_name\n{number_of(0)},X\n".encode()) == Imported(new=1)
    assert lists.take(f"number,family_name,language\n{number_of(0)},X,sv\n".encode()) == Imported(changed=1)

    one = lists.enrolment(0)
    assert one is not None
    assert one.entry is not None
    assert (one.entry.given_name, one.entry.family_name, one.entry.exempt) == (None, "X", None)


def test_who_listens_is_told(lists: ListHouse) -> None:
    """Each who is new and may use the clinic is news to each client that listens, until a day has passed; once."""
    for client in ("journal", "other"):
        webhook = Webhook(client_id=client, url="https://system.example.org/", kinds=("enrolled",), since=lists.now)
        lists.durable.webhooks.save(WebhookRow(webhook=webhook, sealed=b"\0\1sealed"))
    importing = Importing(
        records=lists.records, many=lists.durable.many_patients, listeners=lambda clinic: ("journal", "gone")
    )

    def take(octets: bytes, **options: Any) -> Imported:
        return importing.run(io.BytesIO(octets), CLINIC, OPERATOR, lists.now, **options)

    assert take(make_list(2), dry=True) == Imported(new=2)
    assert take(make_list(2)) == Imported(new=2)
    assert take(make_list(2)) == Imported(unchanged=2)
    assert take(f"{HEAD}\n{line_of(2)}\n".encode(), standing=Standing.KNOWN) == Imported(new=1)

    outbox = lists.durable.webhook_notices
    told = outbox.due(lists.now, timedelta(minutes=1), 10, each=10)
    assert outbox.count() == len({one.id for one in told}) == 2
    assert {one.patient for one in told} == {one.handle for one in map(lists.enrolment, range(2)) if one}
    assert {(one.client_id, one.kind, one.at, one.tries) for one in told} == {("journal", "enrolled", lists.now, 1)}
    assert {one.ends_at for one in told} == {lists.now + TRIED_FOR}
