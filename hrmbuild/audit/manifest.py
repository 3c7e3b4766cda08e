"""The manifest as a file, and its counts: computed by freeze, computed again by verify.

Owns reading `manifest.json`, its digest file, and counting rows. It must not read the corpus or the evidence pack.
Format: `records.manifest`. The file's bytes are the RFC 8785 form exactly; `manifest.sha256` beside it holds their
SHA-256 in the form that `sha256sum -c` reads.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hrmbuild.errors import InputError
from hrmbuild.fingerprint import canonical_json, sha256_hex
from hrmbuild.records.manifest import Count, Manifest
from hrmbuild.records.pair import REDACTED, SPLITS, Split

MANIFEST_NAME = "manifest.json"
DIGEST_NAME = "manifest.sha256"
SIGNATURE_NAME = "manifest.dsse.json"
"""Who froze it (`audit.manifest_signature`); there where `freeze` had a key."""
_KIND = re.compile(r"([a-z_]+) ([0-9]{1,9})")


def digest_line(data: bytes) -> bytes:
    """Content of `manifest.sha256`."""
    return f"{sha256_hex(data)}  {MANIFEST_NAME}\n".encode()


def manifest_folder(path: Path) -> Path:
    """The folder of a manifest that is named by its folder or by its file."""
    return path.parent if path.name == MANIFEST_NAME else path


def load_manifest_bytes(path: Path) -> bytes:
    """The bytes of `manifest.json` in the folder `path` (or at the file).

    Raises:
        InputError: `manifest.missing`.
    """
    file = manifest_folder(path) / MANIFEST_NAME
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(
            "manifest.missing",
            f"there is no manifest here: {error.strerror}",
            where=str(file),
            fix="name a folder that hrmbuild freeze wrote, or run: hrmbuild freeze",
        ) from error


def parse_manifest(data: bytes, *, where: str) -> Manifest:
    """The manifest in these bytes, canonical or not.

    Raises:
        InputError: `manifest.unreadable`: no manifest of format 1.
    """
    try:
        # Strict: `"5"` is no 5, so that every reader of JSON finds the same numbers.
        return Manifest.model_validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(
            "manifest.unreadable",
            f"this is no manifest of format 1: {place + ': ' if place else ''}{first['msg']}",
            where=where,
            fix="restore the file, or run: hrmbuild freeze",
        ) from error


def read_manifest(path: Path) -> Manifest:
    """The manifest of a folder (or file), exactly as it was written.

    Raises:
        InputError: `manifest.missing`, `manifest.unreadable`, `manifest.altered`: other bytes than the canonical ones,
            or than those that `manifest.sha256` names.
    """
    data = load_manifest_bytes(path)
    folder = manifest_folder(path)
    manifest = parse_manifest(data, where=str(folder / MANIFEST_NAME))
    for problem in (canonical_problem(data), digest_problem(folder, data)):
        if problem is not None:
            raise InputError(
                "manifest.altered",
                problem,
                where=str(folder / MANIFEST_NAME),
                why="a manifest never changes after it is frozen",
                fix="restore the folder, or run: hrmbuild freeze",
            )
    return manifest


def canonical_problem(data: bytes) -> str | None:
    """Why these bytes of a manifest are not the canonical ones, or None.

    They are held against the value as parsed, not against today's type: an optional field that is added later must not
    make an old manifest look altered.
    """
    try:
        same = canonical_json(json.loads(data)) == data
    except (ValueError, TypeError) as error:
        return f"it holds what canonical JSON cannot: {error}"
    return None if same else "the bytes are not the canonical ones (RFC 8785)"


def digest_problem(folder: Path, data: bytes) -> str | None:
    """Why `manifest.sha256` does not name these bytes, or None."""
    try:
        told = (folder / DIGEST_NAME).read_bytes()
    except OSError as error:
        return f"{DIGEST_NAME} cannot be read: {error.strerror}"
    return None if told == digest_line(data) else f"it is not the file that {DIGEST_NAME} names"


@dataclass(frozen=True)
class CountedRow:
    """What counting looks at in a row."""

    split: Split
    stratum: str
    kind: str
    axis: str | None
    sources: frozenset[str]
    """SHA-256 of the files it occurs in."""
    instruction_tokens: int
    response_tokens: int
    masked: tuple[tuple[str, str], ...] = ()
    """(SHA-256 of the file, `email 1, phone 2`) of each occurrence with masks."""


def counted_row(row: Mapping[str, Any], *, instruction_tokens: int, response_tokens: int) -> CountedRow:
    """The counted parts of a row of format 1."""
    sources = frozenset(one["source_sha256"] for one in row["occurrences"])
    told = [(one["source_sha256"], one.get("inputs", {}).get(REDACTED)) for one in row["occurrences"]]
    return CountedRow(
        row["split"], row["stratum"], row["kind"], row.get("axis"), sources, instruction_tokens, response_tokens,
        tuple((sha256, words) for sha256, words in told if words),
    )  # fmt: skip


@dataclass
class Counts:
    """Pairs and tokens under every heading of the manifest."""

    splits: dict[Split, Count]
    strata: dict[str, Count]
    kinds: dict[str, Count]
    axes: dict[str, dict[str, int]]
    sources: dict[str, Count] = field(default_factory=dict[str, Count])
    """By the file's SHA-256."""
    masked: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """What was masked, by the file's SHA-256 and kind."""
    n_masked: int = 0
    """Occurrences with a mask."""

    def masked_kinds(self) -> dict[str, int]:
        """What was masked over all files, by kind."""
        total: Counter[str] = Counter()
        for kinds in self.masked.values():
            total.update(kinds)
        return dict(sorted(total.items()))

    @property
    def n_tokens(self) -> int:
        """Content tokens of all splits."""
        return sum(one.instruction_tokens + one.response_tokens for one in self.splits.values())


