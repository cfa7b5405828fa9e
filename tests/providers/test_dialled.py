"""BankID asked by somebody's number, while they are on the telephone (RP API 6.0, /phone/auth)."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from idbroker.errors import Cancelled, ProviderError, Refused, Unreachable, Untrusted
from idbroker.identity import Identity, LoA
from idbroker.numbers import NationalNumber, parse
from idbroker.patients.telephone import Dialled
from idbroker.providers.bankid import BankID
from idbroker.sandbox.bankid_lies import STRANGER
from tests.providers.bankid_party import NOW, Party

pytest_plugins = ["tests.providers.bankid_fixtures"]

SAID = "Show Neuroregistret who you are\nApprove only if you are talking with Neuroregistret."


def number_of(party: Party, person: str = "bjorn") -> NationalNumber:
    """Return the number of one of the simulator's people."""
    return parse(party.people[person].number or "", "SE", now=NOW.date())


def dial(party: Party, bankid: BankID | None = None, **more: Any) -> tuple[BankID, bytes]:
    """Ask Björn."""
    made = bankid or party.provider(telephone=True)
    given = {"by_clinic": False, "now": party.clock.now(), **more}
    return made, made.dial(given.pop("number", number_of(party)), given.pop("said", SAID), **given)


def heard(party: Party, *lies: str) -> Identity | None:
    """Return what is heard of a call that Björn approves while BankID tells lies."""
    bankid, state = dial(party)
    party.faults.set("bankid", {"lies": list(lies)})
    party.act("approve")
    return bankid.heard(state, party.clock.now())


def body_of(party: Party, **more: Any) -> Any:
    """Return the body of the /phone/auth that is sent."""
    party.wire.say(500)
    with pytest.raises(Unreachable):
        dial(party, **more)
    assert party.wire.asked[-1][0] == "auth"
    return json.loads(party.wire.asked[-1][2])


def test_bankid_dials_where_the_operator_lets_it(party: Party) -> None:
    """BankID is one of those that ask by telephone, and says whether it may: not, unless the operator says so."""
    assert isinstance(party.provider(), Dialled)
    assert (party.provider().dials, party.provider(telephone=True).dials) == (False, True)


def test_hears_who_approved(party: Party) -> None:
    """Whoever approves is known by number and level, and what they signed is kept: all as at a sign-in."""
    identity = heard(party)

    assert identity is not None
    assert (identity.number, identity.loa) == (number_of(party), LoA.SUBSTANTIAL)
    assert base64.b64decode(identity.evidence["visible"]).decode().startswith("# Show Neuroregistret who you are")
    assert {"signature", "ocsp", "order", "non_visible"} <= identity.evidence.keys()


def test_is_silent_while_nobody_has_approved(party: Party) -> None:
    """An order that waits, or that somebody has open, is nobody yet."""
    bankid, state = dial(party)

    assert bankid.heard(state, party.clock.now()) is None
    party.act("userCallConfirm")
    assert bankid.heard(state, party.clock.now()) is None


def test_says_in_the_app_who_asks_and_who_called(party: Party) -> None:
    """The app shows our words, and asks the person whether it was they who called: the caller could be anybody."""
    dial(party, by_clinic=True)

    shown = party.bankid.phone.waiting()[0]

    assert shown.text.splitlines()[0] == "# Show Neuroregistret who you are"
    assert shown.text.endswith("Did somebody call you?")
    assert (shown.person, shown.code) == ("bjorn", None)


@pytest.mark.parametrize(("by_clinic", "word"), [(True, "RP"), (False, "user")])
def test_sends_what_the_api_takes(party: Party, by_clinic: bool, word: str) -> None:
    """A3.4: number of twelve digits, who called, the text and its format; no address of any browser's."""
    body = body_of(party, by_clinic=by_clinic)

    assert body.keys() == {
        "personalNumber",
        "callInitiator",
        "userVisibleData",
        "userVisibleDataFormat",
        "userNonVisibleData",
    }
    assert (body["personalNumber"], body["callInitiator"]) == (number_of(party).value, word)
    assert body["userVisibleDataFormat"] == "simpleMarkdownV1"


def test_demands_what_the_clinic_demands(party: Party) -> None:
    """A clinic's demands of BankID go along, by telephone too."""
    demands = {"pin_code": True, "certificate_policies": ("1.2.3.4.25",)}

    assert body_of(party, requirement=demands)["requirement"] == {
        "pinCode": True,
        "certificatePolicies": ["1.2.3.4.25"],
    }


def test_promises_no_document(party: Party) -> None:
    """Where the clinic demands that a document is read, nobody is asked by telephone: it cannot be read there."""
    with pytest.raises(Refused) as refused:
        dial(party, requirement={"mrtd": True})

    assert (refused.value.reason, party.bankid.phone.waiting()) == ("bankid_mrtd", ())


def test_a_name_stays_a_name(party: Party) -> None:
    """Nothing in a clinic's name makes a page of its own in the app: no markup, no line, no other direction."""
    dial(party, said="Show *Evil* # who\u202e you [are](x)\nApprove")

    shown = party.bankid.phone.waiting()[0].text
    assert shown.splitlines()[0] == "# Show Evil who you are (x)"
    assert not set("*[]<>|`~\u202e") & set(shown)


