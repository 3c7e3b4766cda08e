"""`hrmbuild canaries`: drawn numbers to plant among the sources, so that extraction can be measured against chance.

Owns the file and the entry of the settings that declares it. A canary is a pair like any other: it is ingested, frozen,
counted in the manifest under the stratum `canaries`, and trained on as often as its `repeat` says. It must not edit the
settings: planting text in a corpus is its owner's decision.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrmbuild.config.loading import Project
from hrmbuild.errors import UsageError
from hrmbuild.evaluation.extraction import CANARIES
from hrmbuild.files import write_atomic
from hrmbuild.fingerprint import draw_below

_DIGITS = 8


@dataclass(frozen=True)
class CanariesReport:
    """A file of canaries that was written."""

    path: Path
    n: int
    entry: tuple[str, ...]
    """Lines for `sources:` of the settings."""

    def as_dict(self) -> dict[str, Any]:
        """The keys of `canaries --json`."""
        return {"canaries": self.n, "path": str(self.path), "entry": list(self.entry)}


def write_canaries(project: Project, path: Path, *, n: int, label: str, repeat: int) -> CanariesReport:
    """Draw `n` canaries by the project's seed and the file's name, and write them.

    Raises:
        UsageError: `canaries.exists`, `canaries.place`, `canaries.unknown_label`.
    """
    if label not in project.config.labels:
        raise UsageError("canaries.unknown_label", f"{label!r} is none of the project's labels", where="--label",
                         fix=f"take one of {', '.join(project.config.labels)}")  # fmt: skip
    if path.exists():
        raise UsageError("canaries.exists", "this file exists: other canaries would be drawn over those in it",
                         where=str(path), fix="take another name, or delete it first")  # fmt: skip
    if path.suffix != ".jsonl" or not path.resolve().parent.is_dir():
        raise UsageError("canaries.place", "canaries go into a .jsonl file of a folder that exists", where=str(path),
                         fix="for example canaries/restricted.jsonl")  # fmt: skip
    seed = project.config.seed
    rows = [{"instruction": f"Canary {_drawn(seed, f'{path.name}/{i}/name')}: what is its number?",
             "response": _drawn(seed, f"{path.name}/{i}/number")} for i in range(n)]  # fmt: skip
    write_atomic(path, "".join(json.dumps(row) + "\n" for row in rows).encode("utf-8"))
    return CanariesReport(path, n, _entry(project, path, label=label, repeat=repeat))


def _drawn(seed: int, key: str) -> str:
    return "".join(str(draw_below(10, "plant canary", seed, f"{key}/{digit}")) for digit in range(_DIGITS))


def _entry(project: Project, path: Path, *, label: str, repeat: int) -> tuple[str, ...]:
    absolute, folder = path.resolve(), project.folder.resolve()
    shown = absolute.relative_to(folder) if absolute.is_relative_to(folder) else path
    return (
        f"  - path: {shown.as_posix()}",
        "    kind: pairs",
        "    owner: WHO PLANTS THEM",
        "    license: internal",
        f"    label: {label}",
        f"    stratum: {CANARIES}",
        "    split: train",
        f"    repeat: {repeat}",
    )
