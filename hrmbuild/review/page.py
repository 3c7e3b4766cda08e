"""The page's routes: three files of ours, and three questions about the pairs on the desk.

Owns turning requests into calls and errors into JSON. It must not decide anything: `desk` does, and `guard` stands
before it. Nothing is rendered on this side: texts travel as JSON and enter the page as text.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hrmbuild.errors import AnswerIsNoError, HrmbuildError, UsageError
from hrmbuild.review.desk import Desk, Edited
from hrmbuild.review.guard import App, Guard

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

STATIC = Path(__file__).resolve().parent / "static"
_FILES = {"/": ("page.html", "text/html"), "/page.css": ("page.css", "text/css"),
          "/page.js": ("page.js", "text/javascript")}  # fmt: skip
_TEXTS = ("instruction", "response", "answer")


def page(desk: Desk, *, token: str) -> App:
    """The ASGI application behind `http://127.0.0.1:PORT/TOKEN/`."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    def file_route(path: str, name: str, kind: str) -> Route:
        data = (STATIC / name).read_bytes()

        async def serve(_: Request) -> Response:
            return Response(data, media_type=kind)

        return Route(path, serve, methods=["GET"])

    async def overview(_: Request) -> Response:
        return JSONResponse(desk.overview())

    async def pair(request: Request) -> Response:
        return _told(lambda: desk.pair(request.path_params["name"]))

    async def decide(request: Request) -> Response:
        body = await request.body()
        return _told(lambda: _decide(desk, request.headers.get("content-type", ""), body))

    routes = [file_route(path, *file) for path, file in _FILES.items()]
    routes += [
        Route("/api/overview", overview, methods=["GET"]),
        Route("/api/pairs/{name}", pair, methods=["GET"]),
        Route("/api/decisions", decide, methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes), token=token)


def _decide(desk: Desk, content_type: str, body: bytes) -> dict[str, Any]:
    """One choice.

    Raises:
        UsageError: `review.bad_request`, and what `Desk.decide` raises.
    """
    if content_type.partition(";")[0].strip() != "application/json":
        raise UsageError("review.bad_request", "a choice is sent as application/json", fix="load the page again")
    try:
        given = json.loads(body)
        name, action, reason = given["pair"], given["action"], given.get("reason", "")
        texts = given.get("edited")
        edited = Edited(*(texts[key] for key in _TEXTS)) if texts is not None else None
        values = [name, action, reason, *([] if texts is None else [texts[key] for key in _TEXTS])]
        if not all(isinstance(value, str) for value in values):
            raise TypeError("texts are expected")
        "".join(values).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError("review.bad_request", "this is no choice", fix="load the page again") from error
    return desk.decide(name, action, reason=reason, edited=edited)


def _told(ask: Any) -> Response:
    """The answer as JSON; a refusal with its code: 422 where the texts are refused, 400 a mistake, 500 the disk."""
    from starlette.responses import JSONResponse

    try:
        return JSONResponse(ask())
    except AnswerIsNoError as error:
        return JSONResponse({"error": error.as_dict()}, 422)
    except UsageError as error:
        return JSONResponse({"error": error.as_dict()}, 400)
    except HrmbuildError as error:
        return JSONResponse({"error": error.as_dict()}, 500)
