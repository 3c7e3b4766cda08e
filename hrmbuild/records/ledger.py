"""The ledger's lines: what every run really cost. `ledger.jsonl`, format 1, one JSON object a line, appended only.

Owns the types. No hash covers them and nothing hashed holds them, so times may stand here; a host or a user may not. An
entry is opened, may begin (a training says at which step), and is closed once. Unknown events are for later versions.
"""

from __future__ import annotations

from typing import Literal

from hrmbuild.records.base import Noun

Kind = Literal["train", "eval", "package"]
Outcome = Literal["finished", "interrupted", "failed", "killed", "running"]


class Opened(Noun):
    """Somebody starts to use the machine."""

    format: Literal[1] = 1
    event: Literal["opened"] = "opened"
    id: str
    at: str
    """UTC, ISO 8601."""
    kind: Kind
    subject: str
    """Folder of the run or package, from the project's folder on."""
    preset: str
    device: str
    """`cpu`, or the GPU's name."""
    ranks: int = 1
    threads: int | None = None
    dtype: str | None = None
    hardware: str
    """Row of the table of GPU types, or the device's own name."""
    peak_tflops: float | None = None
    power_w: float | None = None
    usd_per_hour: float | None = None
    """Of one device."""

    @property
    def devices(self) -> int:
        """What is paid for: GPUs, or the one machine whose cores all ranks share."""
        return 1 if self.device == "cpu" else self.ranks


class Began(Noun):
    """A training has its weights and starts to compute."""

    event: Literal["began"] = "began"
    id: str
    step: int
    """Updates made before."""


class Closed(Noun):
    """It is over."""

    event: Literal["closed"] = "closed"
    id: str
    at: str
    """UTC; of a killed one: the last sign of life."""
    outcome: Outcome
    code: str | None = None
    """Of the error that ended it."""
    seconds: float
    """By the clock, from opening on; of a killed one: up to its last sign of life, a few seconds short."""
    steps: int = 0
    """Updates computed, lost ones included."""
    tokens: int = 0
    """Tokens trained on."""
    answers: int = 0
    """Questions answered."""
    flops: float | None = None
    """Of those steps, by formula."""
    step_seconds: float | None = None
    """Of those steps, evaluations and checkpoints left out."""
