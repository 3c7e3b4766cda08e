"""What a manifest says beside its counts, counted again from the evidence pack: labels, reasons by source, gates.

Owns those checks. They need the pack alone; what stands in no row of it (pairs left out, records without a pair) cannot
be counted here and is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from hrmbuild.audit.checks import Check, named
from hrmbuild.audit.evidence import HELD, EvidenceRejection, read_rejections
from hrmbuild.errors import InputError
from hrmbuild.records.manifest import Manifest


def label_check(manifest: Manifest, labels: Iterable[tuple[str, frozenset[str]]]) -> Check:
    """The manifest's label is the highest of its rows, and each row's the highest of the sources it shows.

    Args:
        labels: of each row: its label, and the SHA-256 of its sources.
    """
    order = manifest.labels or ()
    of_source: dict[str, set[str]] = {}
    for entry in manifest.sources:
        of_source.setdefault(entry.source.sha256, set()).add(entry.source.label)
    found, wrong = set[str](), set[str]()
    for label, sources in labels:
        found.add(label)
        if label not in set[str]().union(*(of_source.get(one, {label}) for one in sources)):
            wrong.add(f"rows have the label {label}, which none of their sources has")
    found |= {one.label for one in manifest.includes or ()} if found else set[str]()
    if manifest.label not in found and found:
        wrong.add(f"no row has the manifest's label {manifest.label}")
    undeclared = found - set(order) if order else set[str]()
    wrong |= {f"the label {label} is not declared" for label in undeclared}
    if order and found and not undeclared:
        highest = max(found, key=order.index)
        wrong |= {f"the highest label of its rows is {highest}"} if highest != manifest.label else set[str]()
    told = f"{manifest.label}, the highest of {named(sorted(found))}" if order else f"{manifest.label}, as rows have it"
    return Check("label", not wrong, named(sorted(wrong)) if wrong else told)


def recount_checks(folder: Path, manifest: Manifest) -> Iterator[Check]:
    """Reasons and skips by source, and what each gate let through."""
    try:
        rejections = list(read_rejections(folder))
    except InputError as error:
        yield Check("reasons by source", False, error.what)
        yield Check("gates", False, error.what)
        return
    yield _reasons_check(manifest, rejections)
    yield _gates_check(manifest, rejections)


def _reasons_check(manifest: Manifest, rejections: Iterable[EvidenceRejection]) -> Check:
    reasons: dict[str, Counter[str]] = {}
    held: dict[str, Counter[str]] = {}
    skipped: Counter[str] = Counter()
    for one in rejections:
        if one.stage == "skip":
            skipped[one.path] += 1
        else:
            (held if one.stage == HELD else reasons).setdefault(one.path, Counter())[one.code] += 1
    wrong = [
        entry.source.path
        for entry in manifest.sources
        if dict(reasons.pop(entry.source.path, {})) != entry.reasons
        or dict(held.pop(entry.source.path, {})) != (entry.quarantined or {})
        or skipped.pop(entry.source.path, 0) != entry.skipped
    ]
    listed = {one.path for one in manifest.refused}
    wrong += [f"{path} (no source of the manifest)" for path in sorted({*reasons, *held, *skipped} - listed)]
    told = f"of {len(manifest.sources)} sources, as the pack lists them"
    return Check("reasons by source", not wrong, f"differ: {named(wrong)}" if wrong else told)


def _gates_check(manifest: Manifest, rejections: Iterable[EvidenceRejection]) -> Check:
    """Each gate sees what the one before let through; the first sees every pair that was made."""
    gated = [one for one in rejections if one.gate is not None]
    by_gate = Counter(one.gate for one in gated if one.stage != HELD)
    holds = Counter(one.gate for one in gated if one.stage == HELD)
    remaining = sum(entry.made for entry in manifest.sources)
    wrong: list[str] = []
    for gate in manifest.gates:
        rejected, held = by_gate.pop(gate.name, 0), holds.pop(gate.name, 0)
        remaining -= rejected + held
        if (gate.rejected, gate.quarantined or 0, gate.passed) != (rejected, held, remaining):
            wrong.append(f"{gate.name} (rejected {rejected}, quarantined {held}, passed {remaining})")
    wrong += [f"{name} (not in the manifest)" for name in sorted(map(str, {*by_gate, *holds}))]
    told = f"{len(manifest.gates)} gates, passed and rejected counted again"
    return Check("gates", not wrong, f"differ: {named(wrong)}" if wrong else told)
