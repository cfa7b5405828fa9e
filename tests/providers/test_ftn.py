"""The Finnish Trust Network: signed requests, encrypted answers, four brokers' words, over real HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from idbroker.clock import StoppedClock
from idbroker.errors import Cancelled, ConfigError, ProviderError, Refused, Unreachable, Untrusted
from idbroker.identity import LoA
from idbroker.keyset import Chain, Use
from idbroker.numbers import HETU
from idbroker.providers import Federated, Redirect, kind, kinds
from idbroker.providers.ftn import CHAINS, DIALECTS, Settings, make
from tests.providers.ftn_broker import Finland, finland, visit
from tests.providers.upstream import OUR_ENCRYPTION, means

DIALECT_NAMES = sorted(DIALECTS)


@pytest.fixture
def telia(clock: StoppedClock) -> Iterator[Finland]:
    """Serve a broker with Telia's words."""
    with finland(clock) as there:
        yield there


@pytest.fixture(params=DIALECT_NAMES)
def any_broker(clock: StoppedClock, request: pytest.FixtureRequest) -> Iterator[Finland]:
    """Serve each broker in turn."""
    with finland(clock, request.param) as there:
        yield there


def sent(begun: Redirect) -> dict[str, str]:
    """Return the parameters in the address the person is sent to."""
    return dict(parse_qsl(urlsplit(begun.url).query))


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and payload of a signed token, unverified."""
    header, payload = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    return header, payload


def test_proves_who_the_person_is_in_each_brokers_words(any_broker: Finland, clock: StoppedClock) -> None:
    """Number, names, birth date, level and moment come out of every broker's nested token."""
    identity = any_broker.go()

    aino = any_broker.people["aino"]
    assert identity.number is not None
    assert (identity.number.country, identity.number.kind, identity.number.value) == ("FI", HETU, aino.number)
    assert (identity.name, identity.given_name, identity.family_name) == (aino.name, aino.given_name, aino.family_name)
    assert (identity.birthdate, identity.loa, identity.proved_at) == (aino.born, LoA.SUBSTANTIAL, clock.now())
    assert (identity.provider, identity.issuer) == ("ftn", any_broker.issuer)
    assert identity.upstream_names[0].startswith("sid:")
    assert identity.upstream_logout is not None
    assert identity.upstream_logout.count(".") == 2  # the signed token: what was around it was for us alone


def test_a_person_is_the_same_the_next_time(any_broker: Finland) -> None:
    """Where `sub` is another at every sign-in (Telia, OP), the number is what lasts."""
    assert any_broker.go().subject == any_broker.go().subject


def test_the_number_keeps_all_its_characters(telia: Finland) -> None:
    """The century sign tells people apart: all eleven characters are kept."""
    number = telia.go(person="jaana").number

    assert number is not None
    assert len(number.value) == 11
    assert number.value[6] == "-"


@pytest.mark.parametrize("pushed", [False, True])
def test_the_request_is_signed_and_says_nothing_beside(telia: Finland, pushed: bool) -> None:
    """RFC 9101: only the client stands beside the signed request, pushed (RFC 9126) or not."""
    provider = telia.provider(pushed=pushed)

    begun = provider.begin(telia.asked())
    assert set(sent(begun)) == {"client_id", "request_uri" if pushed else "request"}
    assert provider.resume(telia.asked(), begun.state, visit(begun)).loa is LoA.SUBSTANTIAL


