"""Access control: only requests with the token, from this machine, to this machine's own name.

The token is part of every URL's path instead of a cookie. A browser would send a cookie with
requests made by any web page, and to every port of 127.0.0.1, because cookies ignore ports. A path
has to be known, so another web page cannot make a valid request. The token stays in the browser's
history but is worthless once the studio has stopped. The Referer header does not leak it: that is
only sent to the studio itself, and no page links elsewhere. The policy is not `no-referrer` because
forms would then be sent with `Origin: null`, which is rejected here.

The Host check detects a foreign name that an attacker's DNS resolves to 127.0.0.1.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from runner.studio.web import render

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

METHODS = ("GET", "HEAD", "POST")
HOSTNAMES = ("127.0.0.1", "localhost")
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_MAX_BODY = 10_000  # bytes; the studio's own forms send a few


def new_token() -> str:
    """Return a random token of 192 bits, as 32 URL-safe characters."""
    return secrets.token_urlsafe(24)


class AccessControl:
    """ASGI middleware that rejects requests without the token and adds security headers.

    `token` is the first part of every path; `port` is the one the server listens on.
    """

    def __init__(self, app: App, token: str, port: int) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = {f"{name}:{port}" for name in HOSTNAMES}
        if port == 80:
            self._hosts |= set(HOSTNAMES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject a request, or pass it to the application with the token removed from its path."""
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value for name, value in scope["headers"]}
        token, _, rest = scope["path"].lstrip("/").partition("/")
        known = secrets.compare_digest(token.encode("utf-8", "replace"), self._token)
        rejection = self._rejection(scope["method"], headers, known=known)
        if rejection:
            await _respond(send, *rejection)
            return
        inner = {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode(), "root_path": ""}
        await self._app(inner, receive, _with_headers(send))

    def _rejection(
        self, method: str, headers: dict[str, bytes], *, known: bool
    ) -> tuple[HTTPStatus, str, str] | None:
        host = headers.get("host", b"").decode("latin-1").lower()
        origin = headers.get("origin")
        if host not in self._hosts:
            return (
                HTTPStatus.MISDIRECTED_REQUEST,
                "Misdirected request",
                "The studio is only served as 127.0.0.1 or localhost.",
            )
        if origin is not None and origin.decode("latin-1").lower() != f"http://{host}":
            return (
                HTTPStatus.FORBIDDEN,
                "Forbidden",
                "The studio only accepts requests from its own pages.",
            )
        if not known:
            return (
                HTTPStatus.FORBIDDEN,
                "Forbidden",
                "Open the complete link that `python -m runner studio` printed. It contains a "
                "token that is different after each start.",
            )
        if method not in METHODS:
            return (
                HTTPStatus.METHOD_NOT_ALLOWED,
                "Method not allowed",
                f"The studio is read-only and does not accept {method}. Change records through "
                "your application or in psql.",
            )
        if int(headers.get("content-length", b"0") or b"0") > _MAX_BODY:
            return (
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "Payload too large",
                f"The limit is {_MAX_BODY:,} bytes.",
            )
        return None


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            given = {name for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *(pair for pair in _encoded_headers() if pair[0] not in given),
            ]
        await send(message)

    return sending


def _encoded_headers() -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in HEADERS.items()]


async def _respond(send: Send, status: HTTPStatus, title: str, line: str) -> None:
    text = render.standalone("problem.html", title=title, lines=[line], command="", back="", css="")
    body = text.encode()
    headers = [
        *_encoded_headers(),
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append((b"allow", ", ".join(METHODS).encode()))
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})
