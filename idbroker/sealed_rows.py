"""What each sealed value of the durable store is bound to, by the name of its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from idbroker.accounts.records import account_row, enrolment_row
from idbroker.evidence import evidence_row
from idbroker.messages.courier import message_row
from idbroker.patients.merging import merge_row
from idbroker.person import number_row
from idbroker.staff.records import staff_row
from idbroker.webhooks import webhook_row

# The row that a sealed value is bound to, made of its key.
ROWS: Mapping[str, Callable[..., bytes]] = {
    "person_key": number_row,
    "refresh_token": str.encode,
    "evidence": evidence_row,
    "account": account_row,
    "enrolment": enrolment_row,
    "message": message_row,
    "staff": staff_row,
    "merge": merge_row,
    "webhook": webhook_row,
}
