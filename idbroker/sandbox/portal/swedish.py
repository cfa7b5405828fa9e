"""The demo portal of a Swedish region, in Swedish and in English."""

from __future__ import annotations

from idbroker.sandbox.portal.doors import Door, Service
from idbroker.sandbox.portal.words import ENGLISH, SWEDISH
from idbroker.sandbox.settings import MINHALSA

SCOPE = "openid profile national_number"
SWEDISH_ENGLISH = {**ENGLISH, "number": "Personal identity number"}

_MINHALSA_ENGLISH = Service(
    id=MINHALSA,
    name="Min Hälsa",
    site="Region Jämtland Härjedalen",
    language="en",
    tongue="English",
    scope=SCOPE,
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
            action="Do you only have one that does not work? Call the clinic that booked your visit before the day.",
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
        "Are you a guardian? You choose whom it is about: yourself, or a child under 13.",
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
    words=SWEDISH_ENGLISH,
    acts=True,
)  # fmt: skip

MINHALSA_PORTAL = Service(
    id=MINHALSA,
    name="Min Hälsa",
    site="Region Jämtland Härjedalen",
    language="sv",
    tongue="Svenska",
    scope=SCOPE,
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
        "Är du vårdnadshavare? Du väljer vem det gäller: dig själv eller ett barn som inte har fyllt 13.",
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
    acts=True,
    also=(_MINHALSA_ENGLISH,),
)  # fmt: skip
