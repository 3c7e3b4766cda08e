"""The curves of a run in memory: eight numbers a step, as arrays, so that 300,000 steps take 20 MB and no file is read.

Owns the columns and their thinning. It must not draw. Thinned, a curve has at most `n` buckets of equally many
consecutive steps; a bucket has the mean and the least and greatest of its values, so that no spike disappears.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hrmbuild.records.run import DevScore

COLUMNS = ("step", "loss", "grad_norm", "lr", "k", "tokens_per_s", "memory_mib", "elapsed_s")
MOST_BUCKETS = 480
"""Buckets of a drawn curve: more would lie closer than the dots of a screen."""


@dataclass(frozen=True)
class Evaluated:
    """Held-out scores at a step."""

    step: int
    dev: DevScore


@dataclass(frozen=True)
class Curve:
    """A thinned column; all tuples are equally long."""

    steps: tuple[float, ...]
    """Last step of each bucket."""
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    steps_a_point: int
    """Steps behind each point; the last bucket may have fewer."""


class History:
    """What has been recorded so far; grows by `add`."""

    def __init__(self) -> None:
        self._columns = {name: array("d") for name in COLUMNS}
        self.evaluations: list[Evaluated] = []

    def __len__(self) -> int:
        return len(self._columns["step"])

    def add(self, line: Mapping[str, Any]) -> None:
        """One line of metrics, as it stands in the file."""
        values = dict(line) | {"memory_mib": line.get("peak_mib") or line.get("resident_mib") or np.nan}
        for name, column in self._columns.items():
            column.append(values.get(name, np.nan))
        if line.get("dev") is not None:
            self.evaluations.append(Evaluated(int(line["step"]), DevScore.model_validate(line["dev"])))

    def column(self, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        """[n_steps] a copy of one of `COLUMNS`; not a number where a line had no such value."""
        return np.array(self._columns[name], dtype=np.float64)

    def curve(self, name: str, *, most: int = MOST_BUCKETS) -> Curve | None:
        """A column thinned to at most `most` points; None where it holds nothing."""
        values, steps = self.column(name), self.column("step")
        known = np.isfinite(values)
        values, steps = values[known], steps[known]
        if not len(values):
            return None
        size = -(-len(values) // most)
        starts = np.arange(0, len(values), size)
        counts = np.diff(np.append(starts, len(values)))
        return Curve(
            steps=tuple(steps[np.minimum(starts + size, len(values)) - 1]),
            mean=tuple(np.add.reduceat(values, starts) / counts),
            low=tuple(np.minimum.reduceat(values, starts)),
            high=tuple(np.maximum.reduceat(values, starts)),
            steps_a_point=size,
        )


def history_of(lines: Iterable[Mapping[str, Any]]) -> History:
    """The history that lines of metrics tell."""
    history = History()
    for line in lines:
        history.add(line)
    return history


def read_history(path: Path) -> History:
    """The history of a metrics file, read line by line; a torn last line is left out."""
    history = History()
    if path.is_file():
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    history.add(json.loads(line))
    return history
