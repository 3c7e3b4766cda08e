"""`serve`: which engine, what it is told, the proof before its address is given out, and its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from packaged_project import Packaged

from hrmbuild.errors import AnswerIsNoError, InputError, UsageError
from hrmbuild.pipelines.ask import AskSettings, ask
from hrmbuild.pipelines.engines import ENGINES, Served
from hrmbuild.pipelines.progress import SilentProgress
from hrmbuild.pipelines.serve import ServeReport, asked_over_http, check_answers, choose_engine, serve
from hrmbuild.records.package import Probe, ProbePrompt

PROBE = Probe(
    max_new_tokens=8,
    prompts=tuple(
        ProbePrompt(instruction=f"q{n}", condition="cot", answer=f"a{n}", margin="1.0", logits=(), token_ids=())
        for n in range(3)
    ),
)


class Engine(ThreadingHTTPServer):
    """Another engine: says `a1` to `q1`, and to some questions something else."""

    otherwise: dict[str, str]


class Canned(BaseHTTPRequestHandler):
    """Its chat endpoint; an empty answer is a refusal."""

    def do_POST(self) -> None:
        """One chat answer."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert body["chat_template_kwargs"] == {"condition": "cot"} and body["max_tokens"] == 8
        question = body["messages"][0]["content"]
        assert isinstance(self.server, Engine)
        said = self.server.otherwise.get(question, question.replace("q", "a"))
        told = json.dumps({"choices": [{"message": {"content": said}}]} if said else {"detail": "no"}).encode()
        self.send_response(200 if said else 400)
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def engine_that_says(otherwise: dict[str, str]) -> Iterator[str]:
    server = Engine(("127.0.0.1", 0), Canned)
    server.otherwise = otherwise
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_engine_that_answers_as_recorded_is_proven() -> None:
    with engine_that_says({}) as base:
        assert check_answers(base, "m", PROBE, exact=True) == 3


def test_one_other_answer_refuses_it_in_float32_and_most_of_them_in_rounded_weights() -> None:
    with engine_that_says({"q1": "another"}) as base:
        with pytest.raises(AnswerIsNoError) as caught:
            check_answers(base, "m", PROBE, exact=True)
        assert caught.value.code == "serve.other_answers" and "'another'" in str(caught.value.where)
        assert check_answers(base, "m", PROBE, exact=False) == 2
    with engine_that_says({"q1": "another", "q2": "another"}) as base, pytest.raises(AnswerIsNoError, match="2 of 3"):
        check_answers(base, "m", PROBE, exact=False)


def test_an_engine_that_refuses_is_told_with_its_words() -> None:
    with engine_that_says({"q0": ""}) as base, pytest.raises(InputError, match=r"400.*detail"):
        asked_over_http(base, "m", PROBE.prompts[0], max_tokens=8)


def start(package: Path, *, port: int = 8000, role: str | None = None) -> None:
    def ready(report: ServeReport) -> None:
        raise AssertionError(f"{report} was started")

    serve(
        package, engine="transformers", host="127.0.0.1", port=port, role=role, ready=ready, progress=SilentProgress()
    )


def test_what_cannot_be_served_is_refused_before_anything_starts(packaged: Packaged) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError) as caught:
        start(packaged.package, port=taken.getsockname()[1])
    assert caught.value.code == "serve.port_taken"
    with pytest.raises(UsageError, match="no roles"):
        start(packaged.package, role="clerk")
    (packaged.package / "planted").write_text("x", encoding="utf-8")
    with pytest.raises(InputError) as altered:
        start(packaged.package)
    assert altered.value.code == "package.altered"


def test_an_engine_that_is_not_installed_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hrmbuild.pipelines.engines.find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        choose_engine("vllm")
    assert (caught.value.code, caught.value.fix) == ("serve.not_installed", "pip install vllm")
    with pytest.raises(UsageError) as none:
        choose_engine(None)
    assert none.value.code == "serve.no_engine" and "hrmbuild[serve]" in str(none.value.fix)


def test_without_a_gpu_the_engine_that_needs_none_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hrmbuild.pipelines.engines.find_spec", lambda name: name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_engine(None) == "transformers"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_engine(None) == "vllm"


def test_every_engine_reads_prompts_whole() -> None:
    served = Served(Path("/p/model"), "127.0.0.1", 8000, "float32", 512, 128, "cpu")
    commands = {name: engine.command(served) for name, engine in ENGINES.items()}
    assert "--no-continuous-batching" in commands["transformers"]
    assert {"--no-enable-chunked-prefill", "--no-enable-prefix-caching"} <= set(commands["vllm"])
    assert {"--disable-radix-cache", "--disable-cuda-graph"} <= set(commands["sglang"])
    assert commands["sglang"][commands["sglang"].index("--chunked-prefill-size") + 1] == "-1"
    assert all(command[command.index("--dtype") + 1] == "float32" for command in commands.values())
    assert all(command[command.index("--host") + 1] == "127.0.0.1" for command in commands.values())


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_transformers_serves_the_answers_of_ask_and_ends_with_the_command(
    packaged: Packaged, number: signal.Signals, status: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "hrmbuild", "serve", str(packaged.package), "--port", str(port), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        report = ServeReport(**json.loads(process.stdout.readline()))
        assert (report.engine, report.url) == ("transformers", f"http://127.0.0.1:{port}/v1")
        for condition in ("direct", "cot", "synth+cot"):
            prompt = PROBE.prompts[0].model_copy(update={"condition": condition, "instruction": f"Which {condition}?"})
            over_http = asked_over_http(report.url.removesuffix("/v1"), report.model, prompt, max_tokens=12)
            settings = AskSettings(condition, max_new_tokens=12)
            assert over_http == ask(packaged.package, prompt.instruction, settings=settings).response
        os.kill(process.pid, number)
        out, told = process.communicate(timeout=60)
    assert (process.returncode, out, "Traceback" in told) == (status, "", False)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        pass
