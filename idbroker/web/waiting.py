"""What the page that waits for an app asks for: news, the code, the way into the app, and that it was left."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import structlog
from flask import Blueprint
from werkzeug.wrappers import Response

from idbroker.errors import BrokerError, Gone, ProviderError, WrongBrowser
from idbroker.transaction import PendingWait, Transaction
from idbroker.web import qr
from idbroker.web.headers import see_other
from idbroker.web.screens import Screens, state_of
from idbroker.web.site import Site
from idbroker.web.steering import Steering, is_our_nonce, page_of, posted_fields
from idbroker.web.views import WaitState

FRAMES, FRAME_SECONDS = 23, 1.0
_DRAWN = 256
_REFRESH = 20  # before the last frame, so that there is no dead code at the end of a stream
_OPENING, _CLOSING = b"--code\r\nContent-Type: image/png\r\n\r\n", qr.BLANK + b"\r\n--code--\r\n"
_NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_STREAMED = {**_NO_STORE, "X-Accel-Buffering": "no"}  # a proxy that gathers pictures shows none of them in time
_log = structlog.get_logger("idbroker.web")


def waiting(site: Site, *, pause: Callable[[float], None] = time.sleep) -> Blueprint:  # noqa: TID251 - an argument
    """Return the routes."""
    routes = Blueprint("waiting", __name__)
    at = _Waiting(site, pause)
    for path, name, view in (
        ("wait.json", "news", at.news),
        ("open", "opened", at.opened),
        ("qr", "code", at.code),
        ("qr.stream", "stream", at.stream),
    ):
        routes.add_url_rule(f"/t/<name>/{path}", name, view, methods=["GET"])
    routes.add_url_rule("/t/<name>/left", "left", at.left, methods=["POST"])
    return routes


class _Waiting:
    """What each route does."""

    def __init__(self, site: Site, pause: Callable[[float], None]) -> None:
        self._site, self._pause = site, pause
        self._screens, self._steering = Screens(site), Steering(site)
        self._slots = threading.BoundedSemaphore(site.streams)
        # Whoever asks a hundred times a second costs one drawing a second.
        self._drawn = lru_cache(_DRAWN)(qr.drawing)
        self._pictured = lru_cache(_DRAWN)(qr.picture)

    # ---- with script -----------------------------------------------------------------------------

    def news(self, name: str) -> Response:
        """Tell the script what to show now, or where to go: also for a transaction that is gone."""
        try:
            kept, _ = self._steering.load(name)
            wait = kept.value.wait
            if wait is None:
                return _json({"to": page_of(kept.value)})
            self._site.waits.seen(kept)
            return _json(self._news(kept.value, wait))
        except (Gone, WrongBrowser, ProviderError):
            return _json({"to": "wait"})  # that page has the words for it

    def _news(self, transaction: Transaction, wait: PendingWait) -> dict[str, Any]:
        told: dict[str, Any] = {
            "device": wait.device,
            "state": state_of(wait),
            "says": self._screens.says(transaction),
            "go": self._site.waits.ready(transaction),
        }
        text, link = self._site.waits.code(transaction), self._site.waits.link(transaction)
        if text is not None:
            drawn = self._drawn(text)
            told |= {"path": drawn.path, "box": drawn.view_box}
        return told if link is None else {**told, "link": link}

    def left(self, name: str) -> Response:
        """Note that a page was left; only the page itself can say so (CSRF)."""
        kept, cookie = self._steering.load(name)
        nonce = posted_fields().get("_n", "")
        if is_our_nonce(nonce, cookie.secret):
            self._site.waits.leave(kept, nonce)
        return Response(status=204, headers=_NO_STORE)

    # ---- without script --------------------------------------------------------------------------

    def opened(self, name: str) -> Response:
        """Lead into the app on this device, by the newest order's address."""
        kept, _ = self._steering.load(name)
        link = self._site.waits.opened(kept)
        if link is None:
            return see_other(f"/t/{name}/{page_of(kept.value)}")
        response = see_other(link)
        response.headers["Referrer-Policy"] = "origin"  # BankID wants to know where its app is opened from
        return response

    def code(self, name: str) -> Response:
        """Show the code in a document of its own, which asks for itself again."""
        kept, _ = self._steering.load(name)
        transaction, wait = kept.value, kept.value.wait
        self._site.waits.seen(kept)
        if wait is None or self._site.waits.ready(transaction):
            return self._screens.code(transaction, says=("b.st.on",))
        text = self._site.waits.code(transaction)
        if text is None:
            lapsed = state_of(wait) is WaitState.LAPSED
            said = (wait.says, "b.st.on") if lapsed else (wait.says,)
            return _refreshed(self._screens.code(transaction, says=said), 2)
        if self._slot_is_free():
            shown = self._screens.code(transaction, stream_src=f"/t/{name}/qr.stream")
            return _refreshed(shown, _REFRESH)
        return _refreshed(self._screens.code(transaction, drawing=self._drawn(text)), 1)

    def stream(self, name: str) -> Response:
        """Send the code as pictures that follow one another, one a second, for a while."""
        _, cookie = self._steering.load(name)
        content_type = "multipart/x-mixed-replace; boundary=code"
        return Response(self._frames(name, cookie.secret), headers=_STREAMED, content_type=content_type)

    def _slot_is_free(self) -> bool:
        if not self._slots.acquire(blocking=False):
            return False
        self._slots.release()
        return True

    def _frames(self, name: str, secret: str) -> Iterator[bytes]:
        """Yield the parts of a stream: as many as there are, one where all slots are taken, a white one at its end."""
        frames = FRAMES if self._slots.acquire(blocking=False) else 1
        try:
            text = self._text(name, secret)
            yield _OPENING + self._picture(text)
            for _ in range(frames - 1):
                if text is None:
                    break
                self._pause(FRAME_SECONDS)
                text = self._text(name, secret)
                yield self._picture(text)
            yield _CLOSING
        except BrokerError as error:
            _log.info("stream_ended", code=error.code, detail=error.detail)
        finally:
            if frames > 1:
                self._slots.release()

    def _picture(self, text: str | None) -> bytes:
        """Return one picture and the beginning of the next part: browsers show a picture when the next one begins."""
        return (qr.BLANK if text is None else self._pictured(text)) + b"\r\n" + _OPENING

    def _text(self, name: str, secret: str) -> str | None:
        kept = self._site.broker.load(name, secret)
        self._site.waits.seen(kept)
        return self._site.waits.code(kept.value)


def _refreshed(response: Response, seconds: int) -> Response:
    response.headers["Refresh"] = str(seconds)
    return response


def _json(news: Mapping[str, Any]) -> Response:
    body = json.dumps(news, ensure_ascii=False, separators=(",", ":"))
    return Response(body, headers=_NO_STORE, content_type="application/json")