def test_what_the_signed_request_says(telia: Finland, clock: StoppedClock) -> None:
    """RFC 9101, 4 and the network's profile: its type, our key, issuer and audience, times, an id of its own."""
    begun = telia.provider(pushed=False).begin(telia.asked(max_age=timedelta(minutes=5), fresh=True))
    header, claims = parts(sent(begun)["request"])

    now = int(clock.now().timestamp())
    assert header == {"alg": "RS256", "kid": "our-rs256", "typ": "oauth-authz-req+jwt"}
    assert (claims["iss"], claims["client_id"], claims["aud"]) == ("us", "us", telia.issuer)
    assert claims["nbf"] <= claims["iat"] == now < claims["exp"] <= now + 600
    assert (claims["max_age"], claims["prompt"], claims["ui_locales"]) == (300, "login", "fi")
    assert (claims["acr_values"], claims["ftn_spname"]) == ("http://ftn.ficora.fi/2017/loa2", "Klinikka")
    assert (claims["response_type"], claims["scope"], claims["state"]) == ("code", "openid", "handle-1")
    assert len({claims["jti"], claims["nonce"], claims["code_challenge"]}) == 3
    assert "sub" not in claims  # it could be taken for a client assertion (RFC 9101, 10.8)


def test_a_broker_may_want_some_of_it_twice(telia: Finland) -> None:
    """`repeat` says scope and response_type beside the signed request (OpenID Connect Core, 6.1)."""
    provider = telia.provider(repeat=("scope", "response_type"))

    begun = provider.begin(telia.asked())
    assert set(sent(begun)) == {"client_id", "request", "scope", "response_type"}
    assert provider.resume(telia.asked(), begun.state, visit(begun)).number is not None


def test_a_signed_request_works_once(telia: Finland) -> None:
    """The simulator is as strict as a broker: the same request again is answered with a page."""
    begun = telia.provider().begin(telia.asked())
    visit(begun)

    assert requests.get(begun.url, allow_redirects=False, timeout=5).status_code == 400


@pytest.mark.parametrize(
    ("language", "said"), [("fi", "fi"), ("sv", "sv"), ("en", "en"), ("da", "en")], ids=["fi", "sv", "en", "other"]
)
def test_the_page_is_in_the_persons_language(telia: Finland, language: str, said: str) -> None:
    """`ui_locales` is fi, sv or en; for anybody else English."""
    _, claims = parts(sent(telia.provider().begin(telia.asked(language=language)))["request"])

    assert claims["ui_locales"] == said


def test_the_name_shown_is_short(telia: Finland) -> None:
    """`ftn_spname` has at most 40 characters; the setting goes before the service's own name."""
    _, long = parts(sent(telia.provider().begin(telia.asked(service="K" * 60)))["request"])
    _, named = parts(sent(telia.provider(name="Terveystalo").begin(telia.asked()))["request"])

    assert long["ftn_spname"] == "K" * 40
    assert named["ftn_spname"] == "Terveystalo"


@pytest.mark.parametrize(
    ("dialect", "scope", "acr", "service"),
    [
        ("op", "openid profile strong personal_identity_code", "http://ftn.ficora.fi/2017/loa2", "ftn_spname"),
        ("signicat", "openid profile ftn-extra nin", "idp:ftn", "ftn_sp_name"),
        ("idura", "openid", "urn:grn:authn:fi:all", "ftn_spname"),
    ],
)
def test_asks_each_broker_in_its_words(clock: StoppedClock, dialect: str, scope: str, acr: str, service: str) -> None:
    """Scopes, the way to ask for the network, and the name of the service are each broker's own."""
    with finland(clock, dialect) as there:
        _, claims = parts(sent(there.provider().begin(there.asked()))["request"])

    assert (claims["scope"], claims["acr_values"], claims[service]) == (scope, acr, "Klinikka")


def test_the_number_is_asked_for_when_it_is_wanted(clock: StoppedClock) -> None:
    """Without a wish for the number Signicat is not asked; OP is, for nothing else of a person lasts there."""
    for dialect, asks in (("signicat", False), ("op", True)):
        with finland(clock, dialect) as there:
            _, claims = parts(sent(there.provider().begin(there.asked(want_number=False)))["request"])
            assert (DIALECTS[dialect].number_scope in claims["scope"].split()) is asks


def test_without_a_number_only_a_lasting_name_will_do(clock: StoppedClock) -> None:
    """A foreign person without HETU is known by a lasting `sub`; with a passing one they are refused."""
    with finland(clock, "idura") as there:
        identity = there.go(outcome="no_number")
        assert identity.number is None
        assert identity.birthdate == there.people["aino"].born
    with finland(clock, "telia") as there, pytest.raises(Refused) as stopped:
        there.go(outcome="no_number")
    assert stopped.value.reason == "eid_refused"


