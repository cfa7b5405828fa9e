"""We, towards one identity provider: asking, reading what comes back, leaving, being sent away (SAML profiles, 4)."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar, assert_never

from lxml import etree

from idbroker.codec import Codec
from idbroker.errors import StoreError, Unreachable, Untrusted
from idbroker.keyset import Use
from idbroker.providers import Asked, Leaving, Means, Message, Post, Redirect, Summons
from idbroker.providers._saml.settings import SamlSettings
from idbroker.providers._saml.source import Source
from idbroker.saml import bindings, head, logout, names, response
from idbroker.saml.assertion import Assertion, NameID
from idbroker.saml.metadata import Binding, Endpoint, IdentityProvider
from idbroker.saml.requests import AuthnRequest, Comparison

State = TypeVar("State")
_NAMED = {"redirect": Binding.REDIRECT, "post": Binding.POST}
_PARTIAL = (names.SUCCESS, names.PARTIAL_LOGOUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for, besides what `Asked` says: as in `AuthnRequest`."""

    contexts: tuple[str, ...] = ()
    comparison: Comparison = Comparison.EXACT
    name_id_format: str | None = names.TRANSIENT
    attribute_index: int | None = None
    extensions: tuple[etree._Element, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an answer must be: as in `response.Expected`. `contexts` None: the caller reads the level elsewhere."""

    contexts: frozenset[str] | None
    response_signed: bool = True
    assertion_signed: bool = True
    encrypted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asking:
    """A sign-in that was asked for: the request's ID, when that was, and whether the person had to act anew."""

    id: str
    at: datetime
    force: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leaving:
    """A logout that was asked for: the request's ID."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Summoned:
    """A logout that they ask for: the request's ID, and what is to go back with the answer."""

    id: str
    relay_state: str | None = field(repr=False)


_ASKING, _LEAVING, _SUMMONED = Codec(_Asking), Codec(_Leaving), Codec(_Summoned)


class Party:
    """Our side of one identity provider; threads may share it."""

    def __init__(self, name: str, settings: SamlSettings, means: Means) -> None:
        self.settings, self.means = settings, means
        self.source = Source(name, settings, means)
        self.acs_url = f"{means.issuer}/callback/{name}"
        self.logout_url = f"{means.issuer}/logout/{name}"
        self.entity_id = settings.entity_id or f"{means.issuer}/metadata/{name}"

    # ---- signing in ------------------------------------------------------------------------------

    def begin(self, asked: Asked, wish: Wish) -> Redirect | Post:
        """Return where the person goes, with a signed request. Raises Unreachable."""
        idp = self.source.get(asked.now)
        # SAML knows no max_age: whoever wants a recent proof is given a new one.
        force = asked.fresh or asked.max_age is not None
        binding, destination = _sign_on(idp, self.settings.binding)
        request = AuthnRequest(
            id=head.new_id(),
            issued=asked.now,
            issuer=self.entity_id,
            destination=destination,
            acs_url=self.acs_url,
            force=force,
            name_id_format=wish.name_id_format,
            contexts=wish.contexts,
            comparison=wish.comparison,
            attribute_index=wish.attribute_index,
            extensions=wish.extensions,
        )
        state = _ASKING.pack(_Asking(id=request.id, at=asked.now, force=force))
        endpoint = Endpoint(binding=binding, location=destination)
        return self._sent(endpoint, destination, bindings.REQUEST, request.element(), asked.handle, state)

    def finish(self, asked: Asked, state: bytes, reply: Mapping[str, str], terms: Terms) -> Assertion:
        """Return what was proved, once. Raises Cancelled, Refused, Unreachable or Untrusted."""
        asking = _kept(_ASKING, state)
        # The browser's binding was checked by the broker; an answer that was meant for another transaction is not ours.
        if not hmac.compare_digest(reply.get("RelayState", "").encode(), asked.handle.encode()):
            raise Untrusted("RelayState: another transaction's")
        idp = self.source.get(asked.now)
        expected = response.Expected(
            entity_id=self.entity_id,
            acs_url=self.acs_url,
            idp=idp.entity_id,
            certificates=idp.signing,
            request_id=asking.id,
            contexts=terms.contexts,
            now=asked.now,
            keys=self._keys(),
            skew=self.settings.skew,
            response_signed=terms.response_signed,
            assertion_signed=terms.assertion_signed,
            encrypted=terms.encrypted,
            cbc=self.settings.cbc,
            authenticated_after=asking.at if asking.force else None,
        )
        assertion = response.read(reply.get("SAMLResponse", ""), expected)
        # The same assertion again, in this worker or another, is somebody else's copy (S30).
        until = assertion.not_on_or_after + self.settings.skew + timedelta(seconds=1)
        if not self.means.once(f"assertion {idp.entity_id} {assertion.id}", until):
            raise Untrusted("assertion: used before")
        return assertion

    # ---- signing out -----------------------------------------------------------------------------

    def leave(self, leaving: Leaving) -> Redirect | Post | None:
        """Return where the browser goes to end their session (SAML profiles, 4.4.3.1). Raises Unreachable."""
        idp = self.source.get(leaving.now)
        endpoint = _logout(idp)
        if endpoint is None:
            return None
        name_id, index = _logged_in(leaving.logout)
        request = logout.LogoutRequest(
            id=head.new_id(),
            issued=leaving.now,
            issuer=self.entity_id,
            destination=endpoint.location,
            name_id=name_id,
            session_indexes=() if index is None else (index,),
            not_on_or_after=leaving.now + logout.LIFETIME,
        )
        state = _LEAVING.pack(_Leaving(id=request.id))
        return self._sent(endpoint, endpoint.location, bindings.REQUEST, request.element(), leaving.handle, state)

    def left(self, state: bytes, message: Message) -> bool:
        """Read their answer to `leave`: whether all of it ended. Raises Untrusted, Unreachable."""
        answer, _ = self._read(message)
        if not isinstance(answer, logout.LogoutResponse):
            raise Untrusted("logout: a request where an answer is due")
        # An answer to somebody else's logout, brought here, ends nothing and says nothing.
        if not hmac.compare_digest(answer.in_response_to.encode(), _kept(_LEAVING, state).id.encode()):
            raise Untrusted("logout: an answer to another request")
        return answer.complete

    def summoned(self, message: Message) -> Summons:
        """Read that their session is over. Raises Untrusted, Unreachable."""
        request, relay_state = self._read(message)
        if not isinstance(request, logout.LogoutRequest):
            raise Untrusted("logout: an answer where a request is due")
        name = request.name_id.value
        indexes = tuple(_by_index(name, index) for index in request.session_indexes)
        return Summons(
            id=f"logout {request.issuer} {request.id}",
            issued=request.issued,
            until=request.acceptable_until + self.settings.skew + timedelta(seconds=1),
            # Without an index all sessions of that name are meant (SAML core, 3.7.1).
            names=indexes or (_by_name(name),),
            for_good=bool(indexes),
            state=_SUMMONED.pack(_Summoned(id=request.id, relay_state=relay_state or None)),
        )

    def dismissed(self, summons: Summons, now: datetime, *, complete: bool) -> Redirect | Post | None:
        """Return the answer to a summons. Raises Unreachable."""
        idp, summoned = self.source.get(now), _kept(_SUMMONED, summons.state)
        endpoint = _logout(idp)
        if endpoint is None:
            return None
        answer = logout.LogoutResponse(
            id=head.new_id(),
            issued=now,
            issuer=self.entity_id,
            destination=endpoint.for_answers,
            in_response_to=summoned.id,
            statuses=(names.SUCCESS,) if complete else _PARTIAL,
        )
        return self._sent(endpoint, endpoint.for_answers, bindings.RESPONSE, answer.element(), summoned.relay_state)

    # ---- what both need --------------------------------------------------------------------------

    def _read(self, message: Message) -> tuple[logout.Message, str | None]:
        idp = self.source.get(message.now)
        expected = logout.Expected(
            idp=idp.entity_id,
            slo_url=self.logout_url,
            certificates=idp.signing,
            now=message.now,
            keys=self._keys(),
            skew=self.settings.skew,
            cbc=self.settings.cbc,
        )
        fields = [name for name in (bindings.REQUEST, bindings.RESPONSE) if name in message.fields]
        if not fields:
            return logout.read_query(message.query, expected)
        if len(fields) != 1:
            raise Untrusted("logout: not one message")
        relay_state = message.fields.get("RelayState")
        # Found out only when it is to go back, the session would be over and nobody told.
        if relay_state is not None and len(relay_state.encode()) > bindings.MOST_ECHOED:
            raise Untrusted("logout: the relay state is too long")
        return logout.read_posted(fields[0], message.fields[fields[0]], expected), relay_state

    def _keys(self) -> tuple[Any, ...]:
        return tuple(key for _, key in self.means.keys.decryption(Use.SAML_ENC))

    def _sent(
        self,
        endpoint: Endpoint,
        destination: str,
        name: str,
        element: etree._Element,
        relay_state: str | None,
        state: bytes = b"",
    ) -> Redirect | Post:
        ours = self.means.keys.saml_signing()
        # What they gave us to bring back may be longer than what we would ever give.
        most = bindings.MOST_ECHOED if name == bindings.RESPONSE else bindings.MOST_RELAY_STATE
        match endpoint.binding:
            case Binding.REDIRECT:
                url = bindings.redirect_url(
                    destination, name, element, key=ours.key, relay_state=relay_state, most=most
                )
                return Redirect(url=url, state=state)
            case Binding.POST:
                form = bindings.post_form(
                    destination,
                    name,
                    element,
                    key=ours.key,
                    certificate=ours.certificate,
                    relay_state=relay_state,
                    most=most,
                )
                return Post(action=form.action, fields=form.fields, state=state)
            case Binding.SOAP:
                raise Unreachable("a binding we do not speak")
            case _:
                assert_never(endpoint.binding)


def names_of(assertion: Assertion) -> tuple[str, ...]:
    """Return by which names a logout request may mean this sign-in (`Identity.upstream_names`)."""
    name, index = assertion.name_id.value, assertion.session_index
    return (_by_name(name),) if index is None else (_by_index(name, index), _by_name(name))


def logout_of(assertion: Assertion) -> str:
    """Return what a logout request of ours will need (`Identity.upstream_logout`)."""
    name = assertion.name_id
    return json.dumps([name.value, name.format, name.name_qualifier, name.sp_name_qualifier, assertion.session_index])


def _logged_in(text: str) -> tuple[NameID, str | None]:
    value, form, qualifier, sp_qualifier, index = json.loads(text)
    return NameID(value=value, format=form, name_qualifier=qualifier, sp_name_qualifier=sp_qualifier), index


def _by_name(name: str) -> str:
    return f"name:{name}"


def _by_index(name: str, index: str) -> str:
    # As JSON: no other name with another index is spelt so.
    return f"index:{json.dumps([name, index])}"


def _sign_on(idp: IdentityProvider, wished: str) -> tuple[Binding, str]:
    binding = _NAMED[wished]
    if binding not in idp.sign_on:
        raise Unreachable(f"metadata: nowhere to sign on by {wished}")
    return binding, idp.sign_on[binding]


def _logout(idp: IdentityProvider) -> Endpoint | None:
    """Return where logout messages go: by Redirect where they take that, else by POST."""
    spoken = [one for binding in (Binding.REDIRECT, Binding.POST) for one in idp.logout if one.binding is binding]
    return next(iter(spoken), None)


def _kept(codec: Codec[State], state: bytes) -> State:
    try:
        return codec.unpack(state)
    except StoreError as error:
        raise Untrusted("a state that does not read") from error
