"""`hrmbuild serve`: an engine that exists, started on a package with the settings that PrefixLM needs.

Owns the choice of the engine, its process from start to end, and the proof that it answers as the package was frozen:
the probe's prompts are asked over HTTP before the address is given out. It must not serve anything itself. It does not
judge later requests: who may reach the address may ask.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from hrmbuild.errors import AnswerIsNoError, InputError, UsageError
from hrmbuild.inference.generate import SINGLE_THREAD_WIDTH
from hrmbuild.inference.load import CONFIG_NAME, read_json_object
from hrmbuild.packaging.probe import SAFE_MARGIN
from hrmbuild.packaging.verify import PROBE_NAME, check_files, read_package_manifest
from hrmbuild.pipelines.access import check_role
from hrmbuild.pipelines.engines import ENGINES, OFFLINE, EngineName, Served
from hrmbuild.pipelines.progress import Progress
from hrmbuild.records.package import Probe, ProbePrompt

READY_S = 600.0
"""An engine that has not come up by then never will."""
REQUEST_S = 300.0
END_S = 10.0
"""An engine gets so long to end by itself."""
PROBES = 4
"""Prompts of the probe that are asked; a causal mask already changes the first."""
_POLL_S = 0.2
_STDERR = 2


@dataclass(frozen=True)
class ServeReport:
    """An engine that is up and answers as it should."""

    engine: EngineName
    url: str
    """Base of an OpenAI-like API."""
    model: str
    """What requests call the model."""
    checked: int
    """Prompts of the probe that it answered as recorded."""

    def as_dict(self) -> dict[str, Any]:
        """The keys of `serve --json`."""
        return dict(vars(self))


class EndedBySignalError(Exception):
    """SIGINT or SIGTERM came; `status` is 130 or 143."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number


def serve(
    package: Path,
    *,
    engine: EngineName | None,
    host: str,
    port: int,
    role: str | None,
    ready: Callable[[ServeReport], None],
    progress: Progress,
) -> int:
    """Start an engine, prove it, call `ready`, and stay until it ends; returns the exit status.

    Raises:
        UsageError: `serve.no_engine`, `serve.not_installed`, `serve.port_taken`, `ask.unknown_role`.
        AnswerIsNoError: `serve.other_answers`, or the role may not ask (`ask.role_below_label`).
        InputError: the package cannot be loaded or was altered, or the engine ended (`serve.engine_ended`).
    """
    check_files(package)
    check_role(read_package_manifest(package), role)
    chosen = choose_engine(engine)
    served = _served(package, host, port)
    _check_port(host, port)
    if host not in ("127.0.0.1", "::1", "localhost"):
        progress.message(f"whoever reaches {host}:{port} may ask: the engine knows no roles")
    command, probe = ENGINES[chosen].command(served), _probe(package)
    progress.message(f"starting {chosen} on {package.name}")
    try:
        with _signals(), _running(command, served) as process:
            ready(_proven(process, served, chosen, probe))
            process.wait()
    except EndedBySignalError as ended:
        return ended.status
    progress.message(f"{chosen} ended with status {process.returncode}; its own messages stand above")
    return InputError.exit_status


def choose_engine(wanted: EngineName | None) -> EngineName:
    """The engine asked for, or the first that is installed and fits the machine.

    Raises:
        UsageError: `serve.not_installed`, `serve.no_engine`.
    """
    if wanted is not None:
        missing = ENGINES[wanted].missing()
        if missing:
            raise UsageError("serve.not_installed", f"{wanted} cannot serve here: {', '.join(missing)} not installed",
                             where=f"--engine {wanted}", fix=ENGINES[wanted].install)  # fmt: skip
        return wanted
    for name, engine in ENGINES.items():
        if not engine.missing() and (torch.cuda.is_available() or not engine.needs_gpu):
            return name
    fix = "; or ".join(f"{one.install} ({name})" for name, one in reversed(ENGINES.items()))
    raise UsageError("serve.no_engine", "no engine that could serve is installed here", where=sys.prefix, fix=fix)


def _served(package: Path, host: str, port: int) -> Served:
    config, device = read_json_object(package / CONFIG_NAME), "cuda" if torch.cuda.is_available() else "cpu"
    context, width = config["max_position_embeddings"], config["hidden_size"]
    return Served(package.resolve(), host, port, config["dtype"], context, width, device)


def _probe(package: Path) -> Probe:
    """The prompts whose answers no rounding changes, some of them."""
    probe = Probe.model_validate_json((package / PROBE_NAME).read_bytes())
    safe = [one for one in probe.prompts if float(one.margin) > SAFE_MARGIN]
    return probe.model_copy(update={"prompts": tuple(safe[:PROBES])})


