"""Who a sign-in is about: asked where the service wants it known, and whenever nobody but a guardian may go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

import structlog

from idbroker.accounts.question import Onward, Proved, Settled, Stopped
from idbroker.acting import About, Acting
from idbroker.ages import age_on, comes_of_age, day_of
from idbroker.client import Clients
from idbroker.clinic import COUNTRIES
from idbroker.codec import Codec
from idbroker.errors import Cancelled, ProviderError
from idbroker.events import Event, Events
from idbroker.form import Form
from idbroker.guardianship.entering import ends_soon, limits_over
from idbroker.guardianship.judging import DOWN, NO_RELATION, Judging, Known, Refusal
from idbroker.guardianship.records import AGAINST, USED, Guardianship, Guardianships, new_id
from idbroker.guardianship.registers import Found
from idbroker.guardianship.tie import MANDATE, REGISTER, Away, Guardian
from idbroker.numbers import NationalNumber, NotANumber, parse
from idbroker.visit import Visit

MOST_WARDS = 40
JUST_ASKED = timedelta(seconds=20)  # a word that is good for its moment only is so for this long
_LONGEST_NUMBER = 64
_log = structlog.get_logger("idbroker.guardianship")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """Whom the page offers, in its order; and the register's page that the person was sent to."""

    offered: tuple[Known, ...] = ()
    away: Away | None = None


_codec = Codec(_Shown)


