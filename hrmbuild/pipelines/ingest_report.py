"""What ingest tells: the balance sheet, what was done again, what was left out and why, and whether the answer is no.

Owns the report's shape and its keys in `--json`. It must not print, and it must not read the corpus.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hrmbuild.errors import AnswerIsNoError, raise_all
from hrmbuild.store.balance import Balance
from hrmbuild.store.reading import Refused, StoredSource


@dataclass(frozen=True)
class PreviewPair:
    """One pair with its evidence."""

    declared_by: str
    id: str
    split: str
    kind: str
    condition: str
    instruction: str
    response: str
    evidence: tuple[tuple[str, str, str], ...]
    """For each occurrence: path, place, supporting text."""


@dataclass(frozen=True)
class IngestReport:
    """One ingest. Counts are those of the whole corpus, whatever was done again."""

    balance: Balance
    sources: tuple[StoredSource, ...]
    """Sorted by path."""
    refused: tuple[Refused, ...]
    """Files that were found and not opened."""
    unmatched: tuple[tuple[str, str, str], ...]
    """Entries that match no file: line of the settings, path as written, what was found instead."""
    redone: tuple[str, ...]
    """Files that were read and compiled in this run, sorted."""
    dropped: tuple[str, ...]
    """Units that are gone, with everything that came from them."""
    notes: tuple[tuple[str, str], ...]
    """What readers inferred in this run, by path."""
    n_hidden: int
    strict: bool = False
    dry_run: bool = False
    """Nothing was written."""
    previews: tuple[PreviewPair, ...] = ()
    errors: tuple[AnswerIsNoError, ...] = field(default=())

    @property
    def seen(self) -> int:
        """Files found: read + unchanged + quarantined."""
        return len(self.sources) + len(self.refused)

    @property
    def quarantined(self) -> tuple[tuple[str, str], ...]:
        """Files that are in no pair because they could not be read: path and reason, sorted."""
        unreadable = [(one.source.path, one.reason or "") for one in self.sources if one.status == "quarantined"]
        return tuple(sorted(unreadable + [(one.path, f"{one.code}: {one.detail}") for one in self.refused]))

    @property
    def read(self) -> int:
        """Files that were read in this run."""
        redone = set(self.redone)
        return sum(1 for one in self.sources if one.status == "read" and one.source.path in redone)

    @property
    def unchanged(self) -> int:
        """Files whose pairs stand as an earlier run made them."""
        redone = set(self.redone)
        return sum(1 for one in self.sources if one.status == "read" and one.source.path not in redone)

    @property
    def error(self) -> AnswerIsNoError | None:
        """What makes the answer no, further reasons in `more`; None when all is well."""
        try:
            raise_all(self.errors)
        except AnswerIsNoError as error:
            return error
        return None

    @property
    def exit_status(self) -> int:
        """0, or 1 where the answer is no."""
        return AnswerIsNoError.exit_status if self.errors else 0

    def as_dict(self) -> dict[str, Any]:
        """The keys of `ingest --json`."""
        found: dict[str, Any] = {
            "sources": {"seen": self.seen, "read": self.read, "unchanged": self.unchanged,
                        "quarantined": len(self.quarantined)},
            "pairs": {"made": self.balance.made, "kept": self.balance.kept, "rejected": self.balance.rejected,
                      "quarantined": self.balance.n_held,
                      "distinct": self.balance.distinct_pairs, "split_conflicts": self.balance.split_conflicts},
            "reasons": self.balance.reasons,
            "held": self.balance.held,
            "redone": list(self.redone),
            "dropped": list(self.dropped),
            "quarantined": [{"path": path, "reason": reason} for path, reason in self.quarantined],
            "unmatched": [{"where": where, "path": path, "detail": detail} for where, path, detail in self.unmatched],
            "skipped": sum(one.n_skipped for one in self.sources),
            "hidden": self.n_hidden,
            "notes": [{"path": path, "note": note} for path, note in self.notes],
            "files": [_file_dict(one) for one in self.sources],
            "dry_run": self.dry_run,
        }  # fmt: skip
        if self.previews:
            found["preview"] = [_preview_dict(pair) for pair in self.previews]
        if (error := self.error) is not None:
            found["error"] = error.as_dict()
        return found


def _file_dict(one: StoredSource) -> dict[str, Any]:
    return {
        "path": one.source.path, "sha256": one.source.sha256, "format": one.source.format, "status": one.status,
        "reason": one.reason, "records": one.n_records, "without_pair": one.n_barren, "skipped": one.n_skipped,
        "made": one.n_made, "kept": one.n_kept, "rejected": one.n_rejected, "reasons": one.reasons,
        "held": one.held,
    }  # fmt: skip


def _preview_dict(pair: PreviewPair) -> dict[str, Any]:
    return {
        "declared_by": pair.declared_by, "id": pair.id, "split": pair.split, "kind": pair.kind,
        "condition": pair.condition, "instruction": pair.instruction, "response": pair.response,
        "evidence": [{"path": path, "place": place, "text": text} for path, place, text in pair.evidence],
    }  # fmt: skip
