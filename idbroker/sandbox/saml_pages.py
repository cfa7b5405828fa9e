"""The pages of a simulated SAML identity provider: rendered, with headers, and messages on their way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from flask import redirect, render_template, request
from werkzeug.wrappers import Response

from idbroker.sandbox.saml_wire import Leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What its pages say, by language; the first language is the one for everybody else. `cookie` remembers it."""

    texts: Mapping[str, Mapping[str, str]]
    cookie: str

    def language(self, *asked: str | None) -> str:
        """Return the first language asked for that there is, then the browser's, then the first of all."""
        wishes = [*asked, request.args.get("locale"), request.args.get("LG"), request.cookies.get(self.cookie)]
        return next((one for one in wishes if one is not None and one in self.texts), next(iter(self.texts)))

    def page(self, template: str, language: str, *, status: int = 200, **values: Any) -> Response:
        """Return a page that nothing outside may frame."""
        return self.framing(template, language, (), status=status, **values)

    def framing(
        self,
        template: str,
        language: str,
        frames: Sequence[str],
        *,
        status: int = 200,
        framed: bool = False,
        **values: Any,
    ) -> Response:
        """Return a page that shows addresses in frames; `framed` may be shown in one of ours."""
        body = render_template(
            template,
            words=self.texts[language],
            language=language,
            languages=list(self.texts),
            texts=self.texts,
            **values,
        )
        response = Response(body, status, mimetype="text/html")
        response.headers["Content-Security-Policy"] = _policy(frames, framed=framed)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.set_cookie(self.cookie, language, httponly=True, samesite="Lax")
        return response

    def leave(self, leaves: Leaves, language: str, *, framed: bool = False) -> Response:
        """Send a message on its way: by a redirect, or by a form that posts itself where scripts run."""
        if leaves.fields is None:
            return redirect(leaves.url, 303)
        return self.framing("saml_post.html", language, (), framed=framed, action=leaves.url, fields=leaves.fields)


def _policy(frames: Sequence[str], *, framed: bool) -> str:
    # No form-action: the browser checks it against every redirect after a post, and where those end an eID does
    # not know.
    origins = sorted({f"{one.scheme}://{one.netloc}" for one in map(urlsplit, frames) if one.netloc})
    shown = f"frame-src 'self' {' '.join(origins)}; " if frames else ""
    ancestors = "'self'" if framed else "'none'"
    return (
        f"default-src 'none'; style-src 'self'; script-src 'self'; {shown}base-uri 'none'; frame-ancestors {ancestors}"
    )
