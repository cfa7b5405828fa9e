"""A page of ours that somebody must fill in: what a provider asks, or what is asked after the proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The person must fill in a form of ours: `page` names it, `errors` are string keys by field.

    `state` is opaque bytes that only who asks reads; `values` are what the page is filled in with.
    """

    page: str
    state: bytes = field(repr=False)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    errors: Mapping[str, str] = field(default_factory=dict)
