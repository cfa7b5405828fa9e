"""Telling people that somebody tries to sign in as them (ASVS 6.3.5)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from idbroker.accounts.letters import Letters
from idbroker.accounts.records import Accounts
from idbroker.messages.message import Channel, Message, Post
from idbroker.numbers import NationalNumber
from idbroker.visit import Visit

TASK = "locked"
_LIFE = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Warnings:
    """Has people told that their password is locked. May raise StoreError."""

    post: Post
    accounts: Accounts
    letters: Letters

    def locked(self, visit: Visit, number: NationalNumber, until: datetime) -> None:
        """Leave it to the courier whether there is anybody to tell: here it would show in the time taken (O7)."""
        told = {
            "country": number.country,
            "kind": number.kind,
            "value": number.value,
            "clinic": visit.clinic.id,
            "client": visit.client.id,
            "until": until.isoformat(),
        }
        task = Message(
            id=secrets.token_hex(16),
            channel=Channel.TASK,
            to="",
            text=json.dumps(told),
            kind=TASK,
            clinic=visit.clinic.id,
            ends_at=visit.now + _LIFE,
        )
        self.post.send(task)

    def carry_out(self, told: Mapping[str, str], _now: datetime) -> None:
        """Write to whoever has an account of that number: the courier's task."""
        account = self.accounts.find(NationalNumber(country=told["country"], kind=told["kind"], value=told["value"]))
        if account is not None and not account.disabled and account.password is not None:
            self.letters.locked(account, told["clinic"], told["client"], datetime.fromisoformat(told["until"]))
