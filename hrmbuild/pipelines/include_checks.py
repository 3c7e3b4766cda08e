"""Is what a manifest says of its includes so? Each include at hand is verified and compared; each that is not is named.

Owns those checks. A manifest is intact as far as it goes without its base mix at hand, and the check says how far that
is: the rows of the include were not compared, and what is said of them rests on the manifest's word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from hrmbuild.audit.checks import Check, named, not_looked_at
from hrmbuild.audit.evidence import TOKENIZER_NAME
from hrmbuild.audit.manifest import read_manifest
from hrmbuild.errors import InputError
from hrmbuild.pipelines.included_rows import (
    LeftOut,
    Rules,
    counts_by_source,
    included_rows,
    look,
    read_left_out,
    texts_in,
    wanted_of,
)
from hrmbuild.pipelines.includes import check_same
from hrmbuild.records.counts import total
from hrmbuild.records.included import IncludedManifest, told_names
from hrmbuild.records.manifest import Manifest
from hrmbuild.tokens.tokenizer import load_tokenizer

Verify = Callable[[Path], tuple[Check, ...]]
"""All checks of an included manifest's own folder."""


def include_checks(
    folder: Path,
    manifest: Manifest,
    *,
    at_hand: Mapping[str, Path],
    looked_for: Callable[[IncludedManifest], str],
    verify: Verify,
    deep: bool,
) -> Iterator[Check]:
    """The checks of all includes; none where nothing is included.

    Args:
        at_hand: folder of each include that is at hand, by its content root.
        looked_for: where one that is not was looked for.
        deep: count the tokens of the rows taken again.
    """
    if not manifest.includes:
        return
    try:
        left_out = read_left_out(folder)
    except InputError as error:
        yield Check("includes", False, error.what)
        return
    yield _stated_check(manifest, left_out)
    whole, names = True, told_names(manifest.includes)
    for one in manifest.includes:
        name = f"include {names[one.content_root]}"
        if one.content_root not in at_hand:
            yield not_looked_at(name, f"not at hand, {looked_for(one)}: neither its rows nor those taken were compared "
                                f"({one.lineage} by the manifest's word; content root {one.content_root})")  # fmt: skip
            whole = False
            continue
        checks = list(_one(one, at_hand[one.content_root], name, verify))
        yield from checks
        whole = whole and all(check.ok for check in checks)
    if whole:
        yield _left_out_check(folder, manifest, at_hand, left_out)
        for one in manifest.includes if deep else ():
            yield _taken_check(folder, one, at_hand[one.content_root], f"include {names[one.content_root]}")


def _stated_check(manifest: Manifest, left_out: tuple[LeftOut, ...]) -> Check:
    """What the manifest says of its includes agrees with itself and with the list of rows left out."""
    includes, wrong = manifest.includes or (), list[str]()
    for one in includes:
        listed = Counter(row.code for row in left_out if row.content_root == one.content_root)
        wrong += [] if dict(listed) == one.left_out else [f"rows left out of {one.name}"]
        wrong += [] if total(source.count for source in one.sources) == one.taken else [f"sources of {one.name}"]
        if one.strata is None and one.taken.pairs + sum(one.left_out.values()) != one.splits["train"]:
            wrong.append(f"rows of {one.name}")
    known = {one.content_root for one in includes}
    wrong += ["rows left out of no include"] if any(row.content_root not in known for row in left_out) else []
    wrong += _other_label(manifest) + _other_lineage(manifest)
    told = f"{sum(one.taken.pairs for one in includes):,} rows taken of {len(includes)}, {len(left_out):,} left out"
    return Check("includes", not wrong, f"differ: {named(wrong)}" if wrong else told)


def _other_label(manifest: Manifest) -> list[str]:
    labels = manifest.labels or ()
    low = [one.name for one in manifest.includes or () if one.label in labels and manifest.label in labels
           and labels.index(one.label) > labels.index(manifest.label)]  # fmt: skip
    return [f"label below that of {named(low)}"] if low else []


def _other_lineage(manifest: Manifest) -> list[str]:
    partial = [one.name for one in manifest.includes or () if one.lineage != "complete"]
    return [f"lineage complete, that of {named(partial)} is not"] if partial and manifest.lineage == "complete" else []


def _one(one: IncludedManifest, folder: Path, name: str, verify: Verify) -> Iterator[Check]:
    try:
        check_same(folder, one)
        found = read_manifest(folder)
    except InputError as error:
        yield Check(name, False, f"{error.what} ({error.where})")
        return
    facts = (found.name, found.content_root, found.label, found.lineage, found.content_roots)
    same = facts == (one.name, one.content_root, one.label, one.lineage, one.content_roots)
    bad = [check for check in verify(folder) if not check.ok]
    yield from (replace(check, name=f"{name}: {check.name}", about_who=False) for check in bad)
    told = "its folder holds what was included, every row recomputed" if same else "it says other things than told here"
    yield Check(name, same and not bad, "its folder is not as it was frozen" if bad else told)


def _left_out_check(
    folder: Path, manifest: Manifest, at_hand: Mapping[str, Path], left_out: tuple[LeftOut, ...]
) -> Check:
    """Looked for again: no row of an include that is trained on is, asks or shows an own held-out pair."""
    includes = manifest.includes
    assert includes, "asked only where something is included"
    try:
        again = look(
            [wanted_of(one, at_hand[one.content_root]) for one in includes],
            texts_in(folder, "dev", "test"),
            texts_in(folder, "train"),
            rules=Rules.stated(includes[0], left_out),
        )
    except (InputError, ValueError, KeyError) as error:  # An erased or broken row: the checks of rows name it.
        return Check("included rows left out", False, f"rows cannot be read: {error}")
    other = sorted({one.id[:12] for one in set(again.left_out) ^ set(left_out)})
    other += [f"near rows of {one.name}" for one in includes if one.near != again.near.get(one.content_root)]
    told = f"looked for again: {len(again.left_out):,} leaks, duplicates and contradictions, the same"
    return Check("included rows left out", not other, f"differ: {named(other)}" if other else told)


def _taken_check(folder: Path, one: IncludedManifest, at: Path, include: str) -> Check:
    name = f"{include}: token counts"
    try:
        counts = counts_by_source(included_rows(folder, one, at), load_tokenizer(folder / TOKENIZER_NAME))
    except (InputError, ValueError, KeyError) as error:
        return Check(name, False, f"rows cannot be read: {error}")
    told = {source.source.sha256: source.count for source in one.sources}
    same = counts == told
    return Check(name, same, f"{one.taken.pairs:,} rows encoded again" if same else "its rows give other counts")
