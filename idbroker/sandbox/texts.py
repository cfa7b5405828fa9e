"""The invented terms and purposes of the sandbox's clinics, in the languages of their people."""

from __future__ import annotations

from collections.abc import Mapping

TERMS: Mapping[str, str] = {
    "da": (
        "Patientportalen er til aftaler, spørgsmål og recepter hos din klinik. Den er ikke til akutte henvendelser.\n\n"
        "Dit login er personligt. Giv aldrig din adgangskode eller en kode fra en besked til andre.\n\n"
        "Klinikken ser, hvad du skriver, og gemmer det i din journal. "
        "Du kan altid bede klinikken om at lukke dit login."
    ),
    "en": (
        "The patient portal is for appointments, questions and prescriptions at your clinic. It is not for emergencies."
        "\n\nYour login is your own. Never give your password, or a code from a message, to anybody else.\n\n"
        "The clinic sees what you write and keeps it in your medical record. "
        "You can ask the clinic to close your login whenever you like."
    ),
}
APP_TERMS: Mapping[str, str] = {
    "da": (
        "Du siger ja til at bruge appen til videokonsultation, og til at det, I aftaler, skrives i din journal.\n\n"
        "Selve samtalen optages ikke. Siger du nej, kan du i stedet ringe og få en tid på hospitalet."
    ),
    "en": (
        "You agree to using the app for your video consultation, and that what you agree on is written in your medical "
        "record.\n\nThe conversation itself is not recorded. "
        "If you say no, call us for a visit at the hospital instead."
    ),
}
PURPOSE: Mapping[str, str] = {
    "da": "at vise lægen, hvem der er i videosamtalen.",
    "en": "showing the doctor who is in the video call.",
}
