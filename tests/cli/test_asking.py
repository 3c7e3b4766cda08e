"""`ask` as a user types it: streaming, drawn answers, bytes that are no text, Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from typed_commands import Type

QUESTION = "Home claims\n1. If theft: refer.\nCase: theft.\nWhat is decided?"


def test_a_streamed_answer_is_the_answer(typed: Type, built: Path) -> None:
    whole = typed("ask", QUESTION, "--max-tokens", "9")
    streamed = typed("ask", QUESTION, "--max-tokens", "9", "--stream")
    assert whole.out == streamed.out == f"{typed('ask', QUESTION, '--max-tokens', '9', '--json').json['response']}\n"
    assert typed("ask", QUESTION, "--stream", "--json", "--max-tokens", "9").json["response"] == whole.out[:-1]


def test_the_same_seed_draws_the_same_answer(typed: Type, built: Path) -> None:
    drawn = ("ask", QUESTION, "--temperature", "2", "--top-k", "200", "--top-p", "0.99", "--max-tokens", "9", "--seed")
    assert typed(*drawn, "1").out == typed(*drawn, "1").out != typed(*drawn, "2").out
    refused = typed("ask", QUESTION, "--seed", "1", "--json")
    assert (refused.status, refused.json["error"]["code"]) == (2, "ask.sampling")


def test_bytes_that_are_no_text_are_an_error_of_their_line(built: Path) -> None:
    lines = b'{"instruction": "a \xff b"}\n\xfe\n{"instruction": "What is decided?"}'
    command = [sys.executable, "-m", "hrmbuild", "ask", "--jsonl", "--max-tokens", "2"]
    done = subprocess.run(command, input=lines, capture_output=True, cwd=built, check=False)
    first, second, third = map(json.loads, done.stdout.splitlines())
    assert (done.returncode, first["error"]["code"], second["error"]["code"]) == (3, "ask.not_text", "ask.bad_line")
    assert "response" in third and done.stderr == b""


@pytest.mark.slow
def test_ctrl_c_leaves_no_traceback(built: Path) -> None:
    command = [sys.executable, "-m", "hrmbuild", "ask", "--jsonl", "--batch", "1", "--max-tokens", "2"]
    # What a shell puts into the background ignores Ctrl-C, and so do its children: the tests may run there.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, cwd=built, text=True, preexec_fn=heard) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps({"instruction": "What is decided?"}) + "\n")
        process.stdin.flush()
        assert "response" in json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in told
