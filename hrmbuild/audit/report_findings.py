"""Sections of the audit report on what was kept out: rejections, personal data, secrets, conflicts, likeness, gates.

Owns those values. The rejections of the pack are read once and counted; of each reason a few are listed. A text, and a
message that may quote one, is listed up to the clearance only; place and reason always are.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from hrmbuild.audit.evidence import HELD, EvidenceRejection
from hrmbuild.audit.report_input import ReportInput
from hrmbuild.audit.shown_text import numbers_of
from hrmbuild.records.locator import Locator
from hrmbuild.records.reasons import FAMILIES, REASONS

EXAMPLES = 3
"""Places listed of each reason."""
LISTED = 50
"""Contradictions, duplicates and leaks that are listed in full; beyond, the pack has them."""
CONTRADICTION = "corpus.contradiction"
ALIKE = ("corpus.near_duplicate", "corpus.leak", "corpus.protected")
PERSONAL, SECRET = "gate.personal_data", "gate.secret"
_KINDS = re.compile(r"\(([a-z_]+(?:, [a-z_]+)*)\)")


@dataclass
class _Found:
    """What one pass over the rejections found."""

    n: dict[str, int] = field(default_factory=dict[str, int])
    stage: dict[str, str] = field(default_factory=dict[str, str])
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    personal: dict[str, int] = field(default_factory=dict[str, int])
    secrets: dict[str, int] = field(default_factory=dict[str, int])
    conflicts: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    """By question."""
    alike: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])


def findings(given: ReportInput) -> dict[str, Any]:
    """The sections, by their keys."""
    found = _Found()
    labels = {one.source.path: one.source.label for one in given.manifest.sources}
    for one in given.rejections or ():
        _add(found, one, shown=given.clearance.allows(labels.get(one.path)))
    return {
        "rejections": _rejections(given, found),
        "personal_data": _personal_data(given, found),
        "secrets": {"kinds": found.secrets, "pairs": given.manifest.rejections.get(SECRET, 0)},
        "conflicts": _conflicts(given, found),
        "duplicates": _duplicates(given, found),
        "gates": _gates(given),
    }


def _add(found: _Found, one: EvidenceRejection, *, shown: bool) -> None:
    found.n[one.code] = found.n.get(one.code, 0) + 1
    found.stage[one.code] = one.stage
    entry = _entry(one, shown=shown)
    examples = found.examples.setdefault(one.code, [])
    if len(examples) < EXAMPLES:
        examples.append(entry)
    kinds = {PERSONAL: found.personal, SECRET: found.secrets}.get(one.code)
    if kinds is not None:
        for kind in _kinds_of(one.detail):
            kinds[kind] = kinds.get(kind, 0) + 1
    if one.code == CONTRADICTION:
        _add_conflict(found, one, entry)
    elif one.code in ALIKE and len(found.alike.setdefault(one.code, [])) < LISTED:
        found.alike[one.code].append(entry)


def _kinds_of(detail: str) -> list[str]:
    """`(email, phone)` of a gate's message; the message itself holds none of the words."""
    told = _KINDS.search(detail)
    return told[1].split(", ") if told else ["not told"]


def _entry(one: EvidenceRejection, *, shown: bool) -> dict[str, Any]:
    return {
        "path": one.path, "source_sha256": one.source_sha256, "place": place_of(one.locator, shown=shown),
        "detail": one.detail if shown else None, "text": one.text if shown else None, "pair_id": one.pair_id,
        "shown": shown, "kept_text": one.text is not None,
    }  # fmt: skip


def place_of(locator: str | dict[str, Any], *, shown: bool) -> str:
    """A place in a file for a person; what may quote the file (headings, names of sheets) only where it is shown."""
    value = numbers_of(locator) if not shown else json.loads(locator) if isinstance(locator, str) else locator
    return str(Locator.model_validate(value))


