"""What the pages to fill in are filled in with: each page, and each of its states and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from idbroker.accounts.account import Standing
from idbroker.web.mine import TOLD
from idbroker.web.qr import drawing

NUMBER = "0107729995"
LOCKED = "2026-11-22T13:20:00+00:00"
SENT = "2026-11-22T13:04:00+00:00"
TERMS = "Klinikken bruger dine oplysninger til din behandling.\n\nDu kan altid sige nej:\n- ring til os\n- skriv til os"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A page to fill in: its name, what it is filled in with, what is wrong with it."""

    page: str
    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    posts: bool = True
    about: str | None = None


def _filled(page: str, values: Mapping[str, str] | None = None, **errors: str) -> Filled:
    return Filled(page=page, values=values or {}, errors=errors)


_SMS = {"channel": "sms", "shown": "56", "until": LOCKED, "others": "email app", "purpose": "login"}
_MAIL = {"channel": "email", "shown": "a•••@d•••.dk", "until": LOCKED, "others": "", "purpose": "contact"}
_CHECK = {
    "name": "Anna Åberg",
    "number": "010772-••••",
    "email": "anna@example.com",
    "for": "self",
    "terms": "3",
    "text": TERMS,
}
_DIFFER = {
    "email": "anna@example.com",
    "phone": "+45 20 12 34 56",
    "told_email": "anna.aaberg.1972.privat@long-name.example.com",
}
_CONSENT = {
    "items": "name birthdate national_number national_number_country",
    "value.name": "Anna Åberg",
    "value.birthdate": "1972-07-01",
    "value.national_number": "010772-9995",
    "value.national_number_country": "DK",
    "purpose": "at vise dine recepter",
    "own": "/me/clinea",
}
_WHO = {
    "self": "Anna Åberg",
    "only": "",
    "count": "3",
    "down": "",
    "elsewhere": "",
    "title": "",
    "clinic": "Lægerne på Åboulevarden",
    "country": "DK",
    "name.0": "Bo Åberg",
    "age.0": "9",
    "name.1": "Chrêstiane-Ågot Håkansdatter O’Neill-Åberg af Kællingehæle",
    "age.1": "1",
    "name.2": "",
    "age.2": "0",
}
_ALONE = {**_WHO, "count": "0"}
_NEW = {"number": "010772-••••", "least": "12"}

_OWN = {"path": "/me/aaboulevarden", "client": "me.aaboulevarden"}
_MINE = {
    **_OWN,
    "account": "1",
    "name": "Anna Åberg",
    "email": "a•••@d•••.dk",
    "email.may_go": "1",
    "phone": "56",
    "phone.may_go": "1",
    "phone.unproved": "1",
    "password": SENT,
    "app": "1",
    "app.may_go": "1",
}
_THIS = {"id": "h1", "at": SENT, "seen": SENT, "provider": "fallback", "eid": "", "services": "", "this": "1"}
_THAT = {**_THIS, "id": "h2", "seen": LOCKED, "eid": "MitID", "services": "Min Lægeside, Patientportalen", "this": ""}
_DONE = {"at": SENT, "service": "", "provider": "fallback", "eid": "", "by": "Bo Åberg", "role": "", "times": ""}
_SIGNED_IN = {**_DONE, "kind": "signin.granted", "service": "Min Lægeside", "provider": "mitid", "eid": "MitID"}
_STAFF = {**_DONE, "service": "Havnens Læger", "provider": "", "by": "", "role": "carer"}
_ROWS: Mapping[str, Sequence[Mapping[str, str]]] = {
    "kids": [{"id": "0" * 24, "name": "Emil Prøvesen", "age": "9", "until": "2032-08-13"}],
    "sessions": [_THIS, _THAT],
    "consents": [
        {"id": "c1", "kind": "release", "about": "Min Lægeside", "claims": "name national_number", "at": SENT},
        {"id": "c2", "kind": "terms", "about": "Havnens Læger", "version": "3", "claims": "", "at": SENT},
    ],
    "clinics": [{"clinic": "Havnens Læger", "standing": standing} for standing in Standing],
    "events": [
        {**_SIGNED_IN, "by": ""},
        *({**(_STAFF if kind.startswith(("patient.", "guardianship.")) else _DONE), "kind": kind} for kind in TOLD),
    ],
    "others": [{**_STAFF, "kind": "patient.opened", "times": "3"}],
    "acting": [{"name": "Emil Prøvesen", "until": "2026-08-30"}, {"name": "", "until": "2026-09-01"}],
}
_NONE: Mapping[str, Sequence[Mapping[str, str]]] = {
    "kids": [],
    "consents": [],
    "clinics": [],
    "events": [],
    "others": [],
    "acting": [],
}
_BARE = {**_NONE, "sessions": [_THIS]}
_KIDS = {
    "age": "15",
    "country": "DK",
    "count": "3",
    "name.0": "Emil Prøvesen",
    "age.0": "9",
    "name.1": "Ebba-Christine Prøvesen Skovgaard-Petersen",
    "age.1": "1",
    "name.2": "Ib Prøvesen",
    "age.2": "0",
}
_KID = {
    "name": "Emil Prøvesen",
    "age": "9",
    "until": "2032-08-13",
    "number": NUMBER,
    "password": SENT,
    "email": "a•••@d•••.dk",
    "phone": "56",
    "up": "/me/aaboulevarden",
}
_APP = {**_OWN, "secret": "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP", "uri": "otpauth://totp/login.example:Anna"}
_DRAWN = {"dots": drawing(_APP["uri"]).path, "box": drawing(_APP["uri"]).view_box}

