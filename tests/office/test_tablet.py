"""The clinic's tablet: paired by a code, in the patient's hands for one service, and empty afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from idbroker.identity import Identity, LoA
from idbroker.patients.assisting import IDLE, LIFE
from tests.office.helping_house import NAME, SERVICE, Clinic, claims, open_clinic
from tests.office_door import nonces_of, text_of

SECOND = timedelta(seconds=1)
BYE = "post_logout_redirect_uri=https%3A%2F%2Fportal.test%2Fbye"


@pytest.fixture
def clinic(tmp_path: Path, clock: StoppedClock) -> Iterator[Clinic]:
    """Give a clinic with a tablet."""
    with open_clinic(tmp_path, clock) as opened:
        yield opened


def test_from_the_code_to_the_service(clinic: Clinic) -> None:
    """The code leads to a name and a year, the yes to where the service begins a sign-in, and that to its tokens."""
    code, page = clinic.code(clinic.client(), clinic.patient())
    tablet = clinic.tablet()

    asked = clinic.typed(tablet, code)
    begun = clinic.post(tablet, "/tablet/give", do="yes")
    told = claims(clinic.redeemed(tablet)["id_token"])

    assert NAME in text_of(asked.text)
    assert "born 1987" in text_of(asked.text)
    assert begun.headers["Location"] == "https://portal.test/start?iss=https%3A%2F%2Fbroker.test"
    assert (told["acr"], told["amr"], told["act"]) == ("low", ["staff-assisted"], {"role": "carer"})
    assert clinic.state(page).startswith("The patient is logged in, at the network address 192.0.2.10, until ")


def test_only_this_service(clinic: Clinic) -> None:
    """Another service of the same clinic, and My page, ask for a proof of their own."""
    tablet, _ = clinic.begun()

    for client_id in ("second", "theirs"):
        assert "/t/" in clinic.authorize(tablet, client_id).headers["Location"]
    assert "/authorize?" in tablet.get("/me/neuroreg").headers["Location"]


def test_a_new_proof_is_never_this_one(clinic: Clinic) -> None:
    """`prompt=login` asks for a proof, though the tablet is signed on (Core, 3.1.2.1)."""
    tablet, _ = clinic.begun()
    assert "/t/" in clinic.authorize(tablet, prompt="login").headers["Location"]


def test_over_after_half_an_hour(clinic: Clinic) -> None:
    """Thirty minutes later the sign-on is no more, its tokens neither, and the colleague reads when it ended."""
    tablet, page = clinic.begun()
    tokens = clinic.redeemed(tablet)

    clinic.clock.move(LIFE - SECOND)
    assert "code=" in clinic.authorize(tablet).headers["Location"]
    clinic.clock.move(SECOND)

    assert "/t/" in clinic.authorize(tablet).headers["Location"]
    assert not _is_live(clinic, dict(tokens))
    assert clinic.state(page) == "Ended at 10:30."
    assert clinic.told() == ["begun", "accepted", "ended"]


def _is_live(clinic: Clinic, tokens: dict[str, str]) -> bool:
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    return clinic.browser().get("/userinfo", headers=bearer).status_code == 200


def test_no_token_after_it(clinic: Clinic) -> None:
    """What the service got at the end of the half hour ends with it."""
    tablet, _ = clinic.begun()
    clinic.clock.move(LIFE - 2 * SECOND)
    tokens = clinic.redeemed(tablet)

    assert tokens["expires_in"] == 2
    clinic.clock.move(2 * SECOND)
    assert not _is_live(clinic, dict(tokens))


def test_the_service_is_told_in_time(clinic: Clinic) -> None:
    """A notice for the thirtieth minute lies there from the first code on, and comes at once where all ends earlier."""
    tablet, page = clinic.begun()
    clinic.redeemed(tablet)
    session = clinic.session(tablet)
    outbox, now = clinic.house.durable.logout_notices, clinic.clock.now()
    assert session is not None
    assert outbox.count() == 1

    assert outbox.due(now + LIFE - SECOND, SECOND, 9, each=9) == ()
    clinic.post(clinic.client(), page)
    (notice,) = outbox.due(now, SECOND, 9, each=9)

    assert (notice.sid, notice.tries) == (session.sid("portal"), 1)


def test_ended_from_the_colleagues_screen(clinic: Clinic) -> None:
    """The button ends the sign-on and its tokens at once; the tablet is then shown the end, whatever it presses."""
    tablet, page = clinic.begun()
    tokens = clinic.redeemed(tablet)

    answer = clinic.post(clinic.client(), page)
    pressed = tablet.get(f"/logout?id_token_hint={tokens['id_token']}&{BYE}")

    assert answer.status_code == 303
    assert clinic.state(page) == "Ended at 10:00."
    assert not _is_live(clinic, dict(tokens))
    assert "/t/" in clinic.authorize(tablet).headers["Location"]
    assert pressed.headers["Location"] == "/tablet/done"


def test_logged_out_at_the_service(clinic: Clinic) -> None:
    """The service's logout ends at thank-you, not at the service; all that the browser had of us is forgotten."""
    tablet, page = clinic.begun()
    tokens = clinic.redeemed(tablet)

    answer = tablet.get(f"/logout?id_token_hint={tokens['id_token']}&{BYE}")
    shown = tablet.get(answer.headers["Location"])

    assert answer.headers["Location"] == "/tablet/done"
    assert "Give the tablet back to the staff" in shown.text
    assert NAME not in shown.text
    assert shown.headers["Clear-Site-Data"] == '"cache", "cookies", "storage"'
    assert (shown.headers["Cache-Control"], shown.headers["Refresh"]) == ("no-store", "30; url=/tablet")
    assert clinic.session(tablet) is None
    assert clinic.state(page) == "Ended at 10:00."


