"""The demo portal of a Finnish county's video visits, in Finnish, Swedish and English."""

from __future__ import annotations

from idbroker.sandbox.portal.doors import Door, Service
from idbroker.sandbox.portal.words import ENGLISH, FINNISH, SWEDISH
from idbroker.sandbox.settings import VIDEOVISIT

_SCOPE = "openid profile national_number"
_ZONE = "Europe/Helsinki"

_ENGLISH = Service(
    id=VIDEOVISIT,
    name="Videovisit",
    site="Esimerkkilä wellbeing services county",
    language="en",
    tongue="English",
    scope=_SCOPE,
    zone=_ZONE,
    lead="Meet a professional by sound and picture. You come in by the link in your e-mail, and prove who you are.",
    doors=(
        Door(
            path="varaukset", label="My video visits", title="Your video visits", mine=True,
            text="Choose a visit. The link in the e-mail leads to the same place.",
        ),
        Door(
            path="lapset", label="For a child", title="Joining for a child", public=True,
            text="A guardian takes care of a child under 12. From 12 on a child proves who they are themselves.",
            facts=(
                ("Child under 12", "You log in with your own bank codes or mobile certificate"),
                ("Child of 12 or older", "Needs bank codes or a mobile certificate of their own"),
            ),
            leads=("login?door=varaukset&person", "Choose the child"),
        ),
        Door(
            path="ei-linkkia", label="No link, no time", title="No link, or no time booked", public=True,
            text="A video visit needs a time that a professional has given you.",
            facts=(
                ("The link did not come", "Call the unit that cares for you"),
                ("No time is booked", "Call the unit, or write to it"),
            ),
        ),
        Door(
            path="visit/", label="", title="Your video visit", room=True,
            text="You have been invited to a video visit. Nobody else can come in by this link.",
            facts=(("With", "Esimerkkilä health centre"),),
        ),
    ),
    notes=("Works in Google Chrome and Microsoft Edge.",),
    help_path="ohje",
    help_before=(
        "Open the e-mail with the invitation, and follow its link.",
        "Choose your language at the top of the page, then press Identify yourself. You are sent to suomi.fi.",
        "Identify yourself with bank codes or a mobile certificate. You come back to your visit by yourself.",
        "If it does not work, call the unit that cares for you, or 09 000 0000.",
    ),
    help_after=(
        "Allow the use of camera and microphone when you are asked.",
        "Press Ask to join. While the button cannot be pressed, the visit has not begun.",
        "Wait until the professional lets you in.",
        "When the call is over, hang up and log out.",
    ),
    stranger="This visit is somebody else’s. Follow the link in your own e-mail.",
    room={
        "day": "%-d %B at %H:%M", "begins": "Begins", "now": "It is now",
        "early_before": "The visit opens at", "early_after": "Come back then: the button can be pressed from then on.",
        "identify_now": "You can identify yourself before.",
        "identify_text": "Have bank codes or a mobile certificate at hand. You are sent to suomi.fi and back here.",
        "open": "The visit is open.", "ask": "Ask to join", "look": "Look again",
        "waiting": "You have asked to join. Wait here until the professional lets you in.",
        "inside": "You are in the video visit. (There is no picture and no sound in the sandbox.)",
        "hang_up": "Hang up", "none": "You have no video visit booked.",
    },
    words={**ENGLISH, "login": "Identify yourself", "number": "Personal identity code"},
    acts=True,
)  # fmt: skip

_SWEDISH = Service(
    id=VIDEOVISIT,
    name="Videovisit",
    site="Exempelby välfärdsområde",
    language="sv",
    tongue="Svenska",
    scope=_SCOPE,
    zone=_ZONE,
    lead="Möt en yrkesperson med ljud och bild. Du kommer in via länken i din e-post och visar vem du är.",
    doors=(
        Door(
            path="varaukset", label="Mina videomottagningar", title="Dina videomottagningar", mine=True,
            text="Välj en tid. Länken i e-postmeddelandet leder till samma ställe.",
        ),
        Door(
            path="lapset", label="För ett barn", title="Att delta för ett barn", public=True,
            text="En vårdnadshavare sköter ärenden för ett barn under 12 år. Från 12 år gör barnet det självt.",
            facts=(
                ("Barn under 12 år", "Du loggar in med dina egna nätbankskoder eller ditt mobilcertifikat"),
                ("Barn som har fyllt 12", "Behöver egna nätbankskoder eller ett eget mobilcertifikat"),
            ),
            leads=("login?door=varaukset&person", "Välj barnet"),
        ),
        Door(
            path="ei-linkkia", label="Ingen länk, ingen tid", title="Ingen länk eller ingen bokad tid", public=True,
            text="Till en videomottagning behövs en tid som en yrkesperson har gett dig.",
            facts=(
                ("Länken kom inte", "Ring enheten som vårdar dig"),
                ("Ingen tid är bokad", "Ring enheten eller skriv till den"),
            ),
        ),
        Door(
            path="visit/", label="", title="Din videomottagning", room=True,
            text="Du är kallad till en videomottagning. Ingen annan kommer in med den här länken.",
            facts=(("Enhet", "Exempelby hälsostation"),),
        ),
    ),
    notes=("Fungerar i Google Chrome och Microsoft Edge.",),
    help_path="ohje",
    help_before=(
        "Öppna e-postmeddelandet med kallelsen och följ länken i det.",
        "Välj språk högst upp på sidan och tryck på Identifiera dig. Du skickas till suomi.fi.",
        "Identifiera dig med nätbankskoder eller mobilcertifikat. Sedan kommer du tillbaka till ditt besök.",
        "Fungerar det inte, ring enheten som vårdar dig, eller 09 000 0000.",
    ),
    help_after=(
        "Tillåt kamera och mikrofon när webbläsaren frågar.",
        "Tryck på Be att få ansluta. Så länge knappen inte går att trycka på har besöket inte börjat.",
        "Vänta tills yrkespersonen släpper in dig.",
        "När samtalet är slut lägger du på och loggar ut.",
    ),
    stranger="Det här besöket är någon annans. Följ länken i din egen e-post.",
    room={
        "day": "%-d.%-m kl. %H.%M", "begins": "Börjar", "now": "Klockan är nu",
        "early_before": "Besöket öppnar kl.", "early_after": "Kom tillbaka då: sedan går knappen att trycka på.",
        "identify_now": "Du kan identifiera dig redan nu.",
        "identify_text": "Ha nätbankskoder eller mobilcertifikat till hands. Du skickas till suomi.fi och hit igen.",
        "open": "Besöket är öppet.", "ask": "Be att få ansluta", "look": "Se efter igen",
        "waiting": "Du har bett att få ansluta. Vänta här tills yrkespersonen släpper in dig.",
        "inside": "Du är med i videobesöket. (I sandlådan finns varken bild eller ljud.)",
        "hang_up": "Lägg på", "none": "Du har ingen bokad videomottagning.",
    },
    words={**SWEDISH, "login": "Identifiera dig", "number": "Personbeteckning"},
    acts=True,
)  # fmt: skip

