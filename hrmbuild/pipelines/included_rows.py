"""The rows of included corpora: which are taken, which are left out and why, their texts, tokens and counts.

Owns that choice. Only train rows are taken: what is scored are the own held-out pairs. Where a row answers an own
question otherwise, the own pair holds and the row is left out: who includes a base knows the own matter better, and the
own rows do not depend on it. Rows stream from the included
evidence packs, a few thousand at a time; only the ids of those left out are held in memory.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrmbuild.audit.evidence import read_rows
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import canonical_json, strict_json
from hrmbuild.pipelines.includes import Included
from hrmbuild.records.counts import Count, total
from hrmbuild.records.included import IncludedManifest, IncludedSource, LeftOutCode
from hrmbuild.records.manifest import INCLUDED_LEFT_OUT_NAME
from hrmbuild.records.pair import Pair
from hrmbuild.store.overlap import Overlap, Text
from hrmbuild.tokens.encode_stream import count_stream
from hrmbuild.tokens.tokenizer import TextTokenizer

_CODES: dict[str, LeftOutCode] = {
    "leak": "include.leak", "duplicate": "include.duplicate", "contradiction": "include.contradiction",
}  # fmt: skip
_BY_WORDS = frozenset({"imported", "written_by_person", "written_by_model"})
_FIRST, _LAST = "0000", "9999"


@dataclass(frozen=True)
class LeftOut:
    """An included row that is not trained on; a line of `included_left_out.jsonl`."""

    content_root: str
    id: str
    code: LeftOutCode
    because: str
    """Id of the own (or earlier included) pair; of `include.withdrawn` the SHA-256 of the source."""

    def line(self) -> bytes:
        """Canonical JSON and a line feed."""
        return canonical_json(vars(self)) + b"\n"


@dataclass(frozen=True)
class Wanted:
    """What to look at in an included corpus."""

    content_root: str
    folder: Path
    strata: tuple[str, ...] | None

    def rows(self) -> Iterator[dict[str, Any]]:
        """Train rows of the wanted strata, ordered by id."""
        rows = read_rows(self.folder, "train")
        return rows if self.strata is None else (row for row in rows if row["stratum"] in self.strata)


@dataclass(frozen=True)
class Rules:
    """What is looked for in included rows; it stands in the manifest."""

    leak_words: int | None
    leak_common: int
    near_duplicates: float | None = None
    contradictions: bool = True
    withdrawn: frozenset[str] = frozenset()
    """SHA-256 of sources: no row that stands in one is taken."""

    @classmethod
    def stated(cls, one: IncludedManifest, left_out: Iterable[LeftOut]) -> Rules:
        """What a manifest says was looked for; which sources were withdrawn, its list of rows left out says."""
        near = float(one.near_duplicates) if one.near_duplicates is not None else None
        withdrawn = frozenset(row.because for row in left_out if row.code == "include.withdrawn")
        return cls(one.leak_words, one.leak_common, near, one.contradictions is not None, withdrawn)


@dataclass(frozen=True)
class Looked:
    """What was found in included rows."""

    left_out: tuple[LeftOut, ...]
    """Of each include in their order, by id."""
    near: dict[str, int]
    """Rows taken that say nearly what an own train pair says, by content root; those without any are not in it."""


@dataclass(frozen=True)
class Taken:
    """The included rows of a freeze."""

    included: tuple[Included, ...]
    wanted: tuple[Wanted, ...]
    looked: Looked
    rules: Rules

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Rows that are not trained on."""
        return self.looked.left_out

    def rows(self, number: int) -> Iterator[dict[str, Any]]:
        """Rows of include `number` that are trained on, ordered by id."""
        return _without(self.wanted[number], self.left_out)

    def texts(self) -> Iterator[str]:
        """What the tokenizer learns from, beside the own texts."""
        return included_texts(self.wanted, self.left_out)


def wanted_of(included: IncludedManifest, folder: Path) -> Wanted:
    """The rows that a manifest says it looked at."""
    return Wanted(included.content_root, folder, included.strata)


def take(included: Sequence[Included], held_out: Iterable[Text], trained: Iterable[Text], *, rules: Rules) -> Taken:
    """Decide which rows are left out; own texts are consumed once."""
    wanted = tuple(Wanted(one.manifest.content_root, one.folder, _sorted(one.settings.strata)) for one in included)
    return Taken(tuple(included), wanted, look(wanted, held_out, trained, rules=rules), rules)


def look(wanted: Sequence[Wanted], held_out: Iterable[Text], trained: Iterable[Text], *, rules: Rules) -> Looked:
    """What of each include is left out, and what is near to own pairs."""
    found: list[LeftOut] = []
    near: Counter[str] = Counter()
    with (
        tempfile.TemporaryDirectory(prefix="hrmbuild-") as spill,
        Overlap(Path(spill), words=rules.leak_words, common=rules.leak_common, near=rules.near_duplicates,
                contradictions=rules.contradictions) as overlap,
    ):  # fmt: skip
        overlap.add_own(held_out, trained)
        for number, one in enumerate(wanted):
            gone: list[LeftOut] = []
            texts = map(_text, _not_withdrawn(one, rules.withdrawn, gone))
            for row in overlap.find(texts, remember=number + 1 < len(wanted)):
                if row.code == "near":
                    near[one.content_root] += 1
                else:
                    gone.append(LeftOut(one.content_root, row.id, _CODES[row.code], row.because))
            found += sorted(gone, key=lambda row: row.id)
    return Looked(tuple(found), dict(near))


