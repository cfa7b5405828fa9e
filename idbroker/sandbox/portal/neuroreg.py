"""The demo portal of a Swedish quality register, in Swedish and in English: four doors under one button (003, R64)."""

from __future__ import annotations

from idbroker.sandbox.portal.doors import Door, Service
from idbroker.sandbox.portal.forms import Question
from idbroker.sandbox.portal.swedish import SCOPE, SWEDISH_ENGLISH
from idbroker.sandbox.portal.words import SWEDISH
from idbroker.sandbox.settings import NEUROREG

_ASKS = (
    Question(name="now", label="Hur mår du just nu?", choices=("Bra", "Ganska bra", "Inte bra")),
    Question(
        name="walk", label="Hur långt går du utan att vila?", choices=("Mer än 500 meter", "100 till 500", "Kortare")
    ),
    Question(name="worse", label="Är du sämre än vid förra besöket?", choices=("Ja", "Nej", "Vet inte")),
    Question(name="more", label="Vill du berätta något mer? Det är frivilligt."),
)
_ASKS_ENGLISH = (
    Question(name="now", label="How are you now?", choices=("Well", "Rather well", "Not well")),
    Question(
        name="walk", label="How far do you walk without a rest?", choices=("More than 500 metres", "100 to 500", "Less")
    ),
    Question(name="worse", label="Do you feel worse than at the last visit?", choices=("Yes", "No", "I do not know")),
    Question(name="more", label="Is there more you want to say? You need not."),
)
_FORM = {
    "send": "Skicka svaren", "sent": "Tack. Dina svar skickades kl. {time}.", "again": "Ändra svaren",
    "missing": "Svara på alla frågor. Inget du har svarat är borta.", "none": "Inget",
    "helped": "Din mottagning hjälper dig att logga in", "ends": "Om ingen trycker på två minuter avslutas det.",
    "finish": "Jag är klar", "back": "Tack. Lämna tillbaka surfplattan till personalen.",
}  # fmt: skip
_FORM_ENGLISH = {
    "send": "Send the answers", "sent": "Thank you. Your answers were sent at {time}.", "again": "Change the answers",
    "missing": "Answer all questions. Nothing you have answered is lost.", "none": "Nothing",
    "helped": "Your clinic is helping you to log in",
    "ends": "It ends when nobody has pressed anything for two minutes.",
    "finish": "I am done", "back": "Thank you. Give the tablet back to the staff.",
}  # fmt: skip

_NEUROREG_ENGLISH = Service(
    id=NEUROREG,
    name="Neuroreg PER",
    site="Svenska neuroregister",
    language="en",
    tongue="English",
    scope=SCOPE,
    lead="Answer questions about your health before your visit. You can log in once care staff have registered you.",
    doors=(
        Door(
            path="per", label="My own registration (PER)", title="Your forms",
            text="Answer when it suits you; your clinic sees the answers at the next visit.",
            name="per", asks=_ASKS_ENGLISH,
        ),
        Door(
            path="vardkontakter", label="My care contacts", title="Your care contacts",
            text="Visits that your clinic has entered in the register.", name="contacts",
            facts=(("Last visit", "12 March, neurology clinic"), ("Next visit", "Not booked")),
        ),
        Door(
            path="statistik", label="Statistics from Neuroreg (VAP)", title="Statistics from the register", public=True,
            text="Open to all, and about nobody in particular. The numbers are invented.",
            facts=(
                ("Patients in the register", "4 210"), ("Clinics", "31"), ("Forms answered", "62 per cent"),
            ),
        ),
        Door(
            path="vardgivare", label="Pages for care staff", title="Pages for care staff", public=True,
            text="Staff register patients here, correct their contacts and send passwords.",
            beyond=f"/staff/{NEUROREG}",
        ),
    ),
    notes=(
        "Care staff register you the first time. After that you can log in whenever you like.",
        "Log in with BankID, or with your personal identity number and a one-time code if you have none.",
    ),
    help_path="hjalp",
    help_before=(
        "You log in with BankID, or with your personal code, once care staff have registered you.",
        "You are sent to a common login page and back here, to the page that you wanted.",
        "Personal code: your personal identity number, the password you were sent, and a new code by text or e-mail.",
        "Keep the password: it is used every time. If you have none, care staff can send you one.",
        "If it does not work, call the register on 0980-31 92 20.",
    ),
    help_after=(
        "My own registration: your forms before the next visit.",
        "My care contacts: what your clinic has entered.",
        "Log out and close all browser windows when you are done.",
    ),
    refused="Are you not in the register yet? Care staff enter you the first time: ask your care unit.",
    menu=True,
    form=_FORM_ENGLISH,
    zone="Europe/Stockholm",
    words=SWEDISH_ENGLISH,
)  # fmt: skip

NEUROREG_PORTAL = Service(
    id=NEUROREG,
    name="Neuroreg PER",
    site="Svenska neuroregister",
    language="sv",
    tongue="Svenska",
    scope=SCOPE,
    lead="Svara på frågor om hur du mår inför ditt besök. Du kan logga in när vården har registrerat dig.",
    doors=(
        Door(
            path="per", label="Patientens egen registrering (PER)", title="Dina formulär",
            text="Svara när det passar dig; mottagningen ser svaren vid nästa besök.",
            name="per", asks=_ASKS,
        ),
        Door(
            path="vardkontakter", label="Mina vårdkontakter", title="Dina vårdkontakter",
            text="Besök som din mottagning har fört in i registret.", name="contacts",
            facts=(("Senaste besök", "12 mars, neurologmottagningen"), ("Nästa besök", "Inte bokat")),
        ),
        Door(
            path="statistik", label="Statistik ur Neuroreg (VAP)", title="Statistik ur registret", public=True,
            text="Öppen för alla, och inte om någon enskild. Talen är påhittade.",
            facts=(
                ("Patienter i registret", "4 210"), ("Mottagningar", "31"), ("Besvarade formulär", "62 procent"),
            ),
        ),
        Door(
            path="vardgivare", label="Inloggade sidor för vårdpersonal", title="Sidor för vårdpersonal", public=True,
            text="Här registrerar personalen patienter, rättar kontaktuppgifter och skickar lösenord.",
            beyond=f"/staff/{NEUROREG}",
        ),
    ),
    notes=(
        "Vården registrerar dig första gången. Sedan kan du logga in när du vill.",
        "Logga in med personnummer och BankID, eller med personnummer och engångskod om du inte har BankID.",
    ),
    help_path="hjalp",
    help_before=(
        "Du loggar in med BankID, eller med personlig kod, när vården har registrerat dig.",
        "Du skickas till en gemensam inloggningssida och tillbaka hit, till sidan som du ville till.",
        "Personlig kod: personnummer, lösenordet som du har fått och en ny engångskod som sms eller e-post varje gång.",
        "Behåll lösenordet: det används vid varje inloggning. Har du inget kan vården skicka ett till dig.",
        "Fungerar det inte, ring registret på 0980-31 92 20.",
    ),
    help_after=(
        "Patientens egen registrering: dina formulär inför nästa besök.",
        "Mina vårdkontakter: det som din mottagning har fört in.",
        "Logga ut och stäng alla webbläsarfönster när du är klar.",
    ),
    refused="Finns du inte i registret ännu? Vården registrerar dig första gången: fråga din vårdenhet.",
    menu=True,
    form=_FORM,
    zone="Europe/Stockholm",
    words=SWEDISH,
    also=(_NEUROREG_ENGLISH,),
)  # fmt: skip