NOTHING = Count(pairs=0, instruction_tokens=0, response_tokens=0)


class Tally:
    """Counts rows one by one."""

    def __init__(self) -> None:
        self._tallies: dict[str, dict[str, list[int]]] = {"split": {}, "stratum": {}, "kind": {}, "source": {}}
        self._axes: dict[str, dict[str, int]] = {}
        self._masked: Counter[tuple[str, str]] = Counter()
        self._n_masked = 0

    def add(self, row: CountedRow) -> None:
        """Count one row under every heading."""
        for heading, key in _headings(row):
            tally = self._tallies[heading].setdefault(key, [0, 0, 0])
            tally[0] += 1
            tally[1] += row.instruction_tokens
            tally[2] += row.response_tokens
        if row.axis is not None:
            by_axis = self._axes.setdefault(row.split, {})
            by_axis[row.axis] = by_axis.get(row.axis, 0) + 1
        self._n_masked += len(row.masked)
        for sha256, told in row.masked:
            for kind, n in _KIND.findall(told):
                self._masked[sha256, kind] += int(n)

    def extend(self, other: Tally) -> None:
        """Count what another tally counted."""
        for heading, tallies in other._tallies.items():
            for key, more in tallies.items():
                tally = self._tallies[heading].setdefault(key, [0, 0, 0])
                tally[:] = [ours + theirs for ours, theirs in zip(tally, more, strict=True)]
        self._masked.update(other._masked)
        self._n_masked += other._n_masked
        for split, axes in other._axes.items():
            by_axis = self._axes.setdefault(split, {})
            for axis, n in axes.items():
                by_axis[axis] = by_axis.get(axis, 0) + n

    def counts(self) -> Counts:
        """What was counted so far; keys sorted."""
        splits = _counts(self._tallies["split"])
        return Counts(
            splits={split: splits.get(split, NOTHING) for split in SPLITS},
            strata=_counts(self._tallies["stratum"]),
            kinds=_counts(self._tallies["kind"]),
            axes={split: dict(sorted(self._axes[split].items())) for split in sorted(self._axes)},
            sources=_counts(self._tallies["source"]),
            masked=self._masked_by_source(),
            n_masked=self._n_masked,
        )

    def _masked_by_source(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for (sha256, kind), n in sorted(self._masked.items()):
            found.setdefault(sha256, {})[kind] = n
        return found


def _headings(row: CountedRow) -> Iterator[tuple[str, str]]:
    yield from (("split", row.split), ("stratum", row.stratum), ("kind", row.kind))
    yield from (("source", sha256) for sha256 in row.sources)


def _counts(tallies: dict[str, list[int]]) -> dict[str, Count]:
    return {
        key: Count(pairs=tallies[key][0], instruction_tokens=tallies[key][1], response_tokens=tallies[key][2])
        for key in sorted(tallies)
    }
