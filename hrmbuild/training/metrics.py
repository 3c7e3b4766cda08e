"""`metrics.jsonl`: one line a step, chained, and cut back to a checkpoint's step when a run goes on from there.

Owns the file. Each line is JSON with two parts: `step` to `batch` is what the run computed and enters the chain (each
line's `chain` = SHA-256 of the chain before and these values); `tokens_per_s` and what follows is measured by the clock
and enters nothing. It must not decide when to write.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TextIO

from hrmbuild.errors import InputError
from hrmbuild.files import disk_errors, write_atomic
from hrmbuild.fingerprint import hash_value, sha256_hex, strict_json
from hrmbuild.records.base import Noun, Sha256
from hrmbuild.records.run import DevScore

FILE_NAME = "metrics.jsonl"
TAIL_BYTES = 1 << 16
"""Bytes that hold the last hundred lines or so."""
SEARCHED_BYTES = 1 << 26
"""How far back an evaluation is looked for: about 100,000 steps."""
_NEEDED = {"step", "k", "lr", "loss", "tokens", "seconds", "tokens_per_s"}
CHAIN_START = sha256_hex(b"hrmbuild metrics")
"""Chain before the first step."""


class StepFacts(Noun):
    """What a step computed: equal for equal runs."""

    step: int
    """Updates done, this one included."""
    epoch: int
    k: int
    lr: float
    loss: float
    """Nats a response token, over all ranks and micro-batches."""
    grad_norm: float
    """Euclidean norm of the whole gradient, before the update."""
    correct: int
    """Response tokens that were also the most likely one."""
    response_tokens: int
    tokens: int
    """Tokens read."""
    batch: Sha256
    """Digest of the pairs in this step."""
    dev: DevScore | None = None
    """On steps that evaluate."""


class StepTimes(Noun):
    """What the clock says of a step; it enters no hash."""

    tokens_per_s: float
    seconds: float
    """Of the update, evaluation and checkpoint left out."""
    outside_s: float
    """Of these, outside forward and backward: loading, layout, optimizer, sums."""
    saved_s: float | None = None
    """Before this step the run stood still so long for a checkpoint; absent: it did not."""
    elapsed_s: float
    """Since the run, or its resumption, began."""
    peak_mib: float | None = None
    """Most GPU memory in use so far; absent on a CPU."""
    resident_mib: float | None = None
    """Memory of the process now; on a CPU only."""
    mfu: float | None = None
    """Share of the devices' matrix peak; absent where no peak is known."""


def next_link(chain: str, facts: StepFacts) -> str:
    """The chain after a step."""
    return hash_value([chain, json.dumps(facts.model_dump(mode="json", exclude_none=True), sort_keys=True)])


class MetricsFile:
    """The open file of a run; lines are on disk before a checkpoint that counts on them."""

    def __init__(self, path: Path, *, chain: str) -> None:
        """Append to `path`; `chain` is the chain after its last line."""
        self._path, self.chain = path, chain
        with disk_errors(path):
            self._file: TextIO = path.open("a", encoding="utf-8")

    def append(self, facts: StepFacts, times: StepTimes) -> None:
        """Write one step's line and move the chain."""
        self.chain = next_link(self.chain, facts)
        line = facts.model_dump(mode="json", exclude_none=True) | {"chain": self.chain}
        with disk_errors(self._path):
            self._file.write(json.dumps(line | times.model_dump(mode="json", exclude_none=True)) + "\n")
            self._file.flush()

    def sync(self) -> None:
        """Wait until the lines are on disk."""
        with disk_errors(self._path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All complete lines; a last line that a kill tore off is left out."""
    if not path.is_file():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    try:
        return [strict_json(line) for line in lines]
    except ValueError as error:
        raise _altered(path, f"a line is no JSON ({error})") from error


def read_tail(path: Path, *, most_bytes: int = TAIL_BYTES) -> list[dict[str, Any]]:
    """The last complete lines, as many as stand in `most_bytes`; what is torn or no line of metrics is left out.

    It reads a file that another process may be writing, takes no lock, and raises for nothing that it finds inside.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = file.seek(max(0, size - most_bytes))
            pieces = file.read(size - start).split(b"\n")
    except FileNotFoundError:
        return []
    whole = pieces[:-1] if start == 0 else pieces[1:-1]
    return [line for piece in whole if (line := _line_of(piece)) is not None]


def last_evaluation(path: Path) -> dict[str, Any] | None:
    """The last line that holds an evaluation, looked for from the end in at most `SEARCHED_BYTES`."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            low = max(0, end - SEARCHED_BYTES)
            rest = b""
            while end > low:
                start = max(low, end - TAIL_BYTES)
                file.seek(start)
                block = file.read(end - start) + rest
                for piece in reversed(block.split(b"\n")):
                    line = _line_of(piece) if b'"dev"' in piece else None
                    if line is not None and "dev" in line:
                        return line
                rest, end = block.partition(b"\n")[0], start
    except FileNotFoundError:
        return None
    return None


def _line_of(piece: bytes) -> dict[str, Any] | None:
    """A line with what every line has, or nothing: the writer may be in the middle of it."""
    try:
        line = json.loads(piece)
    except ValueError:
        return None
    return line if isinstance(line, dict) and line.keys() >= _NEEDED else None


def cut_back(path: Path, *, step: int, chain: str) -> list[dict[str, Any]]:
    """Keep the lines up to `step`, after recomputing their chain; returns them.

    Raises:
        InputError: `train.metrics_altered`: the lines are not those that led to the checkpoint with this chain.
    """
    kept = [line for line in read_metrics(path) if line["step"] <= step]
    link = CHAIN_START
    for number, line in enumerate(kept, start=1):
        facts = StepFacts.model_validate({key: line[key] for key in StepFacts.model_fields if key in line})
        link = next_link(link, facts)
        if facts.step != number or link != line["chain"]:
            raise _altered(path, f"line {number} is not the one that was written")
    if link != chain or len(kept) != step:
        raise _altered(path, f"it does not lead to the checkpoint of step {step}")
    write_atomic(path, "".join(json.dumps(line) + "\n" for line in kept).encode())
    return kept


def _altered(path: Path, what: str) -> InputError:
    return InputError(
        "train.metrics_altered",
        what,
        where=str(path),
        why="the record of a run is chained: what follows must continue what was",
        fix="restore the file, or train again with --out in another folder",
    )
