"""How long a page of a sign-in stays open: more of it, and what becomes of a form that comes too late."""

from __future__ import annotations

import json
from collections.abc import Mapping

from werkzeug.wrappers import Response

from idbroker.errors import Gone
from idbroker.keeping import Kept
from idbroker.oidc.parameters import Parameters
from idbroker.transaction import Transaction
from idbroker.turns import ends_at, known_since
from idbroker.web.closing import closing
from idbroker.web.forms import typed
from idbroker.web.headers import see_other
from idbroker.web.site import Site
from idbroker.web.steering import Steering, is_our_nonce, page_of, shown_by

_NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_PLACES = ("who",)  # its value is a place in a list that was shown then, and may mean another person now


class Lasting:
    """Gives more time, and takes what comes after it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._steering = Steering(site)

    def more(self, kept: Kept[Transaction]) -> Response:
        """Give the page its time anew and tell the script how much there is: `left` in seconds, `last` if all."""
        moved = self._site.broker.moves.more_time(kept)
        _, clinic = self._site.broker.parties(moved.request)
        now = closing(moved, self._site.clock.now())
        says = self._site.pages.open_until(ends_at(moved), clinic.zone, moved.language)
        told = {"left": now["left"], "last": now["last"], "says": says}
        return Response(json.dumps(told, ensure_ascii=False), headers=_NO_STORE, content_type="application/json")

    def late(self, name: str, page: str, fields: Parameters) -> Response:
        """Take a form that came when its time was up. Nothing of it is done; the page says so. Gone if all is lost."""
        kept, cookie = self._steering.late(name)
        if not is_our_nonce(fields.get("_n", ""), cookie.secret, "" if page == "choose" else shown_by(kept.value)):
            raise self._steering.gone(Gone("a late form that is not ours (CSRF)"), cookie)
        if fields.get("do") == "late" and known_since(kept.value) is None:
            raise self._steering.gone(Gone("the page has closed by itself"), cookie)
        at_form = kept.value.form is not None and kept.value.form.page == page
        moved = self._site.broker.came_late(kept, page, _kept_of(page, fields) if at_form else {})
        return see_other(f"/t/{name}/{page_of(moved)}")


def _kept_of(page: str, fields: Parameters) -> Mapping[str, str]:
    """Return what is kept of a late form: no password, no code, no choice from a list; nothing if nothing was typed."""
    kept = {name: value for name, value in typed(page, fields).items() if name not in _PLACES}
    return kept if any(kept.values()) else {}
