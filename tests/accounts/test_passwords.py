"""Passwords: which may be chosen, how they are kept, and that hashing stands back for everybody else."""

from __future__ import annotations

import os
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from idbroker.accounts.passwords import (
    LONGEST,
    Busy,
    Hasher,
    Settings,
    Unfit,
    least,
    mistakes,
    weakness,
)
from idbroker.clinic import PasswordRules
from idbroker.errors import StoreError
from tests.accounts.desk_house import CHEAP, PATIENCE

RULES = PasswordRules()
GOOD = "tre blå cykler"


@pytest.fixture
def hasher() -> Iterator[Hasher]:
    """Give a cheap hasher."""
    hasher = Hasher(CHEAP)
    yield hasher
    hasher.close()


# ---- how they are kept ---------------------------------------------------------------------------


def test_a_password_is_kept_as_argon2id(hasher: Hasher) -> None:
    """SP 800-63B-4, 3.1.1.2: salted with at least 32 bits and hashed by a function made for passwords."""
    kept, other = hasher.hash(GOOD), hasher.hash(GOOD)

    assert kept.startswith("$argon2id$v=19$m=1024,t=1,p=1$")
    assert kept != other
    assert hasher.verify(kept, GOOD)
    assert hasher.verify(other, GOOD)


def test_the_chosen_cost_is_above_what_owasp_asks() -> None:
    """OWASP: argon2id with at least 19 MiB and two passes; the default is three times the memory."""
    settings = Settings()

    assert not mistakes(settings)
    assert settings.memory_kib >= 3 * 19456
    assert settings.passes >= 2


@pytest.mark.parametrize(
    "wrong", ["", "tre blå cykle", "tre blå cykler ", " tre blå cykler", "Tre blå cykler", "tre blå cykler\0", "tre"]
)
def test_another_password_is_wrong(hasher: Hasher, wrong: str) -> None:
    """ASVS 6.2.8: verified exactly as it was received; nothing is trimmed, cut or put in small letters."""
    assert not hasher.verify(hasher.hash(GOOD), wrong)


def test_every_character_counts_up_to_the_longest(hasher: Hasher) -> None:
    """O12: 128 characters are taken and none is cut (bcrypt would stop at 72 bytes); ASVS 6.2.9."""
    longest = "å" * (LONGEST - 1)
    kept = hasher.hash(longest + "a")

    assert hasher.verify(kept, longest + "a")
    assert not hasher.verify(kept, longest + "b")


def test_a_letter_is_the_same_however_it_is_composed(hasher: Hasher) -> None:
    """O12; SP 800-63B-4, 3.1.1.2: NFC before hashing, so that another keyboard spells the same password."""
    composed, apart = (unicodedata.normalize(form, "løsenørd på å") for form in ("NFC", "NFD"))

    assert composed != apart
    assert hasher.verify(hasher.hash(apart), composed)
    assert hasher.verify(hasher.hash(composed), apart)


@pytest.mark.parametrize("unfit", ["a" * 129, "🦌" * 128 + "a", "a\0b", "tab\there", "line\nbreak", "\ud800 half"])
def test_what_can_be_no_password_is_refused(hasher: Hasher, unfit: str) -> None:
    """O12: too long, NUL, controls, half a letter: refused when chosen, and never right."""
    with pytest.raises(Unfit):
        hasher.hash(unfit)

    assert not hasher.verify(hasher.hash(GOOD), unfit)
    assert unfit not in str(Unfit("too long"))


def test_a_megabyte_costs_nothing(hasher: Hasher) -> None:
    """O12: what is too long is refused before anything is done with it, ten thousand times in a second or two."""
    huge, began = "å" * 1_000_000, time.process_time()
    for _ in range(10_000):
        assert not hasher.verify(None, huge)

    assert time.process_time() - began < 5


def test_nobody_has_no_password(hasher: Hasher) -> None:
    """Without a hash every password is wrong."""
    assert not hasher.verify(None, GOOD)
    assert not hasher.verify(None, "")


def test_older_parameters_are_noticed(hasher: Hasher) -> None:
    """O12: a hash of other parameters still verifies, and is to be made anew."""
    older = PasswordHasher(time_cost=2, memory_cost=512, parallelism=1).hash(GOOD)

    assert hasher.verify(older, GOOD)
    assert hasher.needs_rehash(older)
    assert not hasher.needs_rehash(hasher.hash(GOOD))


def test_a_broken_hash_is_said(hasher: Hasher) -> None:
    """What does not read is the store's fault, not a wrong password."""
    with pytest.raises(StoreError):
        hasher.verify("not a hash", GOOD)
    with pytest.raises(StoreError):
        hasher.needs_rehash("not a hash")


# ---- how many at once ----------------------------------------------------------------------------


def in_threads(count: int, call: Callable[[], object]) -> list[object]:
    """Return what each of several threads got, or the error it met."""
    got: list[object] = []

    def one() -> None:
        try:
            got.append(call())
        except Busy as error:
            got.append(error)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return got


def test_a_crowd_is_told_to_come_back() -> None:
    """One hash at a time, two may wait: of twenty at once the others are told Busy, and memory is bounded."""
    hasher = Hasher(Settings(memory_kib=16384, passes=4, waiting=2))
    kept = hasher.hash(GOOD)

    got = in_threads(20, lambda: hasher.verify(kept, GOOD))
    hasher.close()

    assert len(got) == 20
    assert got.count(True) >= 3
    assert all(answer is True or isinstance(answer, Busy) for answer in got)
    assert any(isinstance(answer, Busy) for answer in got)


