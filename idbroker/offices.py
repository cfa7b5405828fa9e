"""What the clinics' side needs, put together: staff, the engines for patients, the pages of the office, the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from flask import Blueprint

from idbroker.accounts.own import SignOns
from idbroker.api.front import api
from idbroker.api.operations import Engines
from idbroker.api.replay import Repeatable
from idbroker.events import History
from idbroker.keeping import Shelf
from idbroker.office.desk import Desk
from idbroker.office.front import office
from idbroker.office.looks import Looks
from idbroker.office.provider import Away, Errand, Organisation, make_organisation
from idbroker.patients.access import Access, Receipts
from idbroker.patients.assisting import Assisting
from idbroker.patients.filing import Filing
from idbroker.patients.helped import Helped, Helping, Lapses
from idbroker.patients.merging import MergeRows, Merging
from idbroker.patients.noting import Noting
from idbroker.patients.pairing import Pairing
from idbroker.patients.pairing_codes import PairingCodes
from idbroker.patients.queue import Queue
from idbroker.patients.register import Register
from idbroker.patients.telephone import Call, Calls, Dialled, Witness
from idbroker.providers import Means, Provider
from idbroker.rooms import Counter, Given, Rooms
from idbroker.staff.entrance import Entrance, Halfway, StaffSession
from idbroker.staff.familiar import Familiar
from idbroker.staff.letters import Letters
from idbroker.staff.passkeys import Passkeys
from idbroker.staff.records import Members, StaffRows
from idbroker.staff.roster import Roster
from idbroker.staff.welcome import Invitation, Welcome
from idbroker.web.site import Site
from idbroker.webhooks import Webhooks

Routes = Callable[[Site], Blueprint]


@dataclass(frozen=True, kw_only=True)
class Foyer:
    """What eIDs of ours need of the clinics' side: made before them."""

    members: Members
    entrance: Entrance
    assisting: Assisting


@dataclass(frozen=True, kw_only=True)
class Offices:
    """All of it."""

    members: Members
    entrance: Entrance
    roster: Roster
    organisation: Organisation | None
    register: Register
    queue: Queue
    access: Access
    assisting: Assisting
    calls: Calls
    filing: Filing
    merging: Merging
    noting: Noting

    def routes(
        self, given: Given, asset: Callable[[str], str], webhooks: Webhooks, *, sandbox: bool
    ) -> tuple[Callable[[Site], Blueprint], ...]:
        """Return what makes the routes of the pages and of the API."""
        desk = Desk(
            entrance=self.entrance,
            roster=self.roster,
            organisation=self.organisation,
            register=self.register,
            queue=self.queue,
            access=self.access,
            assisting=self.assisting,
            calls=self.calls,
            merging=self.merging,
            noting=self.noting,
            looks=Looks(given.words, asset, sandbox=sandbox),
        )
        engines = Engines(
            register=self.register,
            queue=self.queue,
            access=self.access,
            filing=self.filing,
            noting=self.noting,
            clients=given.clients,
            clinics=given.settings.clinics,
            webhooks=webhooks,
        )
        return (office(desk), api(engines, given.tallies, Shelf(given.sealed, "i", Repeatable)))


def open_foyer(given: Given, counter: Counter, rows: StaffRows) -> Foyer:
    """Return who works where, how they come in, and help at a sign-in."""
    members = Members(rows, given.sealer)
    entrance = _entrance(given, counter, members)
    return Foyer(members=members, entrance=entrance, assisting=_assisting(given, counter, members))


def open_offices(  # noqa: PLR0913, PLR0917 - each is one of the house
    given: Given,
    counter: Counter,
    rooms: Rooms,
    foyer: Foyer,
    providers: Mapping[str, Provider],
    sign_ons: SignOns,
    history: History,
    witness: Witness,
    merges: MergeRows,
    noting: Noting,
    webhooks: Webhooks,
) -> Offices:
    """Return the rest: `sign_ons` ends what a person has here, `history` is what the trail knows of them.

    `witness` keeps an event together with what proves it; `noting` knows who may act for whom.
    """
    assisting = replace(foyer.assisting, sign_ons=sign_ons)
    return Offices(
        members=foyer.members,
        entrance=foyer.entrance,
        roster=_roster(given, counter, foyer.entrance, assisting),
        organisation=_organisation(given),
        register=_register(given, counter, sign_ons, history, noting),
        queue=Queue(
            records=counter.records,
            approving=rooms.approving,
            members=foyer.members,
            clinics=given.settings.clinics,
        ),
        access=_access(given, counter, rooms),
        assisting=assisting,
        calls=_calls(given, counter, providers, witness),
        merging=Merging(
            records=counter.records,
            rows=merges,
            sealer=given.sealer,
            letters=counter.letters,
            sign_ons=sign_ons,
            end_acting=noting.end_acting,
            listeners=webhooks.of_merged,
        ),
        filing=Filing(records=counter.records, noting=noting, events=given.events),
        noting=noting,
    )