def test_a_link_forgets_nothing(clinic: Clinic) -> None:
    """A link to the thank-you page, on a page anywhere, signs nobody out."""
    tablet, _ = clinic.begun()

    assert "Clear-Site-Data" not in tablet.get("/tablet/done").headers
    assert "code=" in clinic.authorize(tablet).headers["Location"]


def test_no_cookie_of_staff_on_the_tablet(clinic: Clinic) -> None:
    """S3: from the code to the end no staff cookie is ever set on the tablet."""
    tablet, _ = clinic.begun()
    tokens = clinic.redeemed(tablet)
    clinic.go(tablet, tablet.get(f"/logout?id_token_hint={tokens['id_token']}"))

    assert "__Host-w" not in clinic.cookies(tablet)


def test_no_tablet_where_staff_are_signed_in(clinic: Clinic) -> None:
    """A colleague's own screen is no tablet: it refuses in words, and takes no code."""
    staff = clinic.client()
    code, _ = clinic.code(staff, clinic.patient())

    asked, posted = staff.get("/tablet"), staff.post("/tablet", data={"code": code})

    assert (asked.status_code, posted.status_code) == (403, 403)
    assert "You are logged in as staff here" in text_of(asked.text)
    assert clinic.typed(clinic.tablet(), code).request.path == "/tablet/give"


def test_no_office_where_a_patient_is(clinic: Clinic) -> None:
    """On a tablet in a patient's hands no page of the office opens, its sign-in neither; afterwards it does."""
    tablet, page = clinic.begun()

    assert tablet.get("/staff/sign-in").status_code == 403
    assert tablet.post("/staff/sign-in", data={"login": "anna"}).status_code == 403
    clinic.post(clinic.client(), page)
    assert tablet.get("/staff/sign-in").status_code != 403


def test_a_cookie_that_is_over_goes(clinic: Clinic) -> None:
    """A staff cookie that opens nothing any more is taken from the tablet, which works then."""
    browser = clinic.client()
    clinic.clock.move(timedelta(hours=9))

    shown = browser.get("/tablet")

    assert shown.status_code == 200
    assert browser.get_cookie("__Host-w", domain="broker.test") is None


def test_nothing_is_remembered(clinic: Clinic) -> None:
    """No comforts, no language, no device: the tablet has the sign-on's cookie and its own, and no more."""
    tablet = clinic.tablet()
    tablet.get("/tablet?lang=da")
    clinic.begun(tablet)
    clinic.redeemed(tablet)

    assert clinic.cookies(tablet) == {"__Host-s", "__Host-p"}


