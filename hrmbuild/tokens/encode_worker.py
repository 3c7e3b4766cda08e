"""The process that encodes for another: `python -m hrmbuild.tokens.encode_worker`, batches on stdin, ids on stdout.

Owns both sides of the pipe. Frames are a length (8 bytes, big-endian) and so many bytes: first `tokenizer.json`, then
for each batch JSON `[[condition, instruction, response], ...]`; the answer is `+`, the number of pairs, their lengths
and their ids as little-endian integers, or `!` and what is wrong. It ends when its stdin does, so that none outlives
the process that asked; Ctrl-C is that process's business.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

import numpy as np

from hrmbuild.errors import InputError
from hrmbuild.tokens.encode import EncodedBatch, encode_batch
from hrmbuild.tokens.tokenizer import TextTokenizer

_LENGTH_BYTES = 8


class EncodeWorker:
    """A running process, as the one that asks sees it; one question at a time."""

    def __init__(self, tokenizer_json: bytes, *, threads: int) -> None:
        found = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "hrmbuild.tokens.encode_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "RAYON_NUM_THREADS": str(threads), "PYTHONPATH": found},
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout
        self._send(tokenizer_json)

    @property
    def process_id(self) -> int:
        """Of the operating system."""
        return self._process.pid

    def encode(self, texts: Sequence[tuple[str, str, str]]) -> EncodedBatch:
        """As `encode_batch`.

        Raises:
            ValueError: as `encode_batch`.
            InputError: `tokens.worker_ended`.
        """
        self._send(json.dumps(texts, ensure_ascii=False, separators=(",", ":")).encode())
        answer = _receive(self._answers)
        if answer is None:
            raise self._ended()
        if answer[:1] == b"!":
            raise ValueError(answer[1:].decode())
        n_pairs = int.from_bytes(answer[1 : 1 + _LENGTH_BYTES], "big")
        ids_at = 1 + _LENGTH_BYTES + 16 * n_pairs
        lengths = np.frombuffer(answer, dtype="<i8", count=2 * n_pairs, offset=1 + _LENGTH_BYTES).reshape(-1, 2)
        return EncodedBatch(np.frombuffer(answer, dtype="<u4", offset=ids_at), lengths)

    def _send(self, data: bytes) -> None:
        try:
            _send(self._questions, data)
        except OSError as error:
            raise self._ended() from error

    def _ended(self) -> InputError:
        status = self._process.wait()
        return InputError(
            "tokens.worker_ended",
            f"a process that encodes ended with status {status}",
            why="it was killed, perhaps because memory ran out" if status < 0 else None,
            fix="run the same command again: token files that are not complete are written again",
        )

    def close(self) -> None:
        """End it and wait."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._questions, self._answers):
            try:
                pipe.close()
            except OSError:
                continue  # What was not sent yet cannot be sent any more.


def _send(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(len(data).to_bytes(_LENGTH_BYTES, "big"))
    pipe.write(data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes | None:
    """The next frame; None at the end, or where the other side died inside one."""
    length = pipe.read(_LENGTH_BYTES)
    if len(length) < _LENGTH_BYTES:
        return None
    wanted = int.from_bytes(length, "big")
    data = pipe.read(wanted)
    return data if len(data) == wanted else None


def _answer(tokenizer: TextTokenizer, question: bytes) -> list[bytes]:
    try:
        batch = encode_batch(tokenizer, [(c, i, r) for c, i, r in json.loads(question)])
    except ValueError as error:
        return [b"!", str(error).encode()]
    lengths, ids = batch.lengths.astype("<i8").tobytes(), batch.token_ids.astype("<u4").tobytes()
    return [b"+", len(batch.lengths).to_bytes(_LENGTH_BYTES, "big"), lengths, ids]


def main() -> None:
    """Answer until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    tokenizer_json = _receive(questions)
    if tokenizer_json is None:
        return
    tokenizer = TextTokenizer(tokenizer_json)
    while (question := _receive(questions)) is not None:
        try:
            _send(answers, b"".join(_answer(tokenizer, question)))
        except BrokenPipeError:
            os._exit(0)  # Nobody listens any more, and flushing at exit would say so on stderr.


if __name__ == "__main__":
    main()
