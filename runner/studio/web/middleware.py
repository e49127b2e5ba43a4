"""Who may come in: whoever has the token, from this machine, by this machine's own name.

The token stands in the path of every address, not in a cookie. A cookie would go along by itself
with whatever any page makes the browser send, and to every other port of 127.0.0.1, for cookies
know no ports; what stands in the path must be known, so no foreign page can ask for anything. It
ends up in the browser's history, and is worth nothing there once the studio has stopped. It leaks
to nobody by a Referer: that is sent to the studio alone, and no page refers to anything else.
Not `no-referrer`, or a form would be sent with `Origin: null`, which is refused here.

A foreign name that an attacker's DNS points to 127.0.0.1 is seen by the Host header.
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
NAMES = ("127.0.0.1", "localhost")
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
_LONGEST = 10_000  # bytes of a form: ours are a few


def new_token() -> str:
    """Return a token that nobody guesses."""
    return secrets.token_urlsafe(24)


class Gate:
    """Lets in what has the token, and puts the headers that every answer has."""

    def __init__(self, app: App, token: str, port: int) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = {f"{name}:{port}" for name in NAMES}
        if port == 80:
            self._hosts |= set(NAMES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on with the token taken off its path."""
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value for name, value in scope["headers"]}
        token, _, rest = scope["path"].lstrip("/").partition("/")
        known = secrets.compare_digest(token.encode("utf-8", "replace"), self._token)
        refused = self._refused(scope["method"], headers, known=known)
        if refused:
            await _answer(send, *refused)
            return
        inner = {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode(), "root_path": ""}
        await self._app(inner, receive, _with_headers(send))

    def _refused(
        self, method: str, headers: dict[str, bytes], *, known: bool
    ) -> tuple[HTTPStatus, str, str] | None:
        host = headers.get("host", b"").decode("latin-1").lower()
        origin = headers.get("origin")
        if host not in self._hosts:
            return (
                HTTPStatus.MISDIRECTED_REQUEST,
                "Not by this name",
                "The studio answers to 127.0.0.1 and localhost alone.",
            )
        if origin is not None and origin.decode("latin-1").lower() != f"http://{host}":
            return (
                HTTPStatus.FORBIDDEN,
                "Not from another page",
                "The studio answers to its own pages alone.",
            )
        if not known:
            return (
                HTTPStatus.FORBIDDEN,
                "This needs the whole link",
                "The link that `python -m runner studio` printed holds a token, which is another "
                "one after each start.",
            )
        if method not in METHODS:
            return (
                HTTPStatus.METHOD_NOT_ALLOWED,
                "The studio only reads",
                f"It knows no {method}. Records are changed by your application, or in psql.",
            )
        if int(headers.get("content-length", b"0") or b"0") > _LONGEST:
            return (
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "That is too much",
                "No form of the studio is as long.",
            )
        return None


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            given = {name for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *(pair for pair in _encoded() if pair[0] not in given),
            ]
        await send(message)

    return sending


def _encoded() -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in HEADERS.items()]


async def _answer(send: Send, status: HTTPStatus, title: str, line: str) -> None:
    text = render.bare("problem.html", title=title, lines=[line], command="", back="", css="")
    body = text.encode()
    headers = [
        *_encoded(),
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append((b"allow", ", ".join(METHODS).encode()))
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})
