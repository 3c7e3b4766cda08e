"""The checks of a manifest's folder that need nothing outside it: files, rows, roots, counts, rejections.

Owns those checks. It must not read the corpus, a source or a tokenizer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hrmbuild.audit import evidence
from hrmbuild.audit.checks import Check, named
from hrmbuild.audit.evidence import EvidenceRow
from hrmbuild.audit.manifest import DIGEST_NAME, MANIFEST_NAME, NOTHING, SIGNATURE_NAME, Counts, Tally, counted_row
from hrmbuild.audit.pack_recount import label_check, recount_checks
from hrmbuild.audit.rows import Leaf, content_root, content_roots, leaf_of, parse_row, salted_roots
from hrmbuild.errors import InputError
from hrmbuild.files import entries_of
from hrmbuild.fingerprint import hash_file
from hrmbuild.records.manifest import Manifest, Roots, SourceEntry
from hrmbuild.records.pair import SPLITS

_FILES = ("file", "hard link")


@dataclass
class PackContents:
    """The rows of a pack, recomputed; what cannot be read is a problem, not an exception."""

    rows: list[tuple[EvidenceRow, dict[str, Any]]] = field(default_factory=list[tuple[EvidenceRow, dict[str, Any]]])
    """Each readable row of `pairs.parquet` with its value."""
    leaves: list[Leaf] = field(default_factory=list[Leaf])
    counts: Counts | None = None
    row_problems: list[str] = field(default_factory=list[str])
    """One sentence a bad row."""
    unreadable: str | None = None
    """Why `pairs.parquet` cannot be read."""
    salts_unreadable: str | None = None


def load_pack(folder: Path) -> PackContents:
    """Read and recompute every row."""
    pack = PackContents()
    salts: dict[str, bytes] = {}
    try:
        salts = evidence.read_salts(folder)
    except InputError as error:
        pack.salts_unreadable = error.what
    tally, before = Tally(), (-1, "")
    try:
        for row in evidence.read_evidence(folder):
            before = _take_row(pack, row, salts.get(row.id), tally, before)
    except InputError as error:
        pack.unreadable = error.what
    pack.counts = tally.counts()
    return pack


def _take_row(
    pack: PackContents, row: EvidenceRow, salt: bytes | None, tally: Tally, before: tuple[int, str]
) -> tuple[int, str]:
    value = parse_row(row.row)
    if isinstance(value, str):
        pack.row_problems.append(f"row {row.id[:12]}: {value}")
        return before
    leaf = leaf_of(value["id"], value["split"], row=row.row.encode(), salt=salt)
    place = (SPLITS.index(value["split"]), value["id"])
    pack.row_problems += [f"row {row.id[:12]}: {problem}" for problem in _row_problems(row, value, leaf)]
    if place <= before:
        pack.row_problems.append(f"row {row.id[:12]}: it is out of order, or there twice")
    pack.rows.append((row, value))
    pack.leaves.append(leaf)
    tally.add(counted_row(value, instruction_tokens=row.instruction_tokens, response_tokens=row.response_tokens))
    return place


def _row_problems(row: EvidenceRow, value: dict[str, Any], leaf: Leaf) -> Iterator[str]:
    if (row.split, row.id) != (value["split"], value["id"]):
        yield "the columns split and id are not those of the row"
    if row.leaf != leaf.content.hex():
        yield "its leaf differs"
    if leaf.salted is not None and row.salted_leaf != leaf.salted.hex():
        yield "its salted leaf differs"


def check_pack(folder: Path, manifest: Manifest, pack: PackContents) -> Iterator[Check]:
    """All checks of the folder itself."""
    yield from _file_checks(folder, manifest)
    yield _rows_check(pack)
    yield from _root_checks(manifest, pack)
    yield from _count_checks(manifest, pack)
    yield _balance_check(manifest)
    yield _rejections_check(folder, manifest)
    yield from recount_checks(folder, manifest)
    yield label_check(manifest, ((value["label"], _sources_of(value)) for _, value in pack.rows))


def _sources_of(value: dict[str, Any]) -> frozenset[str]:
    return frozenset(one["source_sha256"] for one in value["occurrences"])


def _file_checks(folder: Path, manifest: Manifest) -> Iterator[Check]:
    for name, digest in sorted(manifest.evidence.items()):
        problem = file_problem(folder / name, digest)
        yield Check(f"file {name}", problem is None, problem or "as frozen")
    known = {*manifest.evidence, MANIFEST_NAME, DIGEST_NAME, SIGNATURE_NAME}
    extra = [
        name if kind in _FILES else f"{name} ({kind})"
        for name, kind in entries_of(folder)
        if name not in known or kind not in _FILES
    ]
    yield Check("no extra file", not extra, f"extra: {named(extra)}" if extra else "nothing but what is listed")


def file_problem(path: Path, sha256: str) -> str | None:
    """Why there is no file of these bytes at `path`, or None."""
    try:
        if path.is_symlink():
            return "is a symbolic link"
        if not path.is_file():
            return "missing"
        return None if hash_file(path) == sha256 else "altered: its SHA-256 differs"
    except OSError as error:
        return f"unreadable: {error.strerror or error}"


def _rows_check(pack: PackContents) -> Check:
    problems = [*([pack.unreadable] if pack.unreadable else []), *pack.row_problems]
    detail = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
    return Check(
        "rows", not problems, detail or f"{len(pack.rows)} rows: canonical, in order, ids and leaves recomputed"
    )


def _root_checks(manifest: Manifest, pack: PackContents) -> Iterator[Check]:
    plain = content_roots(pack.leaves)
    yield _same_roots("content_roots", manifest.content_roots, plain)
    whole, told = content_root(plain), manifest.content_root
    joined = content_root(manifest.content_roots) == told
    detail = told if whole == told else f"the rows give {whole}, the manifest says {told}"
    yield Check("content_root", whole == told and joined, detail if joined else "it is not the hash of its three roots")
    salted = salted_roots(pack.leaves)
    if salted is None:
        yield Check("roots", False, f"salts are missing: {pack.salts_unreadable or 'not every row has one'}")
    else:
        yield _same_roots("roots", manifest.roots, salted)


def _same_roots(name: str, told: Roots, found: Roots) -> Check:
    other = [split for split in SPLITS if getattr(told, split) != getattr(found, split)]
    return Check(name, not other, f"of another {named(other)} split" if other else "recomputed from the rows")


def _count_checks(manifest: Manifest, pack: PackContents) -> Iterator[Check]:
    counts = pack.counts
    assert counts is not None, "load_pack counts"
    found = {"splits": counts.splits, "strata": counts.strata, "kinds": counts.kinds, "axes": counts.axes}
    wrong = [name for name, value in found.items() if getattr(manifest, name) != value]
    wrong += [
        f"source {entry.source.path}"
        for entry in manifest.sources
        if entry.count != counts.sources.get(entry.source.sha256, NOTHING)
    ]
    known = {entry.source.sha256 for entry in manifest.sources}
    foreign = sorted(set(counts.sources) - known)
    wrong += [f"rows name a source that the manifest lacks ({digest[:12]})" for digest in foreign]
    detail = (
        f"differ: {named(wrong)}" if wrong else f"{len(pack.rows)} pairs, {counts.n_tokens} tokens by every heading"
    )
    yield Check("counts", not wrong, detail)


def _balance_check(manifest: Manifest) -> Check:
    wrong = [entry.source.path for entry in manifest.sources if not _balances(entry)]
    total: Counter[str] = Counter()
    for entry in manifest.sources:
        total.update(entry.reasons)
    if dict(total) != manifest.rejections:
        wrong.append("rejections by code")
    detail = f"does not add up: {named(wrong)}" if wrong else "made = kept + rejected + left out, for every source"
    return Check("balance", not wrong, detail)


def _balances(entry: SourceEntry) -> bool:
    return entry.made == entry.kept + entry.rejected + entry.left_out


def _rejections_check(folder: Path, manifest: Manifest) -> Check:
    try:
        found = Counter(one.code for one in evidence.read_rejections(folder) if one.stage != "skip")
    except InputError as error:
        return Check("rejections", False, error.what)
    same = dict(found) == manifest.rejections
    detail = (
        f"{sum(found.values())} rejections, each with its reason" if same else "the listed ones are not those counted"
    )
    return Check("rejections", same, detail)