@pytest.mark.parametrize("dialect", ["telia", "op"])
def test_cancelling_is_cancelling(clock: StoppedClock, dialect: str) -> None:
    """access_denied, and OP's own `cancel`, are both Cancelled."""
    with finland(clock, dialect) as there, pytest.raises(Cancelled):
        there.go(outcome="cancel")


def test_a_level_too_low_is_refused(telia: Finland) -> None:
    """ASVS 6.8.4: what came back counts, whatever was asked for."""
    with pytest.raises(Refused) as stopped:
        telia.go(outcome="lower_level")
    assert stopped.value.reason == "level_too_low"

    with pytest.raises(Refused):
        telia.go(loa=LoA.HIGH)
    assert telia.go(loa=LoA.HIGH, minimum=LoA.SUBSTANTIAL).loa is LoA.SUBSTANTIAL


def test_asks_for_high_where_high_is_wanted(telia: Finland) -> None:
    """High is loa3 in the network."""
    _, claims = parts(sent(telia.provider().begin(telia.asked(loa=LoA.HIGH)))["request"])

    assert claims["acr_values"] == "http://ftn.ficora.fi/2017/loa3"


def test_a_test_level_counts_in_a_test_environment_only(clock: StoppedClock) -> None:
    """`loatest2` is substantial where the setting says that nobody is proved, and nothing anywhere else."""
    with finland(clock, test=True) as there:
        provider = there.provider(test=True)
        _, claims = parts(sent(provider.begin(there.asked()))["request"])
        assert claims["acr_values"] == "http://ftn.ficora.fi/2017/loatest2"
        assert there.go(provider).loa is LoA.SUBSTANTIAL
        with pytest.raises(Untrusted, match="level"):
            there.go()


def test_a_fresh_sign_in_is_checked(telia: Finland) -> None:
    """prompt=login is not believed but checked by `auth_time`, as with every upstream."""
    assert telia.go(fresh=True).loa is LoA.SUBSTANTIAL

    telia.lie("old_auth_time")
    with pytest.raises(Untrusted, match="auth_time"):
        telia.go(fresh=True)


