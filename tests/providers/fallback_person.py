"""Somebody who signs in by password, page by page."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from idbroker.identity import Identity, LoA
from idbroker.providers import Asked, Form, Means
from idbroker.providers._http import kept_session
from idbroker.providers.fallback import Fallback, Settings, make
from idbroker.visitor import Visitor
from tests.accounts.desk_house import ANNA, CLINIC, PASSWORD, DeskHouse
from tests.conftest import NOW
from tests.oidc.making import make_client

QUARTER = timedelta(minutes=15)
WRONG = "fire røde cykler"
AT = NOW.isoformat()


@dataclass
class Person:
    """Somebody at the pages of one transaction."""

    house: DeskHouse
    provider: Fallback
    asks: dict[str, Any] = field(default_factory=dict)
    form: Form | None = None

    def asked(self) -> Asked:
        """Return what the broker asks now."""
        first = Asked(
            transaction="t1",
            handle="h",
            return_url="https://id.example.org/callback/fallback",
            loa=LoA.LOW,
            language="en",
            service="Portal",
            now=self.house.clock.now(),
            visitor=Visitor(ip="192.0.2.1"),
            clinic=CLINIC,
            client=make_client(),
        )
        return replace(first, **self.asks)

    def begins(self) -> Form:
        """Open the first page."""
        answer = self.provider.begin(self.asked())
        assert isinstance(answer, Form)
        self.form = answer
        return answer

    def posts(self, **reply: str) -> Form | Identity:
        """Post what the page asked for."""
        if self.form is None:
            self.begins()
        assert self.form is not None
        answer = self.provider.resume(self.asked(), self.form.state, reply)
        assert isinstance(answer, Form | Identity)
        if isinstance(answer, Form):
            self.form = answer
        return answer

    def sees(self, **reply: str) -> Form:
        """Post, and be shown a page."""
        answer = self.posts(**reply)
        assert isinstance(answer, Form), "that was a proof"
        return answer

    def types(self, number: str = ANNA.value, password: str = PASSWORD, **reply: str) -> Form:
        """Post number and password."""
        return self.sees(number=number, password=password, **reply)


def provider_of(house: DeskHouse) -> Fallback:
    """Return the provider at a desk."""
    means = Means(clock=house.clock, http=kept_session, issuer="https://id.example.org", desk=house.desk)
    return make("fallback", Settings(), means)


def shown(form: Form, *names: str) -> dict[str, str]:
    """Return what a page says, of these or of all that says anything."""
    return {name: value for name, value in form.values.items() if (name in names if names else value)}
