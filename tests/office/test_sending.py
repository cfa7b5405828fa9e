"""The page from which staff send a patient their access."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.accounts.account import Standing
from idbroker.clinic import LANGUAGES
from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from tests.office.patients_there import MAIL, mailed, patient_at
from tests.office_door import Office, open_office, text_of


@pytest.mark.parametrize("language", LANGUAGES)
def test_in_every_language(office: Office, language: str) -> None:
    """The page is there in each language; nobody else's clinic, and nobody without a sign-in, sees it."""
    patient = patient_at(office, "clinea", language=language)
    address = f"/staff/clinea/patients/{patient.handle}/access"

    shown = office.client().get(f"{address}?lang={language}")

    assert shown.status_code == 200
    assert f'<html lang="{language}">' in shown.text
    assert MAIL in shown.text, "the clinic's own datum, in full"
    assert office.client().get(f"/staff/neuroreg/patients/{patient.handle}/access").status_code == 404
    assert office.browser().get(address).status_code == 303


def test_a_link_and_its_receipt(office: Office) -> None:
    """One press sends one link; the receipt says where, when and until when, and is there after a reload too."""
    patient = patient_at(office, "clinea")
    address, anna = f"/staff/clinea/patients/{patient.handle}/access", office.client()

    page = office.go(anna, office.post(anna, address, email="1"))

    receipt = f"Link sent to {MAIL} on 2026-11-22 at 10:00:00. It works until 2026-11-25 10:00."
    assert receipt in text_of(page.text)
    assert text_of(anna.get(address).text).count(receipt) == 1
    (mail,) = mailed(office)
    assert "/set/" in mail
    (event,) = office.events("patient.sent")
    assert (event.detail["by"], event.detail["role"]) == (office.member().id, "carer")


def test_a_double_click(office: Office) -> None:
    """Two presses of one form are one message."""
    patient = patient_at(office, "clinea")
    address, anna = f"/staff/clinea/patients/{patient.handle}/access", office.client()
    (nonce,) = re.findall(r'name="_n" value="([^"]+)"', anna.get(address).text)[-1:]

    for _ in range(2):
        assert anna.post(address, data={"_n": nonce, "email": "1"}).status_code == 303

    assert len(mailed(office)) == 1


def test_what_is_missing_is_said(office: Office) -> None:
    """Nothing ticked, or an address that is gone: a sentence at the boxes, and nothing is sent."""
    patient = patient_at(office, "clinea")
    address, anna = f"/staff/clinea/patients/{patient.handle}/access", office.client()

    page = office.go(anna, office.post(anna, address))
    assert "Choose at least one way" in text_of(page.text)
    page = office.go(anna, office.post(anna, address, sms="1"))
    assert "Nothing was sent" in text_of(page.text)
    patient_at(office, "clinea", handle=patient.handle, told={})
    assert "There is no address to send to" in text_of(anna.get(address).text)
    assert mailed(office, 0) == []


def test_refused_in_words(office: Office) -> None:
    """Who waits for an answer, or has died, is sent nothing; nor is anybody a fourth time within the hour."""
    patient = patient_at(office, "clinea")
    address, anna = f"/staff/clinea/patients/{patient.handle}/access", office.client()
    assert patient.entry is not None

    patient_at(office, "clinea", handle=patient.handle, standing=Standing.ASKED)
    assert "Answer the request first" in text_of(office.go(anna, office.post(anna, address, email="1")).text)
    dead = replace(patient.entry, deceased_on=office.today)
    patient_at(office, "clinea", handle=patient.handle, entry=dead)
    assert "deceased" in text_of(office.go(anna, office.post(anna, address, email="1")).text)
    patient_at(office, "clinea", handle=patient.handle)
    for _ in range(3):
        office.post(anna, address, email="1")
    page = office.go(anna, office.post(anna, address, email="1"))
    assert "Try again at 11:00" in text_of(page.text)
    office.clock.move(timedelta(hours=1))
    page = office.go(office.client(), office.post(office.client(), address, email="1"))
    assert "Try again" not in text_of(page.text)


def test_a_lasting_password(tmp_path: Path, clock: StoppedClock) -> None:
    """Where the clinic has set that, a password goes out; staff see where to and when, and never the password (R32)."""
    with open_office(tmp_path, clock, clients={"per": {"clinic": "neuroreg", "name": "PER"}}) as office:
        patient = patient_at(office)
        office.hire("sven", language="sv")
        address, anna = f"/staff/neuroreg/patients/{patient.handle}/access", office.client("sven")
        assert "Spara lösenordet" in text_of(anna.get(address).text), "staff tell the patient to keep it (R40)"

        page = office.go(anna, office.post(anna, address, email="1"))

        assert f"Lösenordet skickades till {MAIL} 2026-11-22 kl. 10:00:00." in text_of(page.text)
        (mail,) = mailed(office)
        password = next(line for line in mail.splitlines() if re.fullmatch(r"[a-z2-9]{5}(-[a-z2-9]{5}){2,}", line))
        assert password not in page.text
        assert password not in repr(office.events())


def test_another_clinics_page(office: Office) -> None:
    """A form of somebody who does not work there sends nothing."""
    patient = patient_at(office, "clinea", told={Channel.EMAIL: MAIL})
    dora = office.hire("dora", roles={})
    assert dora.roles == {}

    answer = office.client("dora").post(f"/staff/clinea/patients/{patient.handle}/access", data={"email": "1"})

    assert answer.status_code == 404
    assert mailed(office, 0) == []