def test_not_me(clinic: Clinic) -> None:
    """No ends it: nobody is signed in, the code is spent, and the colleague reads it."""
    code, page = clinic.code(clinic.client(), clinic.patient())
    tablet = clinic.tablet()
    clinic.typed(tablet, code)

    clinic.post(tablet, "/tablet/give", do="no")

    assert clinic.session(tablet) is None
    assert tablet.get("/tablet/give").headers["Location"] == "/tablet"
    assert "somebody else" in clinic.state(page)
    assert clinic.told() == ["begun", "refused"]


def test_left_alone(clinic: Clinic) -> None:
    """Two minutes at the question, and it is over: on our side, whatever the page says, which goes by itself."""
    code, page = clinic.code(clinic.client(), clinic.patient())
    tablet = clinic.tablet()
    shown = clinic.typed(tablet, code)
    nonce = nonces_of(shown.text)[0]

    clinic.clock.move(IDLE)
    answer = tablet.post("/tablet/give", data={"_n": nonce, "do": "yes"})

    assert shown.headers["Refresh"] == "120; url=/tablet"
    assert answer.headers["Location"] == "/tablet?e=over"
    assert clinic.session(tablet) is None
    assert clinic.state(page) == "Ended at 10:02."


def test_pressed_twice(clinic: Clinic) -> None:
    """Two presses of yes lead to the same sign-on, told and noted once."""
    code, _ = clinic.code(clinic.client(), clinic.patient())
    tablet = clinic.tablet()
    nonce = nonces_of(clinic.typed(tablet, code).text)[0]

    first, second = (tablet.post("/tablet/give", data={"_n": nonce, "do": "yes"}) for _ in range(2))

    assert first.headers["Location"] == second.headers["Location"]
    assert clinic.told() == ["begun", "accepted"]
    assert len(clinic.emails()) == 1
    assert "code=" in clinic.authorize(tablet).headers["Location"]


def test_the_patient_is_told(clinic: Clinic) -> None:
    """The patient gets a message that names clinic, day and time, and reads of it among what happened."""
    clinic.begun()

    (mail,) = clinic.emails()

    assert "Neuroregistret helped you log in on 2026-11-22 at 10:00." in mail
    assert clinic.told() == ["begun", "accepted"]
    assert {event.detail["role"] for event in clinic.events("patient.assisted")} == {"carer"}


def test_the_next_patient(clinic: Clinic) -> None:
    """A second patient on the same tablet ends the first one's sign-on, left open or not."""
    tablet, page = clinic.begun()
    tokens = clinic.redeemed(tablet)

    code, _ = clinic.code(clinic.client(), clinic.patient(person="ake"))
    clinic.typed(tablet, code)
    clinic.post(tablet, "/tablet/give", do="yes")

    assert not _is_live(clinic, dict(tokens))
    assert clinic.state(page) == "Ended at 10:00."
    assert claims(clinic.redeemed(tablet)["id_token"])["sub"] != claims(tokens["id_token"])["sub"]


def test_nobody_is_asked_as_the_one_before(clinic: Clinic) -> None:
    """While the next patient is asked, and when they say no, the service gets nothing of the one before, who is out."""
    tablet, page = clinic.begun()
    tokens = clinic.redeemed(tablet)

    code, _ = clinic.code(clinic.client("bo"), clinic.patient(person="ake"))
    clinic.typed(tablet, code)

    assert clinic.cookies(tablet) == {"__Host-p"}
    assert not _is_live(clinic, dict(tokens))
    assert clinic.state(page) == "Ended at 10:00."
    assert "error=login_required" in clinic.authorize(tablet, prompt="none").headers["Location"]
    clinic.post(tablet, "/tablet/give", do="no")
    assert "/t/" in clinic.authorize(tablet).headers["Location"]