def _not_withdrawn(one: Wanted, withdrawn: frozenset[str], gone: list[LeftOut]) -> Iterator[dict[str, Any]]:
    """Rows that stand in no withdrawn source; the others are added to `gone`."""
    for row in one.rows():
        sources = withdrawn and withdrawn.intersection(place["source_sha256"] for place in row["occurrences"])
        if sources:
            gone.append(LeftOut(one.content_root, row["id"], "include.withdrawn", min(sources)))
        else:
            yield row


def texts_of(pairs: Iterable[Pair]) -> Iterator[Text]:
    """Own pairs as the overlap compares them."""
    for pair in pairs:
        yield Text(pair.id, pair.instruction, pair.response, pair.condition, pair.derivation == "imported",
                   pair.derivation in _BY_WORDS, pair.valid_from or _FIRST, pair.valid_until or _LAST)  # fmt: skip


def texts_in(folder: Path, *splits: Any) -> Iterator[Text]:
    """The same from an evidence pack."""
    for split in splits:
        yield from map(_text, read_rows(folder, split))


def _text(row: Mapping[str, Any]) -> Text:
    derivation = row["derivation"]
    return Text(row["id"], row["instruction"], row["response"], row["condition"], derivation == "imported",
                derivation in _BY_WORDS, row.get("valid_from", _FIRST), row.get("valid_until", _LAST))  # fmt: skip


def write_left_out(folder: Path, left_out: Iterable[LeftOut]) -> None:
    """Write `included_left_out.jsonl`."""
    (folder / INCLUDED_LEFT_OUT_NAME).write_bytes(b"".join(one.line() for one in left_out))


def read_left_out(folder: Path) -> tuple[LeftOut, ...]:
    """Read it again.

    Raises:
        InputError: `evidence.unreadable`.
    """
    path = folder / INCLUDED_LEFT_OUT_NAME
    try:
        return tuple(LeftOut(**strict_json(line)) for line in path.read_bytes().splitlines())
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            "evidence.unreadable",
            f"this file of the evidence pack cannot be read: {error}",
            where=str(path),
            fix="restore the manifest's folder, or run: hrmbuild freeze",
        ) from error


def included_rows(folder: Path, included: IncludedManifest, at: Path) -> Iterator[dict[str, Any]]:
    """The rows of an include that a manifest's training takes, ordered by id.

    Args:
        folder: of the manifest that includes.
        at: the include's folder.
    """
    return _without(wanted_of(included, at), read_left_out(folder))


def included_texts(wanted: Sequence[Wanted], left_out: Sequence[LeftOut]) -> Iterator[str]:
    """Instructions and responses of every row that is taken."""
    for one in wanted:
        for row in _without(one, left_out):
            yield from (row["instruction"], row["response"])


def _without(wanted: Wanted, left_out: Iterable[LeftOut]) -> Iterator[dict[str, Any]]:
    gone = {one.id for one in left_out if one.content_root == wanted.content_root}
    return (row for row in wanted.rows() if row["id"] not in gone)


def _sorted(strata: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if strata is None else tuple(sorted(set(strata)))


def included_entries(taken: Taken, tokenizer: TextTokenizer) -> tuple[IncludedManifest, ...]:
    """What the manifest says of each include, tokens counted by its own tokenizer."""
    return tuple(_entry(taken, number, tokenizer) for number in range(len(taken.included)))


def _entry(taken: Taken, number: int, tokenizer: TextTokenizer) -> IncludedManifest:
    one, settings = taken.included[number], taken.included[number].settings
    counts = counts_by_source(taken.rows(number), tokenizer)
    left_out: Counter[LeftOutCode] = Counter(
        row.code for row in taken.left_out if row.content_root == one.manifest.content_root
    )
    return IncludedManifest(
        name=one.manifest.name,
        content_root=one.manifest.content_root,
        manifest_sha256=one.sha256,
        label=one.manifest.label,
        lineage=one.manifest.lineage,
        content_roots=one.manifest.content_roots,
        splits={split: count.pairs for split, count in one.manifest.splits.items()},
        strata=taken.wanted[number].strata,
        repeat=settings.repeat if settings.repeat > 1 else None,
        leak_words=taken.rules.leak_words,
        leak_common=taken.rules.leak_common,
        contradictions="left_out" if taken.rules.contradictions else None,
        near_duplicates=None if taken.rules.near_duplicates is None else f"{taken.rules.near_duplicates:g}",
        near=taken.looked.near.get(one.manifest.content_root),
        left_out=dict(sorted(left_out.items())),
        taken=total(counts.values()),
        sources=_sources(one, counts),
    )


def _sources(one: Included, counts: Mapping[str, Count]) -> tuple[IncludedSource, ...]:
    found: dict[str, IncludedSource] = {}
    for entry in one.manifest.sources:
        if entry.source.sha256 in counts and entry.source.sha256 not in found:
            times = (entry.source.repeat or 1) * one.settings.repeat
            source = entry.source.model_copy(update={"repeat": times if times > 1 else None})
            found[source.sha256] = IncludedSource(source=source, count=counts[source.sha256])
    return tuple(found.values())


def counts_by_source(rows: Iterable[dict[str, Any]], tokenizer: TextTokenizer) -> dict[str, Count]:
    """Pairs and tokens by the first source of each row."""
    found: dict[str, list[int]] = {}
    for row, n_tokens in count_stream(tokenizer, rows, texts=lambda row: (row["instruction"], row["response"])):
        counted = found.setdefault(row["occurrences"][0]["source_sha256"], [0, 0, 0])
        for place, n in enumerate((1, *n_tokens)):
            counted[place] += n
    return {key: Count(pairs=n, instruction_tokens=i, response_tokens=r) for key, (n, i, r) in found.items()}
