"""The checks of a manifest's folder that need nothing outside it: files, rows, roots, counts, rejections.

Owns those checks. It must not read the corpus, a source or a tokenizer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from hrmbuild.audit import evidence
from hrmbuild.audit.checks import Check, named
from hrmbuild.audit.erased import ERASED_NAME, REWRITTEN, read_erased
from hrmbuild.audit.manifest import DIGEST_NAME, MANIFEST_NAME, NOTHING, SIGNATURE_NAME
from hrmbuild.audit.pack_recount import label_check, recount_checks
from hrmbuild.audit.pack_rows import PackContents
from hrmbuild.audit.proofs import leaves_check
from hrmbuild.audit.rows import content_root
from hrmbuild.errors import InputError
from hrmbuild.files import entries_of
from hrmbuild.fingerprint import hash_file
from hrmbuild.records.manifest import Manifest, Roots, SourceEntry
from hrmbuild.records.pair import SPLITS

_FILES = ("file", "hard link")


def check_pack(folder: Path, manifest: Manifest, pack: PackContents) -> Iterator[Check]:
    """All checks of the folder itself."""
    yield from _file_checks(folder, manifest)
    yield _rows_check(pack)
    yield from _erased_check(folder, pack)
    yield from _root_checks(manifest, pack)
    leaves = leaves_check(folder, manifest, pack.leaves)
    yield from [leaves] if leaves is not None else []
    yield from _count_checks(manifest, pack)
    yield _balance_check(manifest)
    yield _rejections_check(folder, manifest)
    yield from recount_checks(folder, manifest)
    yield label_check(manifest, pack.labels)


def _file_checks(folder: Path, manifest: Manifest) -> Iterator[Check]:
    after = read_erased(folder)
    for name, digest in sorted(manifest.evidence.items()):
        problem = file_problem(folder / name, digest)
        now = after.files.get(name) if after is not None and problem and name in REWRITTEN else None
        since = now is not None and file_problem(folder / name, now) is None
        told = "as the erasure left it" if since else problem or "as frozen"
        yield Check(f"file {name}", problem is None or since, told)
    known = {*manifest.evidence, MANIFEST_NAME, DIGEST_NAME, SIGNATURE_NAME, *((ERASED_NAME,) if after else ())}
    extra = [
        name if kind in _FILES else f"{name} ({kind})"
        for name, kind in entries_of(folder)
        if name not in known or kind not in _FILES
    ]
    yield Check("no extra file", not extra, f"extra: {named(extra)}" if extra else "nothing but what is listed")


def _erased_check(folder: Path, pack: PackContents) -> Iterator[Check]:
    """Rows that were erased are counted, and each is of a source that the folder says was erased."""
    after = read_erased(folder)
    if after is None and not pack.n_erased:
        return
    told = set(after.sources) if after is not None else set[str]()
    strangers = sorted({min(sources, default="") for sources in pack.erased if told.isdisjoint(sources)})
    kept = f"{pack.n_erased} rows were erased: their texts and salts are gone, their leaves are kept"
    yield Check("erased", not strangers, f"of sources that nobody erased: {named(strangers)}" if strangers else kept)


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
    problems += [f"row {one[:12]}: it stands in two splits" for one in pack.leaves.in_two_splits()]
    detail = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
    return Check("rows", not problems, detail or f"{pack.n_rows} rows: canonical, in order, ids and leaves recomputed")


def _root_checks(manifest: Manifest, pack: PackContents) -> Iterator[Check]:
    plain = pack.leaves.content_roots()
    yield _same_roots("content_roots", manifest.content_roots, plain)
    whole, told = content_root(plain), manifest.content_root
    joined = content_root(manifest.content_roots) == told
    detail = told if whole == told else f"the rows give {whole}, the manifest says {told}"
    yield Check("content_root", whole == told and joined, detail if joined else "it is not the hash of its three roots")
    salted = pack.leaves.salted_roots()
    if salted is None:
        yield Check("roots", False, f"salts are missing: {pack.salts_unreadable or 'not every row has one'}")
    else:
        yield _same_roots("roots", manifest.roots, salted)


def _same_roots(name: str, told: Roots, found: Roots) -> Check:
    other = [split for split in SPLITS if getattr(told, split) != getattr(found, split)]
    return Check(name, not other, f"of another {named(other)} split" if other else "recomputed from the rows")


def _count_checks(manifest: Manifest, pack: PackContents) -> Iterator[Check]:
    counts = pack.counts
    found = {"splits": counts.splits, "strata": counts.strata, "kinds": counts.kinds, "axes": counts.axes}
    wrong = [name for name, value in found.items() if getattr(manifest, name) != value]
    wrong += [
        f"source {entry.source.path}"
        for entry in manifest.sources
        if entry.count != counts.sources.get(entry.source.sha256, NOTHING)
    ]
    wrong += _other_masks(manifest, pack)
    known = {entry.source.sha256 for entry in manifest.sources}
    foreign = sorted(set(counts.sources) - known)
    wrong += [f"rows name a source that the manifest lacks ({digest[:12]})" for digest in foreign]
    detail = f"differ: {named(wrong)}" if wrong else f"{pack.n_rows} pairs, {counts.n_tokens} tokens by every heading"
    yield Check("counts", not wrong, detail)


def _other_masks(manifest: Manifest, pack: PackContents) -> list[str]:
    """Where the masks of the rows are not those that the manifest counts; the first manifests count none."""
    counts = pack.counts
    noted = [gate.redacted for gate in manifest.gates if gate.redacted is not None]
    if manifest.masked is None and not noted and all(entry.masked is None for entry in manifest.sources):
        return []
    wrong = [] if manifest.masked == counts.masked_kinds() and noted == [counts.n_masked] else ["masked"]
    return wrong + [
        f"masked in {entry.source.path}"
        for entry in manifest.sources
        if (entry.masked or {}) != counts.masked.get(entry.source.sha256, {})
    ]


def _balance_check(manifest: Manifest) -> Check:
    wrong = [entry.source.path for entry in manifest.sources if not _balances(entry)]
    total: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for entry in manifest.sources:
        total.update(entry.reasons)
        held.update(entry.quarantined or {})
    if dict(total) != manifest.rejections or dict(held) != (manifest.quarantined or {}):
        wrong.append("rejections by code")
    told = f"made = kept + rejected{' + quarantined' if held else ''} + left out, for every source"
    detail = f"does not add up: {named(wrong)}" if wrong else told
    return Check("balance", not wrong, detail)


def _balances(entry: SourceEntry) -> bool:
    return entry.made == entry.kept + entry.rejected + entry.left_out + sum((entry.quarantined or {}).values())


def _rejections_check(folder: Path, manifest: Manifest) -> Check:
    try:
        listed = list(evidence.read_rejections(folder))
    except InputError as error:
        return Check("rejections", False, error.what)
    found = Counter(one.code for one in listed if one.stage not in ("skip", evidence.HELD))
    held = Counter(one.code for one in listed if one.stage == evidence.HELD)
    same = dict(found) == manifest.rejections and dict(held) == (manifest.quarantined or {})
    detail = (
        f"{sum(found.values())} rejections, each with its reason" if same else "the listed ones are not those counted"
    )
    return Check("rejections", same, detail)