def test_long_words_are_cut(party: Party) -> None:
    """What is shown stays within what the API takes, whole letters only."""
    dial(party, said="Å" * 4000)

    assert party.bankid.phone.waiting()[0].text.startswith("# ÅÅÅ")


ENDS = [
    ("cancel", Cancelled, None),
    ("userDeclinedCall", Cancelled, None),
    ("expiredTransaction", Refused, "bankid_expired"),
    ("certificateErr", Refused, "bankid_cert"),
    ("cancelled", Refused, "bankid_superseded"),
    ("somethingNew", Refused, "bankid_failed"),
]


@pytest.mark.parametrize(("outcome", "kind", "reason"), ENDS)
def test_every_end_is_what_it_is(party: Party, outcome: str, kind: type[ProviderError], reason: str | None) -> None:
    """A8: who declines the call has cancelled, and every other failure keeps its reason."""
    bankid, state = dial(party)
    party.act(outcome)

    with pytest.raises(kind) as error:
        bankid.heard(state, party.clock.now())

    assert getattr(error.value, "reason", None) == reason


def test_two_orders_are_not_begun_for_one_person(party: Party) -> None:
    """A7: while somebody is at an order, another by their number is refused, and the first goes on."""
    bankid, state = dial(party)

    with pytest.raises(Refused) as refused:
        dial(party, bankid)

    assert refused.value.reason == "bankid_busy"
    party.act("approve")
    assert bankid.heard(state, party.clock.now()) is not None


def test_nobodys_number_is_answered_like_anybodys(party: Party) -> None:
    """A number that has no BankID waits and expires just as one whose owner does nothing: neither is told apart."""
    seen = []
    for number in (number_of(party), parse(STRANGER.number or "", "SE", now=NOW.date())):
        bankid, state = dial(party, number=number)
        waits = bankid.heard(state, party.clock.now())
        party.clock.move(timedelta(minutes=3, seconds=1))
        with pytest.raises(Refused) as refused:
            bankid.heard(state, party.clock.now())
        seen.append((waits, refused.value.reason, refused.value.detail))

    assert seen[0] == seen[1] == (None, "bankid_expired", "expiredTransaction")


def test_hangs_up(party: Party) -> None:
    """An order that is cancelled is in nobody's app any more; cancelling it again does nothing."""
    bankid, state = dial(party)

    bankid.hang_up(state)
    bankid.hang_up(state)

    assert party.bankid.phone.waiting() == ()


LIES = (
    "wrong_person",
    "no_user",
    "no_signature",
    "no_ocsp",
    "foreign_number",
    "wrong_visible",
    "wrong_nonvisible",
    "wrong_function",
    "foreign_leaf",
    "unsigned",
    "broken_digest",
    "wrapped",
    "other_root",
    "expired_leaf",
    "foreign_policy",
    "revoked",
    "wrong_nonce",
)


@pytest.mark.parametrize("lie", LIES)
def test_believes_no_more_than_at_a_sign_in(party: Party, lie: str) -> None:
    """A13: what was signed must be ours, this person's and good now, by telephone as at a sign-in."""
    with pytest.raises(Untrusted):
        heard(party, lie)


def test_somebody_else_is_somebody_else(party: Party) -> None:
    """Where another person's BankID signed it, and well, the identity is that person's: whoever dialled compares."""
    identity = heard(party, "foreign_leaf", "wrong_person")

    assert identity is not None
    assert identity.number is not None
    assert identity.number.value == STRANGER.number


def test_an_earlier_call_proves_nothing_now(party: Party) -> None:
    """What was signed at one call, of the same person and the same words, is refused as the answer to the next."""
    bankid, first = dial(party)
    party.act("approve")
    identity = bankid.heard(first, party.clock.now())
    assert identity is not None
    _, second = dial(party, bankid)
    replayed = {
        "orderRef": json.loads(second)["order"],
        "status": "complete",
        "completionData": {
            "user": {"personalNumber": number_of(party).value},
            "signature": identity.evidence["signature"],
            "ocspResponse": identity.evidence["ocsp"],
        },
    }
    party.wire.say(200, replayed)

    with pytest.raises(Untrusted, match="that was not shown"):
        bankid.heard(second, party.clock.now())


@pytest.mark.parametrize("answer", [{}, {"orderRef": 7}, {"orderRef": 'x"}'}, []])
def test_an_answer_without_an_order_is_no_order(party: Party, answer: object) -> None:
    """An answer that names no order, or what is no reference, is of a server that does not speak the API."""
    party.wire.say(200, answer)

    with pytest.raises(Unreachable):
        dial(party)


@pytest.mark.parametrize("country", ["DK", "FI"])
def test_only_swedish_numbers_are_asked(party: Party, country: str) -> None:
    """Nobody else's digits are sent, which may be somebody's in Sweden."""
    foreign = NationalNumber(country=country, kind="other", value="198706192393")

    with pytest.raises(Refused):
        dial(party, number=foreign)

    assert party.bankid.phone.waiting() == ()


def test_a_state_that_is_none_is_refused(party: Party) -> None:
    """The state of a sign-in is none of a call, nor is garbage."""
    bankid = party.provider(telephone=True)

    for state in (b"", b"{}", bankid.begin(party.asked()).state):
        with pytest.raises(Untrusted):
            bankid.heard(state, party.clock.now())