_STAFF = {"login": "anna.berg", "mail": "info@example.org", "market": "SE", "locked": "", "busy": ""}
FORMS: Mapping[str, Filled] = {
    "staff": _filled("staff", {**_STAFF, "login": ""}),
    "staff-wrong": _filled("staff", _STAFF, login="s.as.e.login"),
    "staff-locked": _filled("staff", {**_STAFF, "locked": LOCKED, "mail": "", "market": "DK"}),
    "staffcode": _filled("staffcode"),
    "staffcode-wrong": _filled("staffcode", code="s.as.e.code"),
    "assistedwho": _filled("assistedwho", {"mask": "1"}),
    "assistedwho-nobody": _filled("assistedwho", {"number": NUMBER, "mask": "1"}, number="s.as.e.nobody"),
    "give": _filled("give", {"name": "Anna Åberg", "year": "1972"}),
    "password": _filled("password", {"country": "DK"}),
    "password-empty": _filled("password", {"number": "01"}, number="p.e.id", password="p.e.pw"),
    "password-wrong": _filled("password", {"number": NUMBER, "left": "2", "mask": "1"}, number="p.e.wrong"),
    "password-last": _filled("password", {"number": NUMBER, "left": "1"}, number="p.e.wrong"),
    "password-locked": _filled("password", {"number": NUMBER, "locked": LOCKED}),
    "password-busy": _filled("password", {"number": NUMBER, "busy": "1"}),
    "password-abroad": _filled("password", {"country": "FI"}, number="p.e.id"),
    "code": _filled("code", _SMS),
    "code-again": _filled("code", {**_SMS, "again": SENT}),
    "code-wrong": _filled("code", {**_SMS, "left": "2"}, code="o.e.wrong"),
    "code-old": _filled("code", {**_SMS, "again": SENT}, code="o.e.old"),
    "code-locked": _filled("code", {**_SMS, "locked": LOCKED}),
    "code-limited": _filled("code", {**_SMS, "limited": LOCKED}),
    "code-dead": _filled("code", {**_SMS, "dead": "1"}),
    "code-mail": _filled("code", _MAIL),
    "code-app": _filled("code", {"channel": "app", "others": "sms", "purpose": "login"}),
    "contact": _filled("contact", {"for": "self"}),
    "contact-wrong": _filled(
        "contact", {"for": "child", "email": "anna", "phone": "33 12 34 56"}, email="r.e.mail", phone="r.e.mob"
    ),
    "newpassword": _filled("newpassword", {**_NEW, "optional": "1", "eid": "MitID"}),
    "newpassword-short": _filled("newpassword", {**_NEW, "mixed": "1"}, password="f.e.short"),
    "check": _filled("check", {**_CHECK, "phone": "+45 20 12 34 56", "password": "1"}),
    "check-child": _filled("check", {**_CHECK, "for": "child", "number": "", "child": "050518-••••", "terms": ""}),
    "waiting": _filled("waiting", {"until": "2026-11-25", "for": "self"}),
    "waiting-child": _filled("waiting", {"until": "2026-11-25", "for": "child"}),
    "enrol": _filled("enrol", {"service": "Patientportalen", "clinic": "Havnens Læger"}),
    "notaken": _filled("notaken"),
    "have": _filled("have", {"name": "Anna Åberg"}),
    "child": _filled("child", {"age": "15", "country": "DK"}),
    "child-wrong": _filled("child", {"age": "15", "number": "0505"}, number="p.e.id"),
    "child-old": _filled("child", {"age": "15", "number": NUMBER}, number="r.e.age"),
    "child-list": _filled("child", _KIDS),
    "child-none": _filled("child", _KIDS, who="r.e.who"),
    "childlogin": _filled("childlogin", {"age": "15", "ward": "Emil"}),
    "newpassword-child": _filled("newpassword", {**_NEW, "ward": "Emil"}),
    "childdone": _filled("childdone", {"age": "15", "name": "Emil Prøvesen", "login": "yes"}),
    "childdone-bare": _filled("childdone", {"age": "15", "name": "Emil Prøvesen", "login": "no"}),
    "differ": _filled("differ", _DIFFER),
    "differ-none": _filled("differ", _DIFFER, choice="k.e.choice"),
    "differ-other": _filled("differ", {**_DIFFER, "choice": "other", "own_email": "anna"}, email="r.e.mail"),
    "consent": _filled("consent", _CONSENT),
    "consent-acting": Filled(page="consent", values=_CONSENT, about="Bo Åberg"),
    "terms-acting": Filled(page="terms", values={"version": "3", "text": TERMS}, about=""),
    "who": _filled("who", _WHO),
    "who-none": _filled("who", _WHO, who="a.e.none"),
    "who-number": _filled("who", {**_WHO, "number": "0105", "country": "SE"}, number="p.e.id"),
    "who-chosen": _filled("who", {**_WHO, "who": "1"}),
    "who-must": _filled("who", {**_WHO, "only": "1"}, who="a.e.none"),
    "who-nobody": _filled("who", {**_ALONE, "only": "1"}),
    "who-elsewhere": _filled("who", {**_ALONE, "elsewhere": "powers", "title": "Suomi.fi-valtuudet"}),
    "who-back": _filled("who", {**_WHO, "elsewhere": "powers", "title": "Suomi.fi-valtuudet"}),
    "who-only-elsewhere": _filled("who", {**_ALONE, "only": "1", "elsewhere": "powers", "title": "Suomi.fi-valtuudet"}),
    "who-down": _filled("who", {**_ALONE, "down": "1"}),
    "who-only-down": _filled("who", {**_ALONE, "only": "1", "down": "1"}),
    "whono": _filled("whono", {"clinic": "Lægerne på Åboulevarden", "phone": "+45 33 12 34 56"}),
    "terms": _filled("terms", {"version": "3", "text": TERMS}),
    "register": _filled("register", {"age": "15", "eids": "MitID, Freja eID Plus"}),
    "forgot": _filled("forgot", {"back_href": "/t/abc/choose"}),
    "forgot-wrong": _filled("forgot", {"number": "01"}, number="p.e.id"),
    "sent": Filled(page="sent", values={"back_href": "https://portal.example/start"}, posts=False),
    "activate": _filled("activate", {"country": "DK"}),
    "activate-wrong": _filled("activate", {"country": "SE", "number": NUMBER}, code="activate.e.wrong"),
    "activate-locked": _filled("activate", {"country": "DK", "locked": LOCKED}),
    "reach": _filled("reach", {"for": "self"}),
    "reach-wrong": _filled("reach", {"for": "self", "email": "nobody"}, email="r.e.mail"),
    "set": _filled("set", _NEW),
    "set-activate": _filled("set", {**_NEW, "activate": "1", "mixed": "1"}),
    "set-child": _filled("set", {**_NEW, "child": "1", "me_href": "/me/clinea"}),
    "set-common": _filled("set", _NEW, password="f.e.common"),
    "setdone": Filled(page="setdone", values={"resume_href": "/t/abc/choose"}, posts=False),
    "setdone-activate": Filled(
        page="setdone", values={"activate": "1", "back_href": "https://portal.example/start"}, posts=False
    ),
    "linkgone": Filled(
        page="linkgone",
        values={"again_href": "/forgot", "back_href": "https://portal.example/start"},
        posts=False,
    ),
    "linkgone-elsewhere": Filled(page="linkgone", values={"back_href": "https://portal.example/start"}, posts=False),
    "me": Filled(page="me", values=_MINE, rows=_ROWS),
    "me-bare": Filled(page="me", values=_OWN, rows=_BARE),
    "me-saved": Filled(page="me", values={**_MINE, "saved": "email"}, rows=_ROWS),
    "me-last": Filled(page="me", values={**_MINE, "refused": "1"}, rows=_ROWS),
    "mecontact": _filled("mecontact", {**_OWN, "what": "email"}),
    "mecontact-wrong": _filled("mecontact", {**_OWN, "what": "phone", "address": "33 12 34 56"}, address="r.e.mob"),
    "mecode": _filled("code", {**_MAIL, **_OWN}),
    "meapp": _filled("meapp", {**_APP, **_DRAWN}),
    "meapp-wrong": _filled("meapp", {**_APP, **_DRAWN, "replaces": "1"}, code="me.app.e.code"),
    "mepassword": _filled("mepassword", {**_OWN, "least": "12"}),
    "mechild": _filled("mechild", {**_OWN, **_KID}),
    "mechild-saved": _filled("mechild", {**_OWN, **_KID, "saved": "password"}),
    "mechild-refused": _filled("mechild", {**_OWN, **_KID, "refused": "1"}),
    "mechildpassword": _filled("mechildpassword", {**_OWN, "name": "Emil Prøvesen", "least": "12"}),
    "mepassword-wrong": _filled("mepassword", {**_OWN, "least": "12", "left": "3"}, current="me.e.current"),
    "meout": Filled(page="meout", values=_OWN, posts=False),
}
