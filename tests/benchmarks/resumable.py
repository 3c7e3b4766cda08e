"""Trainings of a benchmark, one process each: a finished one is a line of a file, and is not done again.

Owns the file, the processes and what is said of each training. The script is started again with `--one KEY` for each;
it prints the training's line last: its key and what came of it, with `train_s` and `cpu_s`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Line = dict[str, Any]


@dataclass(frozen=True)
class Trainings:
    """Where the lines stand and how the processes run."""

    script: str
    results: Path
    jobs: int
    """At a time."""
    threads: int
    """Of each."""
    most_seconds: float
    """What a training may take; one that takes longer is told."""

    def finished(self, wanted: list[Line]) -> list[Line]:
        """Lines of the trainings that are wanted and done."""
        lines = (
            [json.loads(line) for line in self.results.read_text("utf-8").splitlines()]
            if self.results.is_file()
            else []
        )
        return [line for line in lines if any(one.items() <= line.items() for one in wanted)]

    def run_missing(self, wanted: list[Line], *, told: Callable[[Line], str]) -> None:
        """Train what is missing; each line is on disk before it is reported."""
        done = self.finished(wanted)
        missing = [one for one in wanted if not any(one.items() <= line.items() for line in done)]
        print(f"{len(done)} of {len(wanted)} trainings are done", flush=True)
        with ThreadPoolExecutor(self.jobs) as pool:
            for future in as_completed([pool.submit(self._one, one) for one in missing]):
                line = future.result()
                self._keep(line)
                late = f", over {self.most_seconds:.0f} s" if line["train_s"] > self.most_seconds else ""
                print(f"{told(line)}: {line['train_s']:.0f} s ({line['cpu_s']:.0f} CPU-seconds){late}", flush=True)

    def _one(self, one: Line) -> Line:
        command = [sys.executable, self.script, "--one", json.dumps(one), "--threads", str(self.threads)]
        environment = os.environ | {"OMP_NUM_THREADS": str(self.threads)}
        printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment).stdout
        return json.loads(printed.splitlines()[-1])

    def _keep(self, line: Line) -> None:
        with self.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, sort_keys=True) + "\n")
            file.flush()
            os.fsync(file.fileno())
