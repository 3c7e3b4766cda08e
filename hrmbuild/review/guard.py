"""Who may reach the page: whoever holds the token in its address, under a name of this very machine.

Owns everything that is refused before the page is asked, and the headers of every answer. It looks at the path and at
raw headers only, never at an address put together from them (CVE-2026-48710 was such an address). It must not know a
pair. The port in `Host` may be any: `ssh -L 9000:localhost:8000` brings another one.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 1 << 20
"""Of one request."""
_OWN_NAMES = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", POLICY.encode()),
    (b"cache-control", b"no-store"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)


class Guard:
    """Stands before the page."""

    def __init__(self, app: App, *, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, 411 or 413, or hand on with the token taken off the path."""
        assert scope["type"] == "http", "the server speaks HTTP only"
        told = _with_headers(send)
        refusal = self._refusal(scope)
        if refusal is not None:
            await _answer(told, *refusal)
            return
        rest = scope["path"].split("/", 2)[2] if scope["path"].count("/") > 1 else ""
        path = "/" + rest
        await self._app({**scope, "path": path, "raw_path": path.encode(), "root_path": ""}, receive, told)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = scope["headers"]
        host = _one(headers, b"host")
        if host is None or not _OWN_NAMES.fullmatch(host):
            return 403, "This page answers to names of its own machine only: 127.0.0.1, localhost, [::1]."
        origin = _one(headers, b"origin")
        if _has(headers, b"origin") and origin != f"http://{host}":
            return 403, "Another page asked."
        if _has(headers, b"sec-fetch-site") and _one(headers, b"sec-fetch-site") not in ("same-origin", "none"):
            return 403, "Another page asked."
        given = scope["path"].split("/")[1] if "/" in scope["path"] else ""
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token):
            return 403, "The address of this page holds a token, and this one is not it: see the terminal."
        return _body_refusal(scope, _one(headers, b"content-length"))


def _body_refusal(scope: Scope, length: str | None) -> tuple[int, str] | None:
    if scope["method"] != "POST":
        return None
    if length is None or not length.isdecimal():
        return 411, "Say how long it is."
    return (413, "Too long.") if int(length) > MAX_BODY_BYTES else None


def _has(headers: list[tuple[bytes, bytes]], name: bytes) -> bool:
    return any(key == name for key, _ in headers)


def _one(headers: list[tuple[bytes, bytes]], name: bytes) -> str | None:
    """The value of a header that stands there exactly once."""
    values = [value for key, value in headers if key == name]
    return values[0].decode("latin-1") if len(values) == 1 else None


def _with_headers(send: Send) -> Send:
    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *HEADERS]}
        await send(message)

    return told


async def _answer(send: Send, status: int, text: str) -> None:
    body = text.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