def _check_port(host: str, port: int) -> None:
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        told, where = f"nothing can listen there: {error.strerror or error}", f"{host}:{port}"
        raise UsageError("serve.port_taken", told, where=where, fix="choose another --port") from error


@contextmanager
def _signals() -> Iterator[None]:
    """The first SIGINT or SIGTERM ends the engine, then the command; later ones change nothing."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1:
            raise EndedBySignalError(number)

    numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _running(command: list[str], served: Served) -> Iterator[subprocess.Popen[bytes]]:
    """The engine in a group of its own, so that it ends with its workers; what it prints goes to stderr."""
    with tempfile.TemporaryDirectory(prefix="hrmbuild-serve-") as home:
        told = _threads(served) | os.environ | OFFLINE | {"HF_HOME": home, "HF_HUB_CACHE": home}
        beside = served.folder.parent
        with subprocess.Popen(command, stdout=_STDERR, env=told, cwd=beside, start_new_session=True) as process:
            try:
                yield process
            finally:
                _end(process)


def _threads(served: Served) -> dict[str, str]:
    """A small model's steps are too short to be shared: threads that wait for one another take a core each."""
    is_narrow = served.device == "cpu" and served.hidden_size <= SINGLE_THREAD_WIDTH
    return {"OMP_NUM_THREADS": "1"} if is_narrow else {}


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(END_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _proven(process: subprocess.Popen[bytes], served: Served, engine: EngineName, probe: Probe) -> ServeReport:
    """Wait until the engine is up, and ask it what the package was asked when it was made."""
    base = f"http://{f'[{served.host}]' if ':' in served.host else served.host}:{served.port}"
    _wait_until_up(process, base, engine)
    checked = check_answers(base, served.folder.name, probe, exact=served.dtype == "float32")
    return ServeReport(engine, f"{base}/v1", served.folder.name, checked)


def _wait_until_up(process: subprocess.Popen[bytes], base: str, engine: EngineName) -> None:
    deadline_s = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < deadline_s:
        try:
            with urllib.request.urlopen(f"{base}/health", timeout=REQUEST_S) as response:
                if response.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(_POLL_S)
    how = f"did not come up in {READY_S:.0f} s" if process.returncode is None else f"ended: {process.returncode}"
    raise InputError("serve.engine_ended", f"{engine} {how}", where=f"--engine {engine}",
                     why="its own messages stand above", fix="mend what it says, or take another engine")  # fmt: skip


def check_answers(base: str, model: str, probe: Probe, *, exact: bool) -> int:
    """How many of the probe's prompts the engine answers as recorded, asked greedily over HTTP.

    In float32 all have to; with rounded weights a token may fall otherwise, so more than half.

    Raises:
        AnswerIsNoError: `serve.other_answers`.
        InputError: `serve.bad_reply`: the engine does not answer.
    """
    most = probe.max_new_tokens
    replies = [(known, asked_over_http(base, model, known, max_tokens=most)) for known in probe.prompts]
    other = [(known, said) for known, said in replies if said != known.answer]
    if len(other) > (0 if exact else (len(replies) - 1) // 2):
        known, said = other[0]
        raise AnswerIsNoError(
            "serve.other_answers",
            f"{len(other)} of {len(replies)} prompts of the probe are not answered as when the model was packaged",
            where=f"said {said[:80]!r}, recorded {known.answer[:80]!r}",
            why="the engine computes another model, most likely by reading prompts in one direction only",
            fix="take another version of the engine or another --engine; hrmbuild ask answers as recorded",
        )
    return len(replies) - len(other)


def asked_over_http(base: str, model: str, prompt: ProbePrompt, *, max_tokens: int) -> str:
    """One greedy answer of the engine's chat endpoint.

    Raises:
        InputError: `serve.bad_reply`.
    """
    body = {
        "model": model, "messages": [{"role": "user", "content": prompt.instruction}], "temperature": 0.0,
        "max_tokens": max_tokens, "chat_template_kwargs": {"condition": prompt.condition},
    }  # fmt: skip
    request = urllib.request.Request(f"{base}/v1/chat/completions", json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=REQUEST_S) as response:
            return str(json.load(response)["choices"][0]["message"]["content"] or "")
    except (OSError, ValueError, LookupError, TypeError) as error:
        said = error.read(200) if isinstance(error, urllib.error.HTTPError) else b""
        told = f"the engine does not answer: {error} {said.decode(errors='replace')}".rstrip()
        raise InputError("serve.bad_reply", told, where=base, fix="take another --engine") from error
