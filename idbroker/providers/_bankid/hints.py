"""What BankID's words for an order mean here: `status` and `hintCode` of a look (RP API 6.0, /collect)."""

from __future__ import annotations

from collections.abc import Mapping

from idbroker.errors import Cancelled, ProviderError, Refused
from idbroker.providers import Progress

# Hint codes can come without notice: whatever is unknown is a pending order that somebody has opened
# (its code is hidden, which harms nobody), or a failed one without words of its own.
_UNKNOWN = (Progress.OPENED, "b.st.work")
_PENDING: Mapping[str, tuple[Progress, str]] = {
    "outstandingTransaction": (Progress.WAITING, "b.st.start"),
    "noClient": (Progress.WAITING, "b.st.start"),
    "started": (Progress.OPENED, "b.st.look"),
    "userMrtd": (Progress.OPENED, "b.st.mrtd"),
    "userCallConfirm": (Progress.OPENED, "b.st.work"),
    "userSign": (Progress.OPENED, "b.st.sign"),
    "processing": (Progress.OPENED, "b.st.work"),
    "userStepUp": (Progress.OPENED, "b.st.step"),
    "userFace": (Progress.OPENED, "b.st.face"),
}
_REASONS: Mapping[str, str] = {
    "expiredTransaction": "bankid_expired",
    "startFailed": "bankid_expired",  # opened, and no BankID there to go on with
    "certificateErr": "bankid_cert",
    "cancelled": "bankid_superseded",  # the person began another order, here or elsewhere
    "notSupportedByUserApp": "bankid_old_app",
    "transactionRiskBlocked": "bankid_risk",
    "mrtdVerificationFailed": "bankid_mrtd",
    "facialRecognitionFailed": "bankid_face",
    "nfcNotSupportedByDevice": "bankid_nfc",
    "multipleBankIdsOnDevice": "bankid_several",
    "stepUpFailed": "bankid_step",
}


def pending(hint: object) -> tuple[Progress, str]:
    """Return how far a pending order is, and the key of the words for it."""
    return _PENDING.get(hint, _UNKNOWN) if isinstance(hint, str) else _UNKNOWN


def lapsed(hint: object, *, waiting: bool) -> bool:
    """Tell whether a failed order is one that nobody took up in its time; a new one may take its place."""
    return waiting and hint in ("startFailed", "expiredTransaction")


def failed(hint: object) -> ProviderError:
    """Return the error that a failed order is."""
    if hint == "userCancel":
        return Cancelled("userCancel")
    known = hint if isinstance(hint, str) and hint in _REASONS else None
    return Refused(_REASONS[known], known) if known else Refused("bankid_failed", "an unknown hint code")
