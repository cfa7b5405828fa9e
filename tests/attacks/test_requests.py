"""The authorization request: what is refused, and how the client is told (standards 1.5; 2.5 A5, A9 to A13)."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
import requests

from tests.door import CALLBACK, CHALLENGE, Door, answer_of, authorize_url, claims_of, form_of

TEXT = frozenset(map(chr, (0x20, 0x21, *range(0x23, 0x5C), *range(0x5D, 0x7F))))


def told(page: requests.Response) -> dict[str, str]:
    """Return what the portal is told; an error in well-formed words."""
    answer = answer_of(page)
    assert set(answer) <= {"error", "error_description", "state", "iss"}
    assert set(answer.get("error_description", "")) <= TEXT
    return answer


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "no response_type": ({"response_type": ""}, "invalid_request"),
    "token": ({"response_type": "token"}, "unsupported_response_type"),
    "id_token token": ({"response_type": "id_token token"}, "unsupported_response_type"),
    "code id_token": ({"response_type": "code id_token"}, "unsupported_response_type"),
    "none": ({"response_type": "none"}, "unsupported_response_type"),
    "Code": ({"response_type": "Code"}, "unsupported_response_type"),
    "fragment": ({"response_mode": "fragment"}, "invalid_request"),
    "web_message": ({"response_mode": "web_message"}, "invalid_request"),
    "query.jwt": ({"response_mode": "query.jwt"}, "invalid_request"),
    "unregistered mode": ({"client_id": "onlyquery", "response_mode": "form_post"}, "invalid_request"),
    "no scope": ({"scope": ""}, "invalid_scope"),
    "no openid": ({"scope": "profile email"}, "invalid_scope"),
    "no challenge": ({"code_challenge": "", "code_challenge_method": ""}, "invalid_request"),
    "no method": ({"code_challenge_method": ""}, "invalid_request"),
    "plain": ({"code_challenge_method": "plain"}, "invalid_request"),
    "s256": ({"code_challenge_method": "s256"}, "invalid_request"),
    "short challenge": ({"code_challenge": "abc"}, "invalid_request"),
    "odd challenge": ({"code_challenge": CHALLENGE[:-1] + "="}, "invalid_request"),
    "method alone": ({"client_id": "legacy", "code_challenge": ""}, "invalid_request"),
    "request": ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
    "request_uri": ({"request_uri": "http://169.254.169.254/"}, "request_uri_not_supported"),
    "request_uri file": ({"request_uri": "file:///etc/passwd"}, "request_uri_not_supported"),
    "request_uri urn": ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "request_uri_not_supported"),
    "registration": ({"registration": "{}"}, "registration_not_supported"),
    "prompt none login": ({"prompt": "none login"}, "invalid_request"),
    "prompt unknown": ({"prompt": "sudo"}, "invalid_request"),
    "prompt none": ({"prompt": "none"}, "login_required"),
    "max_age minus": ({"max_age": "-1"}, "invalid_request"),
    "max_age word": ({"max_age": "ten"}, "invalid_request"),
    "max_age huge": ({"max_age": "9" * 30}, "invalid_request"),
    "max_age arabic": ({"max_age": "١٢"}, "invalid_request"),
    "claims text": ({"claims": "x"}, "invalid_request"),
    "claims list": ({"claims": "[]"}, "invalid_request"),
    "claims deep": ({"claims": '{"a":' * 1300 + "1" + "}" * 1300}, "invalid_request"),
    "claims twice": ({"claims": '{"userinfo":{},"userinfo":{}}'}, "invalid_request"),
    "claims number": ({"claims": '{"id_token":{"acr":7}}'}, "invalid_request"),
    "claims nan": ({"claims": '{"id_token":{"acr":{"value":NaN}}}'}, "invalid_request"),
    "claims value": ({"claims": '{"id_token":{"acr":{"values":[1,2]}}}'}, "invalid_request"),
    "claims huge": ({"claims": json.dumps({"userinfo": {f"c{n}": None for n in range(300)}})}, "invalid_request"),
    "acr unmet": (
        {"claims": '{"id_token":{"acr":{"essential":true,"value":"loa99"}}}'},
        "unmet_authentication_requirements",
    ),
    "locales huge": ({"ui_locales": "da " * 2000}, "invalid_request"),
    "hint huge": ({"login_hint": "x" * 5000}, "invalid_request"),
    "hint rubbish": ({"id_token_hint": "a.b.c"}, "invalid_request"),
    "nonce huge": ({"nonce": "x" * 1025}, "invalid_request"),
}


@pytest.mark.parametrize(("asked", "error"), REFUSED.values(), ids=REFUSED)
def test_a_request_that_is_not_right_is_refused(door: Door, asked: dict[str, str], error: str) -> None:
    """A5, A10, A11, A12: the client is told which error, with `state` and `iss`, and nothing is kept of it."""
    before = door.stored()
    page = door.browser().fetch(authorize_url(**asked))

    assert page.status_code == 303
    answer = told(page)
    assert (answer["error"], answer["state"], answer["iss"]) == (error, "s-1", door.issuer)
    assert door.stored() == before


@pytest.mark.parametrize(
    "name", ["client_id", "response_type", "scope", "state", "nonce", "code_challenge", "prompt", "x"]
)
def test_a_parameter_sent_twice_is_refused(door: Door, name: str) -> None:
    """A9: request parameters must not be included more than once (RFC 6749, 3.1)."""
    page = door.browser().fetch(f"{authorize_url(x='1', prompt='login')}&{name}=again")

    if name == "client_id":
        assert (page.status_code, page.headers.get("Location")) == (400, None)
    else:
        assert (page.status_code, told(page)["error"]) == (303, "invalid_request")


def test_of_two_states_none_comes_back(door: Door) -> None:
    """A9: a state sent twice is not chosen from; the error comes without one."""
    page = door.browser().fetch(f"{authorize_url()}&state=evil")

    assert "state" not in told(page)


@pytest.mark.parametrize("mode", ["query", "form_post"])
@pytest.mark.parametrize("length", [128, 1000, 4096])
def test_state_and_nonce_come_back_as_they_went(door: Door, mode: str, length: int) -> None:
    """1.5: a long state and nonce with every kind of character come back unmodified, and `iss` with them (RFC 9207)."""
    odd = "æ +%&=;\"'<>/?#\\~ü漢"
    state, nonce = (odd * length)[:length], (odd * 60)[: min(length, 1000)]
    answer = door.browser().sign_in(state=state, nonce=nonce, response_mode=mode)
    tokens = door.redeem(answer["code"]).json()

    assert (answer["state"], answer["iss"]) == (state, door.issuer)
    assert claims_of(tokens["id_token"])["nonce"] == nonce


@pytest.mark.parametrize("asked", [{"prompt": "none"}, {"scope": "profile"}, {"response_type": "token"}])
def test_form_post_carries_errors_too(door: Door, asked: dict[str, str]) -> None:
    """A13, 1.5 formpost: errors are posted as well, with `iss`, and nothing stands in the URL."""
    page = door.browser().fetch(authorize_url(response_mode="form_post", **asked))

    assert (page.status_code, page.headers.get("Location"), form_of(page).action) == (200, None, CALLBACK)
    assert told(page)["iss"] == door.issuer


def test_form_post_escapes_what_it_carries(door: Door) -> None:
    """A13: a state with markup in it is data in the page that posts, not markup."""
    page = door.browser().fetch(
        authorize_url(response_mode="form_post", prompt="none", state='"><script>alert(1)</script>')
    )

    assert "<script>alert" not in page.text
    assert answer_of(page)["state"] == '"><script>alert(1)</script>'


@pytest.mark.parametrize(
    "asked",
    [
        {"display": "page"}, {"display": "popup"}, {"display": "hologram"}, {"extra": "foobar"}, {"login_hint": "x@y"},
        {"ui_locales": "se fr-CA"}, {"claims_locales": "da"}, {"acr_values": "1 2"}, {"nonce": ""}, {"state": ""},
        {"scope": "offline_access profile openid"}, {"scope": "openid email unknown"}, {"resource": "https://x.test"},
        {"claims": '{"userinfo":{"name":{"essential":true}}}'}, {"claims": "{}"}, {"duplicates": "client_id"},
        {"prompt": "consent"}, {"max_age": "0"}, {"id_token_hint": ""}, {"request": ""},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_unknown_or_optional_does_no_harm(door: Door, asked: dict[str, str]) -> None:
    """1.5: unknown parameters are ignored, optional ones may be missing: the sign-in succeeds."""
    answer = door.browser().sign_in(**asked)

    tokens = door.redeem(answer["code"])
    assert tokens.status_code == 200
    assert answer.get("state") == asked.get("state", "s-1") or asked == {"state": ""}
    if asked == {"nonce": ""}:
        assert "nonce" not in claims_of(tokens.json()["id_token"])


def test_a_cross_site_post_is_an_authorization_request(door: Door) -> None:
    """1.5 ensure-post-request: a form posted from another site works as a GET does (Core 3.1.2.1)."""
    query = authorize_url(state="posted").partition("?")[2]
    browser = door.browser()
    begun = browser.fetch(
        "/authorize", "POST", data=query, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    page = browser.get(begun.headers["Location"])
    answer = answer_of(browser.press(browser.press(page, provider="mitid"), person="anna", outcome="approve"))

    assert (begun.status_code, begun.headers["Location"].partition("=")[0]) == (303, "/authorize?continue")
    assert answer["state"] == "posted"


def test_a_cross_site_post_finds_the_sign_on(door: Door) -> None:
    """1.11: the Lax cookie does not come with the post but with the GET that follows: no second sign-in."""
    browser = door.browser()
    browser.sign_in()
    query = authorize_url(prompt="none").partition("?")[2]
    begun = requests.post(
        f"{door.issuer}/authorize",
        data=query,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        allow_redirects=False,
        timeout=5,
    )

    assert "code" in answer_of(browser.get(begun.headers["Location"]))


@pytest.mark.parametrize(
    "twice", ["state=x", "redirect_uri=https%3A%2F%2Fevil.test", "client_id=other", "a%20b=1&a%20b=2"]
)
def test_duplicates_in_a_post_are_refused_too(door: Door, twice: str) -> None:
    """A9: what a query may not, a posted form may not either."""
    query = f"{authorize_url().partition('?')[2]}&{twice}"
    page = door.browser()
    shown = page.fetch("/authorize", "POST", data=query, headers={"Content-Type": "application/x-www-form-urlencoded"})
    if shown.headers.get("Location", "").startswith("/authorize?"):
        shown = page.fetch(shown.headers["Location"])

    if shown.status_code == 303:
        assert shown.headers["Location"].startswith(f"{CALLBACK}?error=invalid_request")
    else:
        assert (shown.status_code, shown.headers.get("Location")) == (400, None)


def test_query_and_body_are_not_mixed(door: Door) -> None:
    """A27: parameters in the query of a POST count for nothing: one source, or two parsers read two requests."""
    browser = door.browser()
    body = authorize_url(redirect_uri="https://evil.test/").partition("?")[2]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    before = door.stored()

    for data in (body, ""):
        refused = browser.fetch(authorize_url(), "POST", data=data, headers=form)
        assert (refused.status_code, refused.headers.get("Location")) == (400, None)

    assert door.stored() == before


def test_an_answer_to_no_transaction_is_not_kept(door: Door) -> None:
    """A reply posted to the callback that names no living transaction is refused, and nothing is stored."""
    before = door.stored()

    for state in ("", "x", "A" * 22, f"{'A' * 22}.{'B' * 22}"):
        refused = door.browser().fetch("/callback/mitid", "POST", data={"state": state, "code": "c"})
        assert refused.status_code in {400, 404, 410}

    assert door.stored() == before


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
def test_another_content_type_is_refused(door: Door, kind: str) -> None:
    """A27: only a form is a form: text/plain, which any page can send unasked, is not read as one."""
    body = authorize_url().partition("?")[2]
    page = door.browser().fetch("/authorize", "POST", data=body.encode(), headers={"Content-Type": kind})

    assert page.status_code == 400


def test_state_is_not_read_from_elsewhere(door: Door) -> None:
    """A13: an unregistered `iss` or `code` in the request does not get into the answer."""
    page = door.browser().fetch(f"{authorize_url(prompt='none')}&iss={quote('https://evil.test')}&code=evil")

    assert told(page)["iss"] == door.issuer
