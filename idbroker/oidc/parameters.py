"""Request parameters as received: decoded strictly, duplicates remembered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from idbroker.errors import OAuthError

MOST_OCTETS = 32 * 1024
MOST_PARAMETERS = 64


@dataclass(frozen=True, slots=True)
class Parameters(Mapping[str, str]):
    """Parameters by name. A name without a value is as good as absent (RFC 6749, 3.1)."""

    values_by_name: Mapping[str, str] = field(default_factory=dict, repr=False)
    duplicates: frozenset[str] = frozenset()

    def __getitem__(self, name: str) -> str:
        """Return the value of a name."""
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self.values_by_name)

    def __len__(self) -> int:
        """Return how many names there are."""
        return len(self.values_by_name)

    def words(self, name: str) -> tuple[str, ...]:
        """Return a space-delimited value as its words, each once, in order."""
        return tuple(dict.fromkeys(self.get(name, "").split(" "))) if self.get(name) else ()


def parse_form(raw: bytes, most: int = MOST_OCTETS) -> Parameters:
    """Decode `application/x-www-form-urlencoded` octets, a query string's or a body's.

    Raises OAuthError invalid_request for more than `most` octets, more than 64 parameters, or octets
    that are not UTF-8 (a lenient decoder would let two different requests look alike to two parsers).
    """
    if len(raw) > most:
        raise OAuthError("invalid_request", "The request is too large", status=413)
    pairs = [pair for pair in raw.split(b"&") if pair]
    if len(pairs) > MOST_PARAMETERS:
        raise OAuthError("invalid_request", "The request has too many parameters")
    values: dict[str, str] = {}
    duplicates = set()
    for pair in pairs:
        name, _, value = pair.partition(b"=")
        key, text = _decode(name), _decode(value)
        if key in values:
            duplicates.add(key)
        values.setdefault(key, text)
    return Parameters({k: v for k, v in values.items() if v}, frozenset(duplicates))


def _decode(octets: bytes) -> str:
    try:
        text = unquote_to_bytes(octets.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise OAuthError("invalid_request", "The request is not valid UTF-8") from None
    if "\x00" in text:
        raise OAuthError("invalid_request", "The request holds a NUL character")
    return text


def refuse_duplicates(parameters: Parameters) -> None:
    """Refuse a parameter sent twice: two parsers may read two different requests (RFC 6749, 3.1 and 3.2)."""
    if parameters.duplicates:
        raise OAuthError("invalid_request", "A parameter was sent more than once")