def test_nobody_waits_longer_than_patience() -> None:
    """Who has waited too long is told Busy, and makes room for others."""
    hasher = Hasher(Settings(memory_kib=262144, passes=4, waiting=10, patience=timedelta(milliseconds=50)))

    got = in_threads(8, lambda: hasher.verify(None, GOOD))

    assert len(got) == 8
    assert any(isinstance(answer, Busy) for answer in got)
    assert not hasher.full
    hasher.close()


def test_a_closed_hasher_is_busy(hasher: Hasher) -> None:
    """Who comes as the process goes down is told Busy."""
    hasher.close()

    with pytest.raises(Busy):
        hasher.hash(GOOD)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a priority is the whole process's")
def test_hashing_stands_back() -> None:
    """The hashing threads have a lower priority than those that serve eID sign-ins."""
    hasher = Hasher(CHEAP)
    nice = hasher._in_turn(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
    hasher.close()

    assert nice >= os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) + 10


def test_a_forked_worker_hashes_too(hasher: Hasher) -> None:
    """A child that was forked after the parent had hashed has threads of its own."""
    kept = hasher.hash(GOOD)
    child = os.fork()
    if child == 0:
        os._exit(0 if hasher.verify(kept, GOOD) and not hasher.verify(kept, "another one") else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# ---- which may be chosen -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    ["korrekt hest batteri", "sten papir saks", "pöytä hevonen sininen", "tre blå cykler", "kaffe lampe vindue",
     "qX7!fk2Lp0zz", "90210 48213 77123", "🦌🌲 rensdyr på isen", " mellemrum omkring "],
)  # fmt: skip
def test_three_random_words_pass(password: str) -> None:
    """SP 800-63B-4, 3.1.1.1; ASVS 6.2.5: any characters, spaces too, and no rule of how they are mixed."""
    assert weakness(password, RULES) is None


@pytest.mark.parametrize(
    "password",
    ["lösenord1234", "losenord12345", "Sommer2024!!", "kesä20252025", "adgangskode1!", "hemligt12345", "sundhed2024!",
     "Klinik123456", "lösenordlösenord", "L0senord2024!", "Brøndby1964!!", "brondby-2024-", "Tampere.2025..",
     "Sommervinter2024", "Salasana!Salasana", "perkele666666", "Göteborg2026!",
     "jääkiekko2025", "Joulukuu2025!", "mormor1945mormor", "password1234", "qwertyuiop12", "aaaaaaaaaaaa"],
)  # fmt: skip
def test_what_many_choose_is_refused(password: str) -> None:
    """ASVS 6.2.4; SP 800-63B-4, 3.1.1.2: a list of what is common, of the Nordic languages too."""
    assert weakness(password, RULES) == "f.e.common"


@pytest.mark.parametrize(
    "password", ["annaberg1990!", "Anna-Berg-1990", "740385-0101!", "anna.b.anna.b1", "Lundklinik77"]
)
def test_what_others_know_of_the_person_is_refused(password: str) -> None:
    """ASVS 6.1.2, 6.2.11: name, number, address and clinic are no password, with whatever digits."""
    words = ["Anna Berg", "740385-0101", "anna.b@example.org", "Klinik Lund"]

    assert weakness(password, RULES, words) == "f.e.common"


@pytest.mark.parametrize(
    ("password", "rules", "key"),
    [
        ("kort nok?", RULES, "f.e.short"),
        ("🦌" * 11, RULES, "f.e.short"),
        ("a" * 129, RULES, "f.e.long"),
        ("tre blå\ncykler", RULES, "f.e.signs"),
        ("tre blå cykler", PasswordRules(mixed=True), "f.e.mixed"),
        ("Tre Blå Cykler", PasswordRules(mixed=True), "f.e.mixed"),
        ("Tre Blå Cykler 7", PasswordRules(mixed=True), None),
        ("x7!kQp2", PasswordRules(least=4), "f.e.short"),
        ("x7!kQp2z", PasswordRules(least=4), None),
    ],
)
def test_what_is_wrong_is_said(password: str, rules: PasswordRules, key: str | None) -> None:
    """Each fault has its own words; whatever a clinic sets, eight characters are the least (ASVS 6.2.1)."""
    assert weakness(password, rules) == key


def test_the_least_is_told() -> None:
    """The words take the number from the rules, and never below eight."""
    assert (least(RULES), least(PasswordRules(least=3)), least(PasswordRules(least=20))) == (12, 8, 20)


def test_one_persons_words_are_nobody_elses() -> None:
    """What is known of one person is not looked for in another's password, nor kept anywhere."""
    assert weakness("zetterqvist-9981", RULES, ["Zetterqvist"]) == "f.e.common"
    assert weakness("zetterqvist-9981", RULES) is None


def test_a_crafted_password_costs_little() -> None:
    """O12: a password made of every sign that may stand for a letter takes no more than a moment to judge."""
    signs = "4@8({[<36910!|$5+7%2"
    began = time.process_time()
    for password in (signs * 6, signs, "".join(map(chr, range(33, 127))), "ab" * 64, "1!" * 64):
        weakness(password, RULES, ["a b c d e f", "somebody@example.org"])

    assert time.process_time() - began < 2.5


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (Settings(memory_kib=8), "memory_kib"),
        (Settings(passes=1), "passes"),
        (Settings(lanes=0), "lanes"),
        (Settings(at_once=0), "at_once"),
        (Settings(waiting=-1), "waiting"),
        (Settings(patience=timedelta(0)), "patience"),
        (Settings(tries=0), "tries"),
        (Settings(address=1), "address"),
        (Settings(clinic=29), "clinic"),
        (Settings(window=timedelta(days=2)), "window"),
    ],
)
def test_settings_that_cannot_work_are_said(settings: Settings, says: str) -> None:
    """Each mistake names its setting."""
    assert [words.split()[0] for words in mistakes(settings)] == [says]