def _add_conflict(found: _Found, one: EvidenceRejection, entry: dict[str, Any]) -> None:
    """Sides of one conflict answer the same question; a text is question, blank line, answer."""
    question, between, answer = (one.text or "").rpartition("\n\n")
    key = " ".join(question.lower().split()) if between else f"{one.source_sha256} {one.locator}"
    if len(found.conflicts) < LISTED or key in found.conflicts:
        told = {"question": question, "answer": answer} if entry["shown"] and between else {}
        found.conflicts.setdefault(key, []).append({**entry, "question": None, "answer": None, **told})


def _rejections(given: ReportInput, found: _Found) -> dict[str, Any]:
    """Every reason of the manifest, what it means, how often, where for example."""
    manifest = given.manifest
    by_source: dict[str, dict[str, int]] = {}
    for one in manifest.sources:
        for code, n in one.reasons.items():
            by_source.setdefault(code, {})[one.source.path] = n
    reasons: dict[str, dict[str, Any]] = {
        code: {"code": code, "n": n, "stage": found.stage.get(code), **_words(code),
               "by_source": dict(sorted(by_source.get(code, {}).items(), key=lambda item: (-item[1], item[0]))),
               "examples": found.examples.get(code, [])}
        for code, n in manifest.rejections.items()
    }  # fmt: skip
    skipped = [
        {"code": code, "n": n, **_words(code), "examples": found.examples[code]}
        for code, n in sorted(found.n.items())
        if found.stage[code] == "skip"
    ]
    return {
        "total": sum(manifest.rejections.values()),
        "reasons": sorted(reasons.values(), key=lambda one: (-one["n"], one["code"])),
        "skipped": skipped,
        "n_skipped": sum(one.skipped for one in manifest.sources),
        "held": dict(manifest.quarantined or {}),
        "n_held_listed": sum(n for code, n in found.n.items() if found.stage[code] == HELD),
    }


def _words(code: str) -> dict[str, str | None]:
    meaning, action = REASONS.get(code, (FAMILIES.get(code.partition(".")[0]), None))
    return {"meaning": meaning, "action": action}


def _personal_data(given: ReportInput, found: _Found) -> dict[str, Any]:
    """Kinds that were found, how often masked, how many pairs refused; None: the pack is not at hand."""
    facts = given.facts
    masked = facts.masked if facts else {}
    kinds = sorted({*masked, *found.personal})
    return {
        "rows": [{"kind": kind, "masked": masked.get(kind, 0), "rejected": found.personal.get(kind, 0)}
                 for kind in kinds],
        "masked_words": sum(masked.values()) if facts else None,
        "names_put_otherwise": facts.n_name_masks if facts else None,
        "pairs_with_masks": facts.n_masked_pairs if facts else None,
        "pairs_rejected": given.manifest.rejections.get(PERSONAL, 0),
        "settings": _thresholds(given, "personal_data"),
    }  # fmt: skip


def _thresholds(given: ReportInput, name: str) -> dict[str, str]:
    return next((dict(gate.thresholds) for gate in given.manifest.gates if gate.name == name), dict[str, str]())


def _conflicts(given: ReportInput, found: _Found) -> dict[str, Any]:
    return {
        "pairs": given.manifest.rejections.get(CONTRADICTION, 0),
        "rows": [
            {"question": next((side["question"] for side in sides if side["question"]), None), "sides": sides}
            for sides in found.conflicts.values()
        ],
        "listed": LISTED,
    }


def _duplicates(given: ReportInput, found: _Found) -> dict[str, Any]:
    """Likeness by words, and equal pairs that were merged."""
    manifest = given.manifest
    kept = sum(one.kept for one in manifest.sources)
    return {
        "rows": [{"code": code, "n": manifest.rejections.get(code, 0), **_words(code),
                  "examples": found.alike.get(code, [])} for code in ALIKE],
        "merged": kept - sum(one.pairs for one in manifest.splits.values()),
        "listed": LISTED,
    }  # fmt: skip


def _gates(given: ReportInput) -> list[dict[str, Any]]:
    return [
        {"name": gate.name, "thresholds": dict(gate.thresholds), "passed": gate.passed, "rejected": gate.rejected,
         "quarantined": gate.quarantined or 0}
        for gate in given.manifest.gates
    ]  # fmt: skip