@dataclass(frozen=True, kw_only=True)
class Who:
    """The question of who it is about.

    `subject` is the name a client knows a person by; `may_try` counts the numbers that somebody types, and says no
    to who tries too many; `return_url` is ours, by register.
    """

    judging: Judging
    events: Events
    subject: Callable[[str, Visit], str]
    may_try: Callable[[str, Visit], bool]
    return_url: Callable[[str], str]
    rows: Guardianships
    clients: Clients
    name = "who"

    def begin(self, visit: Visit, proved: Proved) -> Form | Settled | None:
        """Return the page; Settled where it is said already; None where nobody acts for anybody here."""
        if proved.about is not None:
            return self._again(visit, proved, proved.about.acting)
        if proved.wish or visit.client.acting == "never":
            return None
        wished, guardian = proved.request.acting_for or "", _guardian(visit, proved)
        if wished not in ("", "ask", "self"):
            return self._named(visit, proved, guardian, wished)
        hinted = self._hinted(visit, proved, guardian)
        if hinted is not None:
            return hinted
        if self._names_another(visit, proved, guardian) or not (_must(visit, proved) or _asked(visit, proved)):
            return None
        return self._as_before(visit, proved, guardian) or self._page(visit, proved, guardian)

    def resume(
        self, visit: Visit, proved: Proved, form: Form, reply: Mapping[str, str]
    ) -> Form | Settled | Stopped | Onward:
        """Go on with what was chosen."""
        shown, guardian = _codec.unpack(form.state), _guardian(visit, proved)
        if form.page == "whono":
            return self._page(visit, proved, guardian, shortcut=False)
        match reply.get("do", ""):
            case "returned" if shown.away is not None:
                return self._returned(visit, proved, guardian, shown.away, reply)
            case "" | "number" as do if do or reply.get("number", "").strip():  # Enter in the field has no `do`
                return self._typed(visit, proved, guardian, form, reply)
            case "elsewhere":
                return self._leave(visit, guardian, form, reply)
            case _:
                return self._chosen(visit, proved, guardian, form, shown, reply.get("who", ""))

    # ---- what is said already --------------------------------------------------------------------

    def _named(self, visit: Visit, proved: Proved, guardian: Guardian, wished: str) -> Form | Settled:
        """Go on with the ward that the service names by its `sub`: judged as if the person had chosen them."""
        if wished == self.subject(guardian.person, visit) and not _must(visit, proved):
            return Settled(about=About())
        before = proved.before
        if before is not None and self.subject(before.ward, visit) == wished:
            return self._settled(
                visit, proved, self.judging.again(before, guardian, visit.client, visit.clinic, visit.now)
            )
        found = self.judging.registers.wards(guardian, visit.clinic, visit.now)
        for verdict in self._verdicts(visit, guardian, found):
            if self.subject(verdict.ward, visit) == wished:
                sure = self.judging.confirmed(verdict, found, guardian, visit.client, visit.clinic, visit.now)
                return self._settled(visit, proved, sure)
        return self._refused(visit, proved, Refusal(reason=DOWN if found.down else NO_RELATION))

    def _hinted(self, visit: Visit, proved: Proved, guardian: Guardian) -> Settled | None:
        """Go on with the one whom the service's hint names: who signed in, or whom it was about before, there."""
        hint, before = proved.request.required_subject, proved.before
        if hint is None or proved.request.acting_for is not None:
            return None
        if hint == self.subject(guardian.person, visit) and not _must(visit, proved):
            return Settled(about=About())
        if before is None or hint != self.subject(before.ward, visit):
            return None
        return self._renewed(visit, guardian, before)

    def _names_another(self, visit: Visit, proved: Proved, guardian: Guardian) -> bool:
        """Tell whether a service that may show no page wants somebody whom this sign-on was never about, there."""
        hint = proved.request.required_subject
        silent = "none" in proved.request.prompt and proved.request.acting_for is None
        return silent and hint is not None and hint != self.subject(guardian.person, visit)

    def _as_before(self, visit: Visit, proved: Proved, guardian: Guardian) -> Settled | None:
        """Go on as in this sign-on before, where the service may show no page (prompt=none) and names nobody."""
        before, request = proved.before, proved.request
        if before is None or request.acting_for == "ask" or request.required_subject is not None:
            return None
        return self._renewed(visit, guardian, before) if "none" in request.prompt else None

    def _renewed(self, visit: Visit, guardian: Guardian, before: Acting) -> Settled | None:
        verdict = self.judging.again(before, guardian, visit.client, visit.clinic, visit.now)
        return Settled(about=About(acting=verdict)) if isinstance(verdict, Acting) else None

    def _again(self, visit: Visit, proved: Proved, acting: Acting | None) -> Form | Settled | None:
        """Judge once more what was said, where time has passed since: another question's page may have lain open.

        The attack: consent is asked for at 23:50, and given after midnight, when the child has grown up.
        """
        if acting is None or visit.now < min(max(acting.good_until, acting.checked_at + JUST_ASKED), acting.until):
            return None
        guardian = _guardian(visit, proved)
        return self._settled(visit, proved, self.judging.again(acting, guardian, visit.client, visit.clinic, visit.now))

    # ---- the page --------------------------------------------------------------------------------

    def _page(self, visit: Visit, proved: Proved, guardian: Guardian, *, shortcut: bool = True) -> Form | Settled:
        found = self.judging.registers.wards(guardian, visit.clinic, visit.now)
        offered = self._offered(visit, guardian, found)
        # A service that renews in silence what was about a ward must not come to be about the guardian.
        renews = proved.before is not None and "none" in proved.request.prompt
        unasked = visit.client.acting == "always" and proved.request.acting_for is None and not renews and shortcut
        if unasked and not offered and not found.down and not self.judging.registers.pages(visit.clinic, guardian):
            return Settled(about=About())  # nobody to choose from: the same for all who have nobody, whatever the cause
        return self._shown(visit, proved, guardian, offered, down=bool(found.down))

    def _shown(
        self,
        visit: Visit,
        proved: Proved,
        guardian: Guardian,
        offered: tuple[tuple[Known, Acting], ...],
        *,
        down: bool,
    ) -> Form:
        day = day_of(visit.now, visit.clinic.zone)
        wards = {f"name.{n}": acting.name or "" for n, (_, acting) in enumerate(offered)}
        ages = {f"age.{n}": _age(acting.birthdate, day) for n, (_, acting) in enumerate(offered)}
        ends = {f"until.{n}": _end(visit, acting) for n, (_, acting) in enumerate(offered)}
        pages = self.judging.registers.pages(visit.clinic, guardian)
        values = {
            "self": proved.identity.name or "",
            "only": "1" if _must(visit, proved) else "",
            "count": str(len(offered)),
            "down": "1" if down else "",
            "elsewhere": pages[0].name if pages and not down else "",
            "title": pages[0].title if pages and not down else "",
            "clinic": visit.clinic.name,
            "country": visit.clinic.country,
            **wards,
            **ages,
            **ends,
        }
        return Form(page="who", state=_codec.pack(_Shown(offered=tuple(known for known, _ in offered))), values=values)

    def _offered(self, visit: Visit, guardian: Guardian, found: Found) -> tuple[tuple[Known, Acting], ...]:
        """Return whom the person may choose. A register that does not answer might bar any of them: then nobody."""
        if found.down:
            return ()
        judged = tuple(self.judging.each(found, guardian, visit.client, visit.clinic, visit.now))
        self._forget(visit, guardian.person, (verdict for _, verdict in judged))
        return tuple((known, verdict) for known, verdict in judged if isinstance(verdict, Acting))[:MOST_WARDS]

    def _verdicts(self, visit: Visit, guardian: Guardian, found: Found) -> tuple[Acting, ...]:
        return tuple(acting for _, acting in self._offered(visit, guardian, found))

    # ---- what was chosen -------------------------------------------------------------------------

    def _chosen(
        self, visit: Visit, proved: Proved, guardian: Guardian, form: Form, shown: _Shown, who: str
    ) -> Form | Settled:
        if who == "self" and not _must(visit, proved):
            return Settled(about=About())
        index = int(who) if who.isascii() and who.isdecimal() and len(who) <= 2 else -1
        if not 0 <= index < len(shown.offered):
            return replace(form, errors={"who": "a.e.none"})
        return self._settled(visit, proved, self._as_now(visit, guardian, shown.offered[index]))

    def _as_now(self, visit: Visit, guardian: Guardian, known: Known) -> Acting | Refusal:
        """Judge what was shown again, by all registers: midnight may have passed since, or another has barred it."""
        found = self.judging.registers.wards(guardian, visit.clinic, visit.now)
        shown = self.judging.judged(known, guardian, visit.client, visit.clinic, visit.now)
        if found.down:
            return Refusal(reason=DOWN, ward=shown.ward)
        verdicts = self.judging.each(found, guardian, visit.client, visit.clinic, visit.now)
        now = next((v for _, v in verdicts if v.ward is not None and v.ward == shown.ward), None)
        if isinstance(now, Acting):
            return self.judging.confirmed(now, found, guardian, visit.client, visit.clinic, visit.now)
        gone = Refusal(reason=NO_RELATION, ward=shown.ward)
        return now or (shown if isinstance(shown, Refusal) else gone)

    def _typed(
        self, visit: Visit, proved: Proved, guardian: Guardian, form: Form, reply: Mapping[str, str]
    ) -> Form | Settled:
        """Go on with a number that was typed: of a child whom no register lists unasked, or of somebody's else.

        The attack: a stranger types a ward's number. Every register is asked whatever any of them says, and the page
        is the same for all causes, so that it tells neither who is whose child nor why somebody is not shown.
        """
        number = _read(visit, reply)
        if number is None:
            typed = {
                "number": reply.get("number", "")[:_LONGEST_NUMBER],
                "country": _country(visit, reply),
                "mask": "1" if reply.get("mask") else "",
            }
            return replace(form, values={**form.values, **typed}, errors={"number": "p.e.id"})
        if not self.may_try(guardian.person, visit):
            return self._refused(visit, proved, Refusal(reason="too_many"))
        verdict = self.judging.of_number(number, guardian, visit.client, visit.clinic, visit.now)
        return self._settled(visit, proved, verdict)

    def _leave(self, visit: Visit, guardian: Guardian, form: Form, reply: Mapping[str, str]) -> Form | Onward:
        pages = {page.name: page for page in self.judging.registers.pages(visit.clinic, guardian)}
        page = pages.get(reply.get("register", "")) or next(iter(pages.values()), None)
        if page is None:
            return form
        try:
            away = page.leave(guardian, visit.clinic, self.return_url(page.name), visit.now)
        except ProviderError as error:
            _log.warning("register_failed", register=page.name, code=error.code, detail=error.detail)
            return replace(form, values={**form.values, "down": "1", "elsewhere": ""})
        shown = replace(_codec.unpack(form.state), away=away)
        return Onward(url=away.url, register=page.name, state=_codec.pack(shown))

    def _returned(
        self, visit: Visit, proved: Proved, guardian: Guardian, away: Away, reply: Mapping[str, str]
    ) -> Form | Settled:
        """Go on with what was chosen at the register's own page."""
        said = {name: value for name, value in reply.items() if name != "do"}
        try:
            page = self.judging.registers.page(away.register)
            answer = page.returned(guardian, visit.clinic, away, said, visit.now)
        except Cancelled:
            return self._page(visit, proved, guardian, shortcut=False)
        except ProviderError as error:
            _log.warning("register_failed", register=away.register, code=error.code, detail=error.detail)
            return self._shown(visit, proved, guardian, (), down=True)
        found = self.judging.registers.chosen(answer, guardian, visit.clinic, visit.now)
        if found.down:
            return self._shown(visit, proved, guardian, (), down=True)
        ties = self.judging.known(found)
        return self._settled(visit, proved, self.judging.best(ties, guardian, visit.client, visit.clinic, visit.now))

    def _settled(self, visit: Visit, proved: Proved, verdict: Acting | Refusal) -> Form | Settled:
        if isinstance(verdict, Refusal):
            return self._refused(visit, proved, verdict)
        self._remember(visit, proved.person, verdict)
        return Settled(about=About(acting=verdict))

    def _forget(self, visit: Visit, guardian: str, verdicts: Iterable[Acting | Refusal]) -> None:
        """Forget of whom a register says no: nobody is written to about their birthday. The same work for all."""
        against = {one.ward or "" for one in verdicts if isinstance(one, Refusal) and one.reason in AGAINST}
        self.rows.forget_used(visit.clinic.id, guardian, against)

    def _remember(self, visit: Visit, guardian: str, acting: Acting) -> None:
        """Keep who acts by a register's word, so that they are told before the birthday; it opens nothing."""
        if acting.basis != REGISTER or acting.relation == MANDATE or acting.birthdate is None:
            return
        age = limits_over(visit.clinic, self.clients.all()).guardian_until
        row = Guardianship(
            id=new_id(),
            clinic=visit.clinic.id,
            guardian=guardian,
            ward=acting.ward,
            relation=acting.relation,
            basis=USED,
            recorded_at=visit.now,
            by=REGISTER,
            limit_on=comes_of_age(acting.birthdate, age),
        )
        self.rows.add(row)

    def _refused(self, visit: Visit, proved: Proved, refusal: Refusal) -> Form:
        """Return the one page of all refusals; the reason goes into the trail of the guardian, and of the ward."""
        detail = {"reason": refusal.reason, **({"ward": refusal.ward} if refusal.ward else {})}
        self._record(visit, proved, "acting.refused", proved.person, detail)
        # Of nobody we know, too: a write more or less would tell by its time who is somewhere a patient.
        self._record(visit, proved, "acting.refused", refusal.ward, {"reason": refusal.reason})
        self._forget(visit, proved.person, (refusal,))
        values = {"clinic": visit.clinic.name, "phone": visit.clinic.phone or ""}
        return Form(page="whono", state=_codec.pack(_Shown()), values=values)

    def _record(self, visit: Visit, proved: Proved, kind: str, person: str | None, detail: Mapping[str, str]) -> None:
        self.events.record(
            Event(
                at=visit.now,
                kind=kind,
                transaction=visit.transaction,
                client=visit.client.id,
                clinic=visit.clinic.id,
                provider=proved.identity.provider,
                person=person,
                detail=detail,
            )
        )


def _guardian(visit: Visit, proved: Proved) -> Guardian:
    return Guardian(person=proved.person, identity=proved.identity, language=visit.language)


def _must(visit: Visit, proved: Proved) -> bool:
    """Tell whether it must be about somebody else: the service, or this request, takes nobody for themselves."""
    return visit.client.acting == "required" or proved.request.must_act


def _asked(visit: Visit, proved: Proved) -> bool:
    wished = proved.request.acting_for
    return wished != "self" and (wished is not None or visit.client.acting == "always")


def _end(visit: Visit, acting: Acting) -> str:
    day = ends_soon(acting, visit.client, visit.clinic, visit.now)
    return "" if day is None else day.isoformat()


def _age(born: date | None, day: date) -> str:
    return "" if born is None else str(age_on(born, day))


def _country(visit: Visit, reply: Mapping[str, str]) -> str:
    country = reply.get("country", "")
    return country if country in COUNTRIES else visit.clinic.country


def _read(visit: Visit, reply: Mapping[str, str]) -> NationalNumber | None:
    try:
        return parse(reply.get("number", ""), _country(visit, reply), now=day_of(visit.now, visit.clinic.zone))
    except NotANumber:
        return None