def test_a_code_ends_an_ordinary_sign_on(clinic: Clinic) -> None:
    """Whoever signed in on the tablet by themselves is out as soon as the next patient's code is taken."""
    tablet, now = clinic.tablet(), clinic.clock.now()
    number = clinic.number("ake")
    person = clinic.house.rooms.counter.records.accounts.person(number, now)
    identity = Identity(provider="bankid", issuer="i", subject="s", loa=LoA.SUBSTANTIAL, proved_at=now, number=number)
    clinic.site.broker.signon.admit("own", person, identity, "en", None)
    tablet.set_cookie("__Host-s", "own", domain="broker.test", secure=True)

    code, _ = clinic.code(clinic.client(), clinic.patient())
    clinic.typed(tablet, code)

    assert clinic.house.signout.of_person(person) == ()


def test_ended_before_the_next_code(clinic: Clinic) -> None:
    """Where somebody is still signed on, a button ends it; looking does not, nor does a form from elsewhere."""
    tablet, page = clinic.begun()

    shown = text_of(tablet.get("/tablet").text)
    tablet.post("/tablet", data={"_n": "x", "do": "end"})
    assert "The previous patient is still logged in here." in shown
    assert "code=" in clinic.authorize(tablet).headers["Location"]
    clinic.post(tablet, "/tablet", do="end")

    assert clinic.cookies(tablet) == {"__Host-p"}
    assert clinic.state(page) == "Ended at 10:00."
    assert "previous patient" not in text_of(tablet.get("/tablet").text)


def test_a_wrong_code_ends_nothing(clinic: Clinic) -> None:
    """A code that does not fit leaves the patient who is there signed on."""
    tablet, _ = clinic.begun()
    clinic.typed(tablet, "000000")
    assert "code=" in clinic.authorize(tablet).headers["Location"]


def test_yes_again_revives_nothing(clinic: Clinic) -> None:
    """A yes that is pressed again when the sign-on is gone begins none, though nobody has noted the end yet."""
    code, _ = clinic.code(clinic.client(), clinic.patient())
    tablet = clinic.tablet()
    nonce = nonces_of(clinic.typed(tablet, code).text)[0]
    tablet.post("/tablet/give", data={"_n": nonce, "do": "yes"})
    session = clinic.session(tablet)
    assert session is not None

    clinic.house.sessions.take(session.key)
    tablet.post("/tablet/give", data={"_n": nonce, "do": "yes"})

    assert clinic.session(tablet) is None
    assert clinic.told() == ["begun", "accepted"]


def test_the_end_is_noted_before_it_is(clinic: Clinic) -> None:
    """That a sign-on of staff's ends is noted while it is still there: no yes in between finds it gone, but running."""
    tablet, _ = clinic.begun()
    session, there = clinic.session(tablet), list[bool]()
    assert session is not None

    signout = replace(clinic.house.signout, ended=lambda _one, _at: there.append(clinic.session(tablet) is not None))
    signout.end_one(session.person, session.key)

    assert there[0]


def test_told_in_a_frame_first(tmp_path: Path, clock: StoppedClock) -> None:
    """A service that is told in a frame is told before the thank-you, which comes all the same."""
    front = {**SERVICE, "frontchannel_logout_uri": "https://portal.test/front"}
    with open_clinic(tmp_path, clock, client=front) as clinic:
        tablet, _ = clinic.begun()
        hint = clinic.redeemed(tablet)["id_token"]

        telling = tablet.get(f"/logout?id_token_hint={hint}&{BYE}").headers["Location"]
        assert "https://portal.test/front?" in tablet.get(telling).text
        assert tablet.get(f"{telling}/on").headers["Location"] == "/tablet/done"


def test_logged_out_too_late(clinic: Clinic) -> None:
    """Whoever logs out when the half hour is over is shown the end as well, and no service."""
    tablet, _ = clinic.begun()
    hint = clinic.redeemed(tablet)["id_token"]
    clinic.clock.move(LIFE + SECOND)

    assert tablet.get(f"/logout?id_token_hint={hint}&{BYE}").headers["Location"] == "/tablet/done"


def test_over_with_the_colleague(clinic: Clinic) -> None:
    """Who is disabled while they help a patient leaves no open door: the sign-on answers no service any more."""
    tablet, _ = clinic.begun()
    assert "code=" in clinic.authorize(tablet).headers["Location"]

    clinic.house.offices.members.change(clinic.member("anna").id, lambda one: replace(one, disabled=True))

    assert "code=" not in clinic.authorize(tablet).headers["Location"]
