"""`hrmbuild audit log`: the chain of what was frozen, packaged and decided, and where it breaks.

Owns joining the log with the decisions. It must not judge signatures: `verify --trust` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hrmbuild.audit.decisions import DECISIONS_NAME, Recorded, chain_problems, read
from hrmbuild.audit.log import LOG_NAME, read_log
from hrmbuild.config.loading import Project
from hrmbuild.records.log import LogEntry


@dataclass(frozen=True)
class ToldEntry:
    """A line of the log, with the decision that it tells."""

    entry: LogEntry
    link: str
    decision: Recorded | None

    def as_dict(self) -> dict[str, Any]:
        """As `audit log --json` lists it."""
        decided = None if self.decision is None else self.decision.decision.canonical()
        return {**self.entry.canonical(), "link": self.link, "decision": decided}


@dataclass(frozen=True)
class LogReport:
    """The chain."""

    entries: tuple[ToldEntry, ...]
    head: str
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """It holds to its end, and the decisions are those that it tells."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """The keys of `audit log --json`."""
        return {"ok": self.ok, "head": self.head, "problems": list(self.problems),
                "entries": [one.as_dict() for one in self.entries]}  # fmt: skip


def audit_log(project: Project) -> LogReport:
    """Read the project's log and its decisions.

    Raises:
        InputError: `log.unreadable`, `decisions.unreadable`.
    """
    log, decisions = read_log(project.work / LOG_NAME), read(project.work / DECISIONS_NAME)
    by_line = {one.sha256: one for one in decisions.recorded}
    told = zip(log.entries, log.links, strict=True)
    entries = tuple(ToldEntry(entry, link, by_line.get(entry.sha256)) for entry, link in told)
    return LogReport(entries, log.head, tuple(chain_problems(decisions, log)))