def _entrance(given: Given, counter: Counter, members: Members) -> Entrance:
    return Entrance(
        members=members,
        sessions=Shelf(given.sealed, "w", StaffSession),
        halves=Shelf(given.sealed, "l", Halfway),
        settings=given.settings.staff,
        events=given.events,
        hasher=counter.hasher,
        throttle=counter.throttle,
        app_codes=counter.desk.app_codes,
        limits=given.settings.passwords,
        tallies=given.tallies,
        familiar=Familiar(sealer=given.sealer),
        letters=Letters(
            post=counter.messages,
            words=given.words,
            clinics=given.settings.clinics,
            sealer=given.sealer,
            issuer=given.settings.server.issuer,
        ),
    )


def _roster(given: Given, counter: Counter, entrance: Entrance, assisting: Assisting) -> Roster:
    issuer = given.settings.server.issuer
    passkeys = Passkeys(
        members=entrance.members,
        settings=given.settings.staff,
        sealer=given.sealer,
        tallies=given.tallies,
        throttle=counter.throttle,
        familiar=entrance.familiar,
        issuer=issuer,
    )
    welcome = Welcome(
        entrance=entrance,
        passkeys=passkeys,
        invitations=Shelf(given.sealed, "l", Invitation),
        hasher=counter.hasher,
        clinics=given.settings.clinics,
        issuer=issuer,
    )
    return Roster(
        entrance=entrance, welcome=welcome, letters=entrance.letters, codes=counter.codes, left=assisting.leave
    )


def _organisation(given: Given) -> Organisation | None:
    staff = given.settings.staff
    means = Means(
        clock=given.clock,
        http=given.http,
        issuer=given.settings.server.issuer,
        sandbox=(staff.issuer or "").startswith("http://"),  # on loopback only: the settings allow no other
    )
    return make_organisation(staff, means, Shelf(given.sealed, "l", Away), Shelf(given.sealed, "l", Errand))


def _assisting(given: Given, counter: Counter, members: Members) -> Assisting:
    return Assisting(
        records=counter.records,
        clinics=given.settings.clinics,
        clients=given.clients,
        members=members,
        letters=counter.letters,
        events=given.events,
        issuer=given.settings.server.issuer,
        pairings=Shelf(given.sealed, "p", Pairing),
        helped=Helped(shelf=Shelf(given.sealed, "p", Helping), lapses=Shelf(given.sealed, "p", Lapses)),
        codes=PairingCodes(codes=Shelf(given.sealed, "q", str), throttle=counter.throttle, sealer=given.sealer),
    )


def _register(given: Given, counter: Counter, sign_ons: SignOns, history: History, noting: Noting) -> Register:
    return Register(
        records=counter.records,
        clients=given.clients,
        letters=counter.letters,
        events=given.events,
        history=history,
        sign_ons=sign_ons,
        tallies=given.tallies,
        noting=noting,
    )


def _access(given: Given, counter: Counter, rooms: Rooms) -> Access:
    return Access(
        records=counter.records,
        clinics=given.settings.clinics,
        clients=given.clients,
        activation=rooms.activation,
        recovery=rooms.recovery,
        linking=rooms.recovery.linking,
        letters=counter.letters,
        codes=counter.codes,
        throttle=counter.throttle,
        events=given.events,
        receipts_of=Shelf(given.sealed, "v", Receipts),
    )


def _calls(given: Given, counter: Counter, providers: Mapping[str, Provider], witness: Witness) -> Calls:
    return Calls(
        calls=Shelf(given.sealed, "z", Call),
        going=Shelf(given.sealed, "z", dict[str, str]),
        records=counter.records,
        clinics=given.settings.clinics,
        eids={name: one for name, one in providers.items() if isinstance(one, Dialled) and one.dials},
        throttle=counter.throttle,
        witness=witness,
        sealer=given.sealer,
        keep_evidence=given.settings.evidence.keep,
        say=given.words,
    )