VIDEOVISIT_PORTAL = Service(
    id=VIDEOVISIT,
    name="Videovisit",
    site="Esimerkkilän hyvinvointialue",
    language="fi",
    tongue="Suomi",
    scope=_SCOPE,
    zone=_ZONE,
    lead="Tapaa ammattilainen kuvan ja äänen välityksellä. Tulet sisään sähköpostin linkistä ja tunnistaudut.",
    doors=(
        Door(
            path="varaukset", label="Omat videovastaanotot", title="Videovastaanottosi", mine=True,
            text="Valitse aika. Sähköpostin linkki vie samaan paikkaan.",
        ),
        Door(
            path="lapset", label="Lapsen puolesta", title="Osallistuminen lapsen puolesta", public=True,
            text="Huoltaja asioi alle 12-vuotiaan lapsen puolesta. 12 vuotta täyttänyt tunnistautuu itse.",
            facts=(
                ("Alle 12-vuotias", "Kirjaudut omilla pankkitunnuksillasi tai mobiilivarmenteellasi"),
                ("12 vuotta täyttänyt", "Tarvitsee omat pankkitunnukset tai oman mobiilivarmenteen"),
            ),
            leads=("login?door=varaukset&person", "Valitse lapsi"),
        ),
        Door(
            path="ei-linkkia", label="Ei linkkiä, ei aikaa", title="Linkki puuttuu tai aikaa ei ole", public=True,
            text="Videovastaanottoon tarvitaan aika, jonka ammattilainen on antanut.",
            facts=(
                ("Linkki ei tullut", "Soita sinua hoitavaan yksikköön"),
                ("Aikaa ei ole varattu", "Soita yksikköön tai kirjoita sinne"),
            ),
        ),
        Door(
            path="visit/", label="", title="Videovastaanottosi", room=True,
            text="Sinut on kutsuttu videovastaanotolle. Kukaan muu ei pääse sisään tällä linkillä.",
            facts=(("Yksikkö", "Esimerkkilän terveysasema"),),
        ),
    ),
    notes=("Toimii selaimilla Google Chrome ja Microsoft Edge.",),
    help_path="ohje",
    help_before=(
        "Avaa sähköposti, jossa kutsu on, ja seuraa sen linkkiä.",
        "Valitse kieli sivun yläreunasta ja paina Tunnistaudu. Siirryt suomi.fi-palveluun.",
        "Tunnistaudu pankkitunnuksilla tai mobiilivarmenteella. Palaat sen jälkeen itsestään omaan vastaanottoosi.",
        "Jos se ei onnistu, soita sinua hoitavaan yksikköön tai numeroon 09 000 0000.",
    ),
    help_after=(
        "Salli kameran ja mikrofonin käyttö, kun selain kysyy.",
        "Paina Pyydä päästä mukaan. Jos painiketta ei voi painaa, vastaanotto ei ole vielä alkanut.",
        "Odota, että ammattilainen päästää sinut sisään.",
        "Kun puhelu päättyy, katkaise se ja kirjaudu ulos.",
    ),
    stranger="Tämä vastaanotto on jonkun toisen. Seuraa oman sähköpostisi linkkiä.",
    room={
        "day": "%-d.%-m. klo %H.%M", "begins": "Alkaa", "now": "Kello on nyt",
        "early_before": "Vastaanotto avautuu klo", "early_after": "Palaa silloin: painiketta voi painaa siitä alkaen.",
        "identify_now": "Voit tunnistautua jo nyt.",
        "identify_text": "Pidä pankkitunnukset tai mobiilivarmenne esillä. Siirryt suomi.fi-palveluun ja takaisin.",
        "open": "Vastaanotto on avoinna.", "ask": "Pyydä päästä mukaan", "look": "Katso uudelleen",
        "waiting": "Olet pyytänyt päästä mukaan. Odota tässä, kunnes ammattilainen päästää sinut sisään.",
        "inside": "Olet videovastaanotolla. (Hiekkalaatikossa ei ole kuvaa eikä ääntä.)",
        "hang_up": "Katkaise", "none": "Sinulla ei ole varattua videovastaanottoa.",
    },
    words={**FINNISH, "login": "Tunnistaudu"},
    acts=True,
    also=(_SWEDISH, _ENGLISH),
)  # fmt: skip
