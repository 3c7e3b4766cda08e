"""The server: bound to the loopback before its address is told, gone with Ctrl-C.

Owns the socket, the token and uvicorn's settings. It must not answer anything itself. Starlette with uvicorn: both are
small (three packages beside them), BSD licensed, released this year and what `hrmbuild serve` brings along anyway.
"""

from __future__ import annotations

import contextlib
import importlib.util
import ipaddress
import secrets
import socket
from collections.abc import Callable

from hrmbuild.errors import InputError, UsageError
from hrmbuild.review.desk import Desk
from hrmbuild.review.page import page

_LIBRARIES = ("starlette", "uvicorn")


def check_libraries() -> None:
    """Say what to install before any work is done.

    Raises:
        InputError: `review.not_installed`.
    """
    absent = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if absent:
        raise InputError("review.not_installed", f"the review page needs {' and '.join(absent)}",
                         where="hrmbuild review", fix="pip install 'hrmbuild[review]'")  # fmt: skip


def loopback(address: str) -> str:
    """The address as a loopback IP.

    Raises:
        UsageError: `review.not_loopback`: any other would show the corpus to a network.
    """
    try:
        ip = ipaddress.ip_address("127.0.0.1" if address == "localhost" else address)
    except ValueError:
        ip = None
    if ip is None or str(ip) not in ("127.0.0.1", "::1"):
        raise UsageError("review.not_loopback", f"{address!r} is no address of this machine alone", where="--bind",
                         why="whoever reaches the page reads the corpus and decides on it",
                         fix="use 127.0.0.1 or ::1, and from elsewhere: ssh -L 8765:localhost:8765 HOST")  # fmt: skip
    return str(ip)


def serve(desk: Desk, *, address: str, port: int, announce: Callable[[str], None]) -> None:
    """Answer until Ctrl-C (or SIGTERM).

    Args:
        address: what `loopback` gave.
        port: 0: any that is free.
        announce: called with the page's address once it is listened to.

    Raises:
        InputError: `review.port_taken`.
    """
    import uvicorn

    token = secrets.token_urlsafe(32)
    with _listening(address, port) as listener:
        name = f"[{address}]" if ":" in address else address
        config = uvicorn.Config(
            page(desk, token=token), http="h11", ws="none", loop="asyncio", lifespan="off", interface="asgi3",
            log_config=None, access_log=False, server_header=False, proxy_headers=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        announce(f"http://{name}:{listener.getsockname()[1]}/{token}/")
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again when it has closed everything
            uvicorn.Server(config).run(sockets=[listener])


def _listening(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
        listener.listen(64)
    except OSError as error:
        listener.close()
        raise InputError("review.port_taken", f"cannot listen on port {port}: {error.strerror}", where="--port",
                         fix="leave --port out: a free one is taken") from error  # fmt: skip
    return listener
