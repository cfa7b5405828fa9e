"""What can go wrong, by who is told.

BrokerError
├── PersonError            the person, on a page; never redirected
│   ├── NotFound           no such transaction, page or handle
│   ├── Gone               the transaction ended or timed out
│   ├── NotAllowed         staff whose role, or clinic, does not reach that far
│   ├── WrongBrowser       the answer came to another browser than the one that began
│   └── BadLink            unknown client or unregistered redirect URI (RFC 9700, 4.11.2)
├── OAuthError             the client, as an OAuth error (RFC 6749, 4.1.2.1 and 5.2)
├── ProviderError          an eID did not prove the person; the page says what to do
│   ├── Cancelled          the person pressed cancel
│   ├── Refused            the eID said no, with a reason we have words for
│   ├── Unreachable        down, slow, or answering nonsense over HTTP
│   └── Untrusted          an answer that does not verify: forged, replayed, for another
├── OperatorError          the operator, on the terminal
│   └── ConfigError        every mistake in the configuration, at once
└── StoreError             the database or Redis does not answer
"""

from __future__ import annotations

from collections.abc import Sequence


class BrokerError(Exception):
    """Anything that went wrong: `code` is for the outside, `detail` for the log only."""

    code = "error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail


class PersonError(BrokerError):
    """The person is told, on a page of ours; nothing is redirected anywhere."""

    code = "person_error"
    status = 400


class NotAllowed(PersonError):
    """The role of a staff member, or their clinic, does not reach that far."""

    code = "not_allowed"
    status = 403


class NotFound(PersonError):
    """There is no such transaction, handle or page."""

    code = "not_found"
    status = 404


class Gone(PersonError):
    """The transaction ended or timed out; the page offers the way back to the service."""

    code = "gone"
    status = 410

    def __init__(self, detail: str = "", *, client_id: str | None = None, language: str | None = None) -> None:
        super().__init__(detail)
        self.client_id = client_id
        self.language = language


class WrongBrowser(PersonError):
    """The browser is not the one that began this transaction (login CSRF, session fixation).

    The page names the service, and offers the way back to it.
    """

    code = "wrong_browser"
    status = 400

    def __init__(self, detail: str = "", *, client_id: str | None = None) -> None:
        super().__init__(detail)
        self.client_id = client_id


class BadLink(PersonError):
    """The link came from an unknown client or names an unregistered redirect URI.

    Never redirected: doing so would make us an open redirector (RFC 9700, 4.11.2).
    """

    code = "bad_link"
    status = 400


class OAuthError(BrokerError):
    """An error the client is told in OAuth's own words.

    `description` is one of our own sentences, never an echo of input: RFC 6749 allows no quote,
    backslash or control character there, and an echo would carry an attacker's text.
    """

    def __init__(self, code: str, description: str = "", *, status: int = 400, detail: str = "") -> None:
        super().__init__(detail or description or code)
        self.code = code
        self.description = description
        self.status = status


class ProviderError(BrokerError):
    """An eID did not prove who the person is."""

    code = "provider_error"


class Cancelled(ProviderError):
    """The person pressed cancel at the eID."""

    code = "cancelled"


class Refused(ProviderError):
    """The eID refused; `reason` is one of the words the pages have a sentence for.

    `person` is whose password was right all the same, where an eID must confirm it first.
    """

    code = "refused"

    def __init__(self, reason: str, detail: str = "", *, person: str | None = None) -> None:
        super().__init__(detail or reason)
        self.reason = reason
        self.person = person


class Unreachable(ProviderError):
    """The eID is down, slow, or does not speak its protocol."""

    code = "unreachable"


class Untrusted(ProviderError):
    """An answer that does not verify. All causes look alike outside; `detail` says which."""

    code = "untrusted"


class OperatorError(BrokerError):
    """The operator is told on the terminal: what is wrong, and a hint what to do."""

    code = "operator_error"
    exit_code = 1

    def __init__(self, detail: str, *, hint: str = "", code: str = "failed", exit_code: int = 1) -> None:
        super().__init__(detail)
        self.hint = hint
        self.code = code
        self.exit_code = exit_code


class ConfigError(OperatorError):
    """Every mistake in the configuration, each with its table's name."""

    def __init__(self, mistakes: Sequence[tuple[str, str]]) -> None:
        lines = "\n".join(f"  {where}: {what}" for where, what in mistakes)
        super().__init__(f"the configuration has {len(mistakes)} mistake(s)\n{lines}", code="config", exit_code=2)
        self.mistakes = tuple(mistakes)


class StoreError(BrokerError):
    """The database or Redis does not answer."""

    code = "store_error"