def test_opens_with_a_key_on_its_way_out(telia: Finland) -> None:
    """After a rotation, what was encrypted to the older key opens as well."""
    kid, key = OUR_ENCRYPTION[1]
    numbers = key.public_key().public_numbers()
    n, e = (base64.urlsafe_b64encode(v.to_bytes((v.bit_length() + 7) // 8)).decode() for v in (numbers.n, numbers.e))
    older = {"kty": "RSA", "use": "enc", "kid": kid, "n": n.rstrip("="), "e": e.rstrip("=")}
    ours = telia.clients["us"].jwks
    assert ours is not None
    signing = [jwk for jwk in ours()["keys"] if jwk["use"] == "sig"]
    object.__setattr__(telia.clients["us"], "jwks", lambda: {"keys": [*signing, older]})

    assert telia.go().number is not None


def test_follows_the_brokers_rotation(telia: Finland, clock: StoppedClock) -> None:
    """Brokers change their keys every week: a new one is taken at once."""
    provider = telia.provider()
    telia.go(provider)
    telia.op.rotate(algs=("RS256",))

    assert telia.go(provider).number is not None


def test_keys_may_lie_in_a_file(telia: Finland, tmp_path: Path) -> None:
    """`jwks_file` pins the broker's keys: what another key signs is refused, whatever is published."""
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(telia.op.jwks()))
    provider = telia.provider(jwks_file=file)
    assert telia.go(provider).number is not None

    telia.op.rotate(algs=("RS256",))
    with pytest.raises(Untrusted, match="key"):
        telia.go(provider)


def test_keys_may_be_signed_by_a_pinned_key(telia: Finland, tmp_path: Path, clock: StoppedClock) -> None:
    """OpenID Federation: keys at `signed_jwks_uri` are taken when the pinned key signed them, and only then."""
    file = tmp_path / "entity.json"
    file.write_text(json.dumps({"keys": [telia.op.entity_key.as_dict(private=False)]}))
    signed = {"signed_jwks_uri": f"{telia.issuer}/openid_provider/signed_jwks.jwt", "trust_jwks_file": file}
    provider = telia.provider(**signed)
    assert telia.go(provider).number is not None
    telia.op.rotate(algs=("RS256",))
    assert telia.go(provider).number is not None

    other = type(telia.op.entity_key).generate_key(2048, {"kid": "entity", "use": "sig"})
    file.write_text(json.dumps({"keys": [other.as_dict(private=False)]}))
    with pytest.raises(Untrusted):
        telia.go(telia.provider(**signed))


def test_the_assertion_is_for_whom_the_broker_says(telia: Finland) -> None:
    """Telia and OP document their token endpoint as the audience; the setting may say the issuer."""
    with pytest.raises(Unreachable, match="invalid_client"):
        telia.go(telia.provider(assertion_audience="issuer"))

    telia.op.assertion_audience = telia.issuer
    assert telia.go(telia.provider(assertion_audience="issuer")).number is not None


def test_a_number_that_is_none_is_not_believed(telia: Finland) -> None:
    """A wrong check character ends the sign-in: it would be somebody else's identity."""
    aino = telia.people["aino"]
    object.__setattr__(aino, "number", str(aino.number)[:10] + ("A" if str(aino.number)[10] != "A" else "B"))

    with pytest.raises(Untrusted, match="number: check"):
        telia.go()


def test_it_is_a_kind_with_a_chain_of_its_own(telia: Finland) -> None:
    """The configuration finds it by name, and its encryption key is made at the first start with it."""
    assert "ftn" in kinds()
    assert kind("ftn").CHAINS == CHAINS == (Chain(Use.OIDC_ENC, "RSA-OAEP"),)
    there: Federated = telia.provider()
    assert isinstance(there, Federated)


WRONG: list[dict[str, Any]] = [
    {"broker": "nobody"},
    {"issuer": "http://broker.test"},
    {"client_id": ""},
    {"name": "K" * 41},
    {"name": ""},
    {"repeat": ("state",)},
    {"assertion_audience": "everybody"},
    {"scopes": ("profile",)},
    {"key_encryption": ("RSA1_5",)},
    {"key_encryption": ()},
    {"content_encryption": ("dir",)},
    {"jwks_file": Path("nowhere")},
    {"jwks_file": Path(__file__)},
    {"signed_jwks_uri": "https://broker.test/jwks"},
    {"trust_jwks_file": Path("nowhere")},
    {"end_session": "maybe"},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_settings_that_cannot_work_stop_the_start(clock: StoppedClock, wrong: dict[str, Any]) -> None:
    """Each mistake in the table is told with the table's name."""
    usual = {"broker": "telia", "issuer": "https://broker.test", "client_id": "us"}

    with pytest.raises(ConfigError) as stopped:
        make("ftn", Settings(**{**usual, **wrong}), means(clock, sandbox=False))
    assert {where for where, _ in stopped.value.mistakes} == {"providers.ftn"}


def test_all_mistakes_are_told_at_once(clock: StoppedClock) -> None:
    """Nobody mends a table line by line, start by start."""
    with pytest.raises(ConfigError) as stopped:
        make("ftn", Settings(broker="x", issuer="y", client_id=""), means(clock, sandbox=False))

    assert len(stopped.value.mistakes) == 3


@pytest.mark.parametrize("fault", [{"down": True}, {"status": 500}])
def test_a_broker_in_trouble_is_unreachable(telia: Finland, fault: dict[str, object]) -> None:
    """Down or broken: Unreachable, and starting does not need it."""
    provider = telia.provider()
    telia.faults.set("ftn", fault)

    with pytest.raises(ProviderError) as stopped:
        provider.begin(telia.asked())
    assert isinstance(stopped.value, Unreachable)
