"""The demo portals of the Danish clinics."""

from __future__ import annotations

from dataclasses import replace

from idbroker.sandbox.portal.doors import Door, Service
from idbroker.sandbox.portal.words import DANISH, ENGLISH
from idbroker.sandbox.settings import ALERIS, ALERISAPP, HAVNENS, PATIENTPORTALEN

PATIENTPORTALEN_PORTAL = Service(
    id=PATIENTPORTALEN,
    name="Patientportalen",
    site="Clinea Lægeklinik",
    language="da",
    tongue="Dansk",
    scope="openid profile national_number offline_access",
    lead="Klinikkens digitale indgang. Vælg, hvad du vil, og log ind med MitID eller med sikkerhedskode.",
    doors=(
        Door(
            path="tidsbestilling", label="Tidsbestilling", title="Bestil tid",
            text="Bestil en tid hos lægen eller sygeplejersken. Er det akut, så ring til klinikken.",
            action="Ledige tider: mandag kl. 9.10 og tirsdag kl. 13.40.",
        ),
        Door(
            path="e-konsultation", label="E-konsultation", title="Skriv til lægen",
            text="Stil et spørgsmål, for eksempel om et blodprøvesvar. Ikke til akutte henvendelser.",
            action="Du har ingen ubesvarede beskeder.",
        ),
        Door(
            path="receptfornyelse", label="Receptfornyelse", title="Forny en recept",
            text="Forny din faste medicin. Mangler en ordination på listen, så ring til sekretæren.",
            action="Du har ingen recepter, der kan fornyes.",
        ),
    ),
    notes=(
        "Log ind med MitID: du viderestilles til Sundhedsdatastyrelsens borgeradgang, eller til MitID direkte.",
        "Log ind med sikkerhedskode: CPR-nummer, adgangskode og en sikkerhedskode, som sendes til din e-mail.",
        "MitID kan ikke bruges af eller på vegne af brugere under 15 år. De logger ind med sikkerhedskode.",
        "Som bruger har du ét login til alle klinikker, der anvender Patientportalen.",
    ),
    register=("Opret ny bruger", "Opret bruger under 15 år"),
    help_path="hjaelp",
    help_before=(
        "Du logger ind med MitID eller med sikkerhedskode. Vælg det, du vil, på forsiden, og tryk på Log ind.",
        "Du sendes til en fælles loginside. Dér vælger du borgeradgangen, Sundhedsdatastyrelsens indgang, eller MitID.",
        "Med MitID-app eller kodeviser viser du, hvem du er. Så er du tilbage her, lige dér, hvor du ville hen.",
        "Med sikkerhedskode skriver du CPR-nummer og adgangskode og derefter koden, som sendes til din e-mail.",
        "Opret bruger: du bekræfter med MitID, hvem du er. Klinikken godkender dig, og du får besked i en e-mail.",
        "Opret bruger under 15 år: det gør barnets forælder eller værge med sit eget MitID.",
        "Glemt adgangskode? Du får tilsendt et link i en e-mail og vælger en ny.",
        "Du har ét login for alle klinikker, der bruger Patientportalen: hos den næste siger du ja til at være med.",
        "Virker det ikke, så ring til klinikken på 70 00 00 02.",
    ),
    help_after=(
        "Tidsbestilling: find en ledig tid, og bestil den.",
        "E-konsultation: skriv til lægen, og læs svaret.",
        "Receptfornyelse: forny din faste medicin.",
        "Log ud, og luk alle browservinduer, når du er færdig.",
    ),
    words=DANISH,
    own_until=15,
)  # fmt: skip

# The same portal, of a clinic that takes who registers without looking at it.
HAVNENS_PORTAL = replace(
    PATIENTPORTALEN_PORTAL,
    id=HAVNENS,
    name="Havnens Patientportal",
    site="Havnens Lægehus",
    scope="openid profile national_number",
    help_before=(
        *PATIENTPORTALEN_PORTAL.help_before[:4],
        "Opret bruger: du bekræfter med MitID, hvem du er, og kan logge ind med det samme.",
        *PATIENTPORTALEN_PORTAL.help_before[5:-1],
        "Virker det ikke, så ring til klinikken på 70 00 00 04.",
    ),
)

ALERIS_PORTAL = Service(
    id=ALERIS,
    name="Aleris Online",
    site="Aleris",
    language="en",
    tongue="English",
    scope="openid profile",
    lead="Your appointments, your bookings and your contact details. Log in with MitID, as at your bank.",
    doors=(
        Door(
            path="profile", label="My profile", title="My profile",
            text="Keep your contact details up to date: we send reminders by text message.",
            action="Mobile number and e-mail: not filled in yet.",
        ),
        Door(
            path="appointments", label="My appointments", title="My appointments",
            text="Your active bookings, with the time and the place.",
            action="Booking 1042: video consultation on Thursday at 10:20.",
        ),
        Door(
            path="booking/", label="", title="Booking confirmation",
            text="The confirmation of the booking that was linked to in the text message.",
            action="Video consultation on Thursday at 10:20. We send a link about 10 minutes before.",
        ),
    ),
    notes=("A link from a text message opens its booking, and nothing else:",),
    example=("booking/1042", "booking 1042"),
    help_path="help",
    help_before=(
        "You log in with MitID. Press Log in on the front page.",
        "You are sent to a common login page, on to MitID and back here.",
        "A link in a text message leads to its booking, after the login.",
        "If it does not work, call us on 70 00 00 03.",
    ),
    help_after=(
        "My profile: your contact details.",
        "My appointments: what is booked, and where.",
        "Log out and close all browser windows when you are done.",
    ),
    words=ENGLISH,
)  # fmt: skip

ALERISAPP_PORTAL = Service(
    id=ALERISAPP,
    name="Aleris video",
    site="Aleris",
    language="en",
    tongue="English",
    scope="openid profile",
    lead="Video visits with Aleris. Say yes to the terms, then log in with MitID.",
    doors=(
        Door(
            path="visit", label="My video visit", title="Your video visit",
            text="The visit that was booked for you.",
            action="Thursday at 10:20. The doctor writes in the same medical record as at the hospital.",
        ),
    ),
    notes=(
        "Before MitID opens, you are asked to agree to using the app, and to what is kept in your medical record.",
        "The first time, you see what the app is told about you, and can say no.",
    ),
    help_path="help",
    help_before=(
        "Read the terms and say yes to them. Then MitID opens.",
        "If you say no, nothing is kept, and you can call us on 70 00 00 03 instead.",
    ),
    help_after=(
        "My video visit: the visit that was booked for you.",
        "Log out and close all browser windows when you are done.",
    ),
    words=ENGLISH,
)  # fmt: skip
