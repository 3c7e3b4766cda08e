"""`hrmbuild due`: sources whose day of keeping has passed, what was made of them, and what comes next for each.

Owns that list. It records and removes nothing: withdrawing and erasing are decisions of persons.
"""

from __future__ import annotations

import datetime as dt
import shlex
from dataclasses import asdict, dataclass
from typing import Any

from hrmbuild.audit.decisions import DECISIONS_NAME, read
from hrmbuild.audit.manifest import read_manifest
from hrmbuild.config.loading import Project
from hrmbuild.pipelines.manifests import all_manifests
from hrmbuild.pipelines.source_files import find_files
from hrmbuild.pipelines.withdraw import Named, made_of
from hrmbuild.pipelines.withdrawn_material import withdrawn_sources
from hrmbuild.records.decision import Decision
from hrmbuild.store.corpus import Corpus


@dataclass(frozen=True)
class DueSource:
    """A source that may be kept no longer, with what stands on it."""

    source: str
    """SHA-256."""
    path: str
    retain_until: str
    """Last day of keeping."""
    state: str
    """`kept`, `withdrawn`, `held`, or `erased`: its own texts are gone, what is listed here is left."""
    pairs: int
    """Of the corpus, that only it supports."""
    manifests: tuple[str, ...]
    runs: tuple[str, ...]
    packages: tuple[str, ...]
    next: str
    """The next command, or who has to end the hold."""


@dataclass(frozen=True)
class DueReport:
    """All that is due."""

    on: str
    due: tuple[DueSource, ...]
    upcoming: str | None
    """The next day on which something will be; None: no other day is declared."""

    def as_dict(self) -> dict[str, Any]:
        """The keys of `due --json`."""
        return asdict(self)


def due(project: Project, on: dt.date) -> DueReport:
    """Sources whose last day of keeping lies before a day: today's settings count, then what was declared at a freeze.

    Raises:
        InputError: `decisions.*`, `store.*`, `manifest.*`.
        ConfigError: as `find_files`.
    """
    days = _days(project)
    later = sorted(day for day, _ in days.values() if day >= on.isoformat())
    decisions = _decisions(project)
    passed = sorted((day, path, sha256) for sha256, (day, path) in days.items() if day < on.isoformat())
    found = (_due(project, sha256, path, day, decisions=decisions) for day, path, sha256 in passed)
    return DueReport(on.isoformat(), tuple(one for one in found if one is not None), later[0] if later else None)


def _days(project: Project) -> dict[str, tuple[str, str]]:
    """SHA-256 -> last day and path; of several declarations of one file the latest place below wins."""
    found: dict[str, tuple[str, str]] = {}
    for folder in all_manifests(project):
        for one in (entry.source for entry in read_manifest(folder).sources):
            if one.retain_until is not None:
                found[one.sha256] = (one.retain_until, one.path)
    for file in find_files(project).files:
        day = project.config.sources[file.entry].retain_until
        if day is not None:
            found[file.sha256] = (day.isoformat(), file.relative)
    return found


def _decisions(project: Project) -> list[Decision]:
    path = project.work / DECISIONS_NAME
    return [one.decision for one in read(path).recorded] if path.exists() else []


def _due(project: Project, sha256: str, path: str, day: str, *, decisions: list[Decision]) -> DueSource | None:
    """None where it was erased and nothing that was made of it is left."""
    made = made_of(project, Named(sha256, (path,)))
    state, told = _state(project, sha256, path, decisions)
    if state == "erased" and not (made.runs or made.packages):
        return None
    folders = tuple(one["folder"] for one in made.manifests)
    return DueSource(sha256, path, day, state, len(made.pairs), folders, made.runs, made.packages, told)


def _state(project: Project, sha256: str, path: str, decisions: list[Decision]) -> tuple[str, str]:
    about = [one.action for one in decisions if one.subject.sha256 == sha256]
    name = shlex.quote(path)
    holds = [one for one in about if one in ("hold", "unhold")]
    if holds and holds[-1] == "hold":
        return "held", f"hrmbuild hold {name} --release --reason …, by whoever may; nothing of it is erased before"
    if "erase" in about:
        return "erased", "remove the runs and packages by hand: they were trained on it"
    if sha256 not in withdrawn_sources(project):
        return "kept", f"hrmbuild withdraw {name} --reason … --yes"
    if _is_read(project, sha256):
        return "withdrawn", "hrmbuild ingest"
    return "withdrawn", f"hrmbuild audit erase {name} --reason … --key K --yes"


def _is_read(project: Project, sha256: str) -> bool:
    if not project.corpus_path.is_file():
        return False
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        return any(one.source.sha256 == sha256 and one.status == "read" for one in corpus.sources())
