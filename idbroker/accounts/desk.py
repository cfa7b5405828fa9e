"""Where people show that they know their password and have their address: the fallback's own eID, so to say."""

from __future__ import annotations

from dataclasses import dataclass

from idbroker.accounts.records import Accounts
from idbroker.otp.one_time import OneTimeCodes


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Checks passwords and codes."""

    accounts: Accounts
    codes: OneTimeCodes
