"""By which ways codes can come to somebody, and which sign-ons may change them."""

from __future__ import annotations

from idbroker.accounts.account import Account, Contact
from idbroker.clinic import Clinic
from idbroker.identity import LoA
from idbroker.messages.message import Channel
from idbroker.session import Session


def hindrance(session: Session, account: Account, channel: Channel | None) -> str:
    """Return the key of why a sign-on may not change an address, or the app (no channel); an empty text when it may."""
    if _is_of_before(session, account, channel):
        return "me.e.before"
    return "me.e.weak" if channel is not Channel.EMAIL and _is_too_weak(session, account) else ""


def _is_of_before(session: Session, account: Account, channel: Channel | None) -> bool:
    """Tell whether it was the person's before one clinic's staff had a password sent that opens that clinic alone.

    The attack: whoever reads that message signs in there, and puts an address of their own in the place of the
    person's. It would go when the password opens more again, but the person's own would not come back; and by that one
    they could have taken it all back (`Account.is_own`). By an eID it is the person who changes it.
    """
    if session.identity.loa is not LoA.LOW or not account.only_at:
        return False
    contact = None if channel is None else account.contact(channel)
    return account.has_own_app if channel is None else contact is not None and account.is_own(contact)


def _is_too_weak(session: Session, account: Account) -> bool:
    """Tell whether a sign-on proved less than what it would change: a mailbox must not replace a telephone or an app.

    The attack: who reads somebody's e-mail signs in by it, and makes a telephone of their own the second factor
    (SP 800-63B-4, 3.1.3.1: e-mail is none). Who has neither telephone nor app gains one.
    """
    proved = session.identity.loa is not LoA.LOW or "mfa" in session.identity.amr
    return not proved and (verified(account, Channel.SMS) is not None or account.app_secret is not None)


def keeps_a_way(before: Account, after: Account, clinic: Clinic) -> bool:
    """Tell whether codes can still come as the clinic sends them, if they could before."""
    had, has = _ways(before), _ways(after)
    return not had or bool(has & ((had & {*clinic.codes}) or had))


def _ways(account: Account) -> set[str]:
    return {contact.channel.value for contact in account.reachable} | ({"app"} if account.app_secret else set())


def verified(account: Account, channel: Channel) -> str | None:
    """Return the address of a channel that codes may go to."""
    contact = account.contact(channel)
    return contact.address if contact is not None and contact.verified_at is not None else None


def taken_on(account: Account, contact: Contact, only_of: str | None) -> Account | None:
    """Return an account with an address more; None where only its guardian may, and it has another, or none, now."""
    return account.with_contact(contact) if only_of in (None, account.guardian) else None
