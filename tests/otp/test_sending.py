"""One-time codes by message: what is sent, what is good, what is told."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.clinic import LANGUAGES
from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.messages.gsm import fits
from idbroker.messages.message import Channel, Delivery
from idbroker.otp import codes
from idbroker.otp.one_time import Limited, Locked, Old, Right, Sent, Wrong
from tests.otp.house import CLIENT, HOST, MAIL, PHONE, ROOMY, SERVICE, House, at_once, open_house, spot, wrong

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HERE = spot()
BY_MAIL = spot(channel=Channel.EMAIL, to=MAIL)


def test_a_code_goes_out_and_is_right(shared: House) -> None:
    """What is sent says where, until when and by which message; the code in it is right, however it is spelt."""
    sent = shared.codes.send(HERE, shared.visit())

    letter = shared.box.letters[0]
    now = shared.clock.now()
    assert sent == Sent(channel=Channel.SMS, shown="05", at=now, until=now + 5 * MINUTE, message=letter.id)
    assert (letter.to, letter.kind, letter.person, letter.clinic) == (PHONE, "code", "p1", "kliniken")
    assert letter.ends_at == now + 5 * MINUTE
    assert shared.codes.delivery(letter.id) is Delivery.SENT
    code = shared.box.code()
    assert shared.check(HERE, f" {code[:3]} {code[3:]} ") == Right()


def test_what_works_is_the_posts_to_say(house: House) -> None:
    """A channel works when the post says so."""
    assert house.codes.works(Channel.SMS)
    assert not house.codes.works(Channel.EMAIL)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_message(house: House, language: str) -> None:
    """The last line is bound to our host, after an empty one; all is one segment (pages O4, 1.3; WICG, SMS codes)."""
    house.codes.send(HERE, house.visit(language=language, host=f"{HOST}:8443"))

    letter = house.box.letters[0]
    text, empty, last = letter.text.split("\n")
    assert (empty, letter.subject) == ("", "")
    assert re.fullmatch(rf"@{re.escape(HOST)} #\d{{6}}", last)
    assert SERVICE in text
    assert text.startswith(last[-6:])
    assert fits(letter.text)


@pytest.mark.parametrize(
    ("host", "shown"),
    [("localhost:8080", "localhost"), ("127.0.0.1:8080", "127.0.0.1"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]")],
)
def test_a_host_stands_without_its_port(house: House, host: str, shown: str) -> None:
    """The line names the host alone: with a port no phone knows it."""
    house.codes.send(HERE, house.visit(host=host))

    assert house.box.letters[0].text.splitlines()[-1] == f"@{shown} #{house.box.code()}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_e_mail(house: House, language: str) -> None:
    """The code comes first in the subject; the text is plain, without a link, and says until when (pages 1.3)."""
    sent = house.codes.send(BY_MAIL, house.visit(language=language))

    letter = house.box.letters[0]
    assert isinstance(sent, Sent)
    assert sent.shown == "a•••@e•••.com"
    assert letter.subject.startswith(house.box.code())
    assert SERVICE in letter.subject
    assert re.search(r"10[.:]05", letter.text)  # 09:05 UTC, by the clinic's clock
    assert "://" not in letter.text


def test_a_service_cannot_write_the_last_line(house: House) -> None:
    """A name with line breaks stays in its line: nothing but our own line is bound to a host."""
    portal = replace(CLIENT, name={"sv": "Portal\n\n@evil.example #000000"})

    house.codes.send(HERE, house.visit(client=portal))

    assert len(house.box.letters[0].text.splitlines()) == 3


def test_pressed_twice_is_sent_once(shared: House) -> None:
    """Two presses within seconds are one message, and both are told the same (pages O3, G15)."""
    first = shared.codes.send(HERE, shared.visit())
    shared.clock.move(SECOND)

    assert shared.codes.send(HERE, shared.visit()) == first
    assert len(shared.box.letters) == 1


def test_pressed_at_once_is_sent_once(shared: House) -> None:
    """Of twenty presses at the same moment one sends, and all are told of that message."""
    answers = at_once([lambda: shared.codes.send(HERE, shared.visit())] * 20)

    assert len(shared.box.letters) == 1
    assert {answer.message for answer in answers if isinstance(answer, Sent)} == {shared.box.letters[0].id}
    assert shared.check(HERE, shared.box.code()) == Right()


def test_the_two_newest_are_good(house: House) -> None:
    """Whoever asks for another often gets the first one then: both are good, and one use ends both (pages O2)."""
    first, second = house.send(HERE), house.send(HERE)

    assert house.check(HERE, first) == Right()
    assert house.check(HERE, second) == Wrong(left=4)


def test_the_third_newest_is_old(house: House) -> None:
    """A replaced code is told to be old, and counts as a try (pages O2)."""
    first, second, third = (house.send(HERE) for _ in range(3))

    assert house.check(HERE, first) == Old()
    assert house.check(HERE, wrong(first, second, third)) == Wrong(left=3)
    assert house.check(HERE, second) == Right()


def test_old_for_two_hours_then_wrong(house: House) -> None:
    """Right but too late is told for two hours; later it is wrong like any other (pages 1.3)."""
    code = house.send(HERE)

    house.clock.move(timedelta(hours=2))
    assert house.check(HERE, code) == Old()
    house.clock.move(SECOND)
    assert house.check(HERE, code) == Wrong(left=3)


def test_what_cannot_be_a_code_is_wrong(house: House) -> None:
    """Nothing, rubbish and too much are wrong, and counted; nothing breaks."""
    house.send(HERE)

    assert [house.check(HERE, text) for text in ("", "hej", "9" * 100_000)] == [Wrong(left=n) for n in (4, 3, 2)]


def test_never_sent_is_wrong(house: House) -> None:
    """A code where none was sent is wrong, and counted."""
    assert house.check(HERE, "123456") == Wrong(left=4)


def test_the_last_wrong_try_is_told_of_the_lock(house: House) -> None:
    """Each wrong try says what is left; the last says until when nothing counts (pages O5)."""
    code = house.send(HERE)

    answers = [house.check(HERE, wrong(code)) for _ in range(6)]

    locked = Locked(until=house.clock.now() + 15 * MINUTE)
    assert answers == [Wrong(left=4), Wrong(left=3), Wrong(left=2), Wrong(left=1), locked, locked]


def test_the_last_try_may_be_right(house: House) -> None:
    """Four wrong ones and a right one are a sign-in, and all tries are there again."""
    code = house.send(HERE)
    for _ in range(4):
        house.check(HERE, wrong(code))

    assert house.check(HERE, code) == Right()
    assert house.check(HERE, code) == Wrong(left=4)


def test_nothing_is_sent_while_nothing_would_count(house: House) -> None:
    """During a lock no message is paid for: the answer is when to come back."""
    code = house.send(HERE)
    for _ in range(5):
        house.check(HERE, wrong(code))
    house.clock.move(MINUTE)

    assert house.codes.send(HERE, house.visit()) == Limited(until=house.clock.now() + 14 * MINUTE)
    assert len(house.box.letters) == 1


def test_a_limit_is_told_with_its_moment(tmp_path: Path, clock: StoppedClock) -> None:
    """When too many were sent nothing is, and the slot is as it was: the codes that were sent are good."""
    with open_house(f"sqlite:///{tmp_path}/t.db", clock, replace(ROOMY, address_quarter=2)) as house:
        first, _ = house.send(HERE), house.send(HERE)
        until = clock.now() + 15 * MINUTE
        clock.move(10 * SECOND)

        assert house.codes.send(HERE, house.visit()) == Limited(until=until)
        assert house.check(HERE, first) == Right()
        clock.move(until - clock.now())
        assert isinstance(house.codes.send(HERE, house.visit()), Sent)


def test_a_post_that_breaks_leaves_nothing_behind(house: House) -> None:
    """When the message could not be kept the person is told, and pressing again at once sends."""
    house.box.broken = True
    with pytest.raises(StoreError):
        house.codes.send(HERE, house.visit())
    house.box.broken = False

    assert isinstance(house.codes.send(HERE, house.visit()), Sent)
    assert house.check(HERE, house.box.code()) == Right()


def test_a_resend_during_a_check_loses_nobody(shared: House) -> None:
    """A right code typed at the moment of a resend is right: the slot changed, the code did not."""
    for round_ in range(10):
        where = spot(transaction=f"race {round_}", person=f"p{round_}")
        code = shared.send(where)
        shared.clock.move(10 * SECOND)

        answers = at_once(
            [
                lambda where=where: shared.codes.send(where, shared.visit()),  # type: ignore[misc]
                lambda where=where, code=code: shared.check(where, code),  # type: ignore[misc]
            ]
        )
        assert Right() in answers


def test_the_same_digits_again_are_good(tmp_path: Path, clock: StoppedClock) -> None:
    """Should a new code be the same as an old one, it is good: the newer life counts."""
    with open_house(f"sqlite:///{tmp_path}/t.db", clock, draw=lambda: codes.draw(lambda _: 42)) as house:
        house.send(HERE)
        clock.move(10 * MINUTE)
        house.send(HERE)

        assert house.check(HERE, "000042") == Right()
