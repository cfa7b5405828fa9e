"""The demo portals of the Swedish services, in Swedish and in English."""

from __future__ import annotations

from idbroker.sandbox.portal.doors import Door, Service
from idbroker.sandbox.portal.words import ENGLISH, SWEDISH
from idbroker.sandbox.settings import MINHALSA, NEUROREG

_SCOPE = "openid profile national_number"
_ENGLISH = {**ENGLISH, "number": "Personal identity number"}

_MINHALSA_ENGLISH = Service(
    id=MINHALSA,
    name="Min Hälsa",
    site="Region Jämtland Härjedalen",
    language="en",
    tongue="English",
    scope=_SCOPE,
    lead="Your bookings and video visits with the region. Log in with BankID or Freja eID Plus.",
    doors=(
        Door(
            path="bokade-tider", label="Bookings", title="Your bookings",
            text="Bookings at the clinics that you have added.",
            facts=(("Friday 10:15", "Video visit, Hälsorum Offerdal"),),
            leads=("besok/2031", "Open the video visit"),
        ),
        Door(
            path="mottagningar", label="My clinics", title="My clinics",
            text="A booking shows once its clinic is added here.", action="Added: Hälsorum Offerdal.",
        ),
        Door(
            path="annan-e-legitimation", label="Other e-IDs", title="Not every e-ID works here", public=True,
            text="Video visits and bookings can be opened with two e-IDs. With any other you cannot log in.",
            facts=(
                ("BankID", "Works. Your bank can give you one."),
                ("Freja eID Plus", "Works. Freja without Plus does not: it has not checked your identity document."),
                ("Mobilt SäkerhetsID", "Does not work."),
                ("An e-ID of another country, such as MitID", "Does not work."),
            ),
            action="Have you only one that does not work? Call the clinic that booked your visit before the day.",
        ),
        Door(
            path="besok/", label="", title="Video visit", text="The visit that the link in your invitation is about.",
            facts=(("When", "Friday 10:15"), ("Where", "Hälsorum Offerdal"), ("Shown in the visit", "Your name below")),
            action="You will wait in a locked lobby until staff let you in. Have an identity document at hand.",
        ),
    ),
    notes=(
        "Try to log in well before your visit.",
        "The link in an invitation opens that visit, and works again if the call is cut off:",
    ),
    example=("besok/2031", "video visit 2031"),
    help_path="hjalp",
    help_before=(
        "You log in with BankID or Freja eID Plus. Mobilt SäkerhetsID and foreign e-IDs do not work here.",
        "You are sent to a common login page and back here, to the very visit you wanted to open.",
        "With the app on another device, you scan a code on the login page. On this one, you open the app from there.",
        "If it does not work, call the clinic that booked your visit, or 0980-31 92 10.",
    ),
    help_after=(
        "Bookings: what is booked at the clinics you have added.",
        "Video visit: open it from the booking or from the link in the invitation.",
        "If the visit does not start on time, wait: staff will call you.",
        "Log out and close all browser windows when you are done.",
    ),
    words=_ENGLISH,
)  # fmt: skip

MINHALSA_PORTAL = Service(
    id=MINHALSA,
    name="Min Hälsa",
    site="Region Jämtland Härjedalen",
    language="sv",
    tongue="Svenska",
    scope=_SCOPE,
    lead="Dina bokade tider och videobesök hos regionen. Logga in med BankID eller Freja eID Plus.",
    doors=(
        Door(
            path="bokade-tider", label="Bokade tider", title="Dina bokade tider",
            text="Tider på de mottagningar som du har lagt till.",
            facts=(("Fredag kl. 10.15", "Videobesök, Hälsorum Offerdal"),),
            leads=("besok/2031", "Öppna videobesöket"),
        ),
        Door(
            path="mottagningar", label="Mina mottagningar", title="Mina mottagningar",
            text="En tid syns när du har lagt till dess mottagning här.", action="Tillagd: Hälsorum Offerdal.",
        ),
        Door(
            path="annan-e-legitimation", label="Andra e-legitimationer", public=True,
            title="Alla e-legitimationer fungerar inte här",
            text="Två e-legitimationer öppnar videobesök och bokade tider. Med andra kan du inte logga in.",
            facts=(
                ("BankID", "Fungerar. Du kan skaffa det hos din bank."),
                ("Freja eID Plus", "Fungerar. Freja utan Plus gör det inte: där är din id-handling inte kontrollerad."),
                ("Mobilt SäkerhetsID", "Fungerar inte."),
                ("E-legitimation från ett annat land, till exempel MitID", "Fungerar inte."),
            ),
            action="Har du bara en som inte fungerar? Ring mottagningen som bokade besöket i god tid.",
        ),
        Door(
            path="besok/", label="", title="Videobesök", text="Besöket som länken i din kallelse gäller.",
            facts=(("Tid", "Fredag kl. 10.15"), ("Mottagning", "Hälsorum Offerdal"), ("Visas i mötet", "Namnet nedan")),
            action="Du väntar i en låst lobby tills vårdpersonalen släpper in dig. Ha giltig legitimation till hands.",
        ),
    ),
    notes=(
        "Prova att logga in i god tid före ditt besök.",
        "Länken i en kallelse öppnar just det besöket, och fungerar igen om samtalet bryts:",
    ),
    example=("besok/2031", "videobesök 2031"),
    help_path="hjalp",
    help_before=(
        "Du loggar in med BankID eller Freja eID Plus. Mobilt SäkerhetsID och utländska e-legitimationer går inte.",
        "Du skickas till en gemensam inloggningssida och tillbaka hit, till just det besök som du ville öppna.",
        "Har du appen på en annan enhet läser du av en kod på inloggningssidan. Annars öppnar du appen därifrån.",
        "Fungerar det inte, ring mottagningen som bokade besöket, eller 0980-31 92 10.",
    ),
    help_after=(
        "Bokade tider: det som är bokat på de mottagningar som du har lagt till.",
        "Videobesök: öppna det från din bokade tid eller från länken i kallelsen.",
        "Börjar besöket inte i tid, vänta: vårdpersonalen ringer dig.",
        "Logga ut och stäng alla webbläsarfönster när du är klar.",
    ),
    words=SWEDISH,
    also=(_MINHALSA_ENGLISH,),
)  # fmt: skip

_NEUROREG_ENGLISH = Service(
    id=NEUROREG,
    name="Neuroreg PER",
    site="Svenska neuroregister",
    language="en",
    tongue="English",
    scope=_SCOPE,
    lead="Answer questions about your health before your visit. You can log in once care staff have registered you.",
    doors=(
        Door(
            path="per", label="My own registration (PER)", title="Your forms",
            text="Answer when it suits you; your clinic sees the answers at the next visit.",
            facts=(("How you are now", "10 questions, not begun"), ("Walking and balance", "Answered in the spring")),
        ),
        Door(
            path="vardkontakter", label="My care contacts", title="Your care contacts",
            text="Visits that your clinic has entered in the register.",
            facts=(("Last visit", "12 March, neurology clinic"), ("Next visit", "Not booked")),
        ),
        Door(
            path="statistik", label="Statistics (VAP)", title="Statistics from the register", public=True,
            text="Open to all, and about nobody in particular. The numbers are invented.",
            facts=(
                ("Patients in the register", "4 210"), ("Clinics", "31"), ("Forms answered", "62 per cent"),
            ),
        ),
        Door(
            path="vardgivare", label="Pages for care staff", title="Pages for care staff", public=True,
            text="Staff will register patients, correct their contacts and send passwords here.",
            action="Not yet: this sandbox has no login for staff.",
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
    stranger="You are not in the register yet. Care staff enter you the first time: ask your clinic.",
    words=_ENGLISH,
)  # fmt: skip

NEUROREG_PORTAL = Service(
    id=NEUROREG,
    name="Neuroreg PER",
    site="Svenska neuroregister",
    language="sv",
    tongue="Svenska",
    scope=_SCOPE,
    lead="Svara på frågor om hur du mår inför ditt besök. Du kan logga in när vården har registrerat dig.",
    doors=(
        Door(
            path="per", label="Patientens egen registrering (PER)", title="Dina formulär",
            text="Svara när det passar dig; mottagningen ser svaren vid nästa besök.",
            facts=(("Hur du mår just nu", "10 frågor, inte påbörjat"), ("Gång och balans", "Besvarat i våras")),
        ),
        Door(
            path="vardkontakter", label="Mina vårdkontakter", title="Dina vårdkontakter",
            text="Besök som din mottagning har fört in i registret.",
            facts=(("Senaste besök", "12 mars, neurologmottagningen"), ("Nästa besök", "Inte bokat")),
        ),
        Door(
            path="statistik", label="Statistik (VAP)", title="Statistik ur registret", public=True,
            text="Öppen för alla, och inte om någon enskild. Talen är påhittade.",
            facts=(
                ("Patienter i registret", "4 210"), ("Mottagningar", "31"), ("Besvarade formulär", "62 procent"),
            ),
        ),
        Door(
            path="vardgivare", label="Sidor för vårdgivare", title="Sidor för vårdgivare", public=True,
            text="Här ska personalen registrera patienter, rätta deras kontaktuppgifter och skicka lösenord.",
            action="Inte ännu: sandlådan har ingen inloggning för personal.",
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
    stranger="Du finns inte i registret ännu. Vården registrerar dig första gången: fråga din mottagning.",
    words=SWEDISH,
    also=(_NEUROREG_ENGLISH,),
)  # fmt: skip
