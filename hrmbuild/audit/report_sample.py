"""Section of the audit report on its sample: the drawn pairs with their evidence beside them, and the bound on errors.

Owns that value, which `audit sample` shows as well. A pair above the clearance is told by its leaf and counted; the
bound is then of the pairs that could be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hrmbuild.audit.report_findings import place_of
from hrmbuild.audit.report_input import ReportInput, Sample
from hrmbuild.audit.report_people import current_sample_digest
from hrmbuild.audit.sample import BOUND_SOURCE, CONFIDENCE, sample_root, upper_bound

_NO_WORDS = frozenset({"masks"})


def sample_section(given: ReportInput) -> dict[str, Any] | None:
    """The sample; None where no nonce was given."""
    sample = given.sample
    if sample is None:
        return None
    paths = {one.source.sha256: one.source.path for one in given.manifest.sources}
    pairs = [
        _pair(number, leaf, row, given=given, paths=paths) for number, (leaf, row) in enumerate(sample.rows, start=1)
    ]
    n_shown = sum(pair["shown"] for pair in pairs)
    return {
        "nonce": sample.nonce,
        "root": sample_root(given.manifest),
        "manifest_sha256": given.manifest_sha256,
        "digest": current_sample_digest(given),
        "n_asked": sample.n_asked,
        "n": len(pairs),
        "n_shown": n_shown,
        "n_withheld": len(pairs) - n_shown,
        "of": sum(one.pairs for one in given.manifest.splits.values()) if sample.of is None else sample.of,
        **bound(sample, n_shown),
        "pairs": pairs,
    }


def bound(sample: Sample, n_read: int) -> dict[str, Any]:
    """Errors found, and the share of errors that is not exceeded with 95 % confidence; None where nobody counted."""
    known = sample.n_errors is not None and n_read > 0
    return {
        "errors": sample.n_errors if known else None,
        "upper_bound": f"{upper_bound(sample.n_errors, n_read):.4f}" if known and sample.n_errors is not None else None,
        "upper_bound_if_none": f"{upper_bound(0, n_read):.4f}" if n_read else None,
        "confidence": f"{CONFIDENCE:.2f}",
        "bound_source": BOUND_SOURCE,
    }


def _pair(
    number: int, leaf: str, row: Mapping[str, Any], *, given: ReportInput, paths: Mapping[str, str]
) -> dict[str, Any]:
    shown = given.clearance.allows(row["label"])
    error, note = given.sample.marks.get(leaf, (None, "")) if given.sample else (None, "")
    head = {
        "n": number, "leaf": leaf, "shown": shown, "label": row["label"], "split": row["split"], "kind": row["kind"],
        "stratum": row["stratum"], "derivation": row["derivation"], "condition": row["condition"],
        "error": error, "note": note,
    }  # fmt: skip
    if not shown:
        return {**head, "instruction": None, "response": None, "answer": None, "evidence": []}
    return {
        **head,
        "instruction": row["instruction"],
        "response": row["response"],
        "answer": row["answer"],
        "valid_from": row.get("valid_from"),
        "valid_until": row.get("valid_until"),
        "evidence": [_evidence(one, paths) for one in row["occurrences"]],
    }


def _evidence(one: Mapping[str, Any], paths: Mapping[str, str]) -> dict[str, Any]:
    told: Mapping[str, str] = one.get("inputs") or {}
    inputs = {name: value for name, value in told.items() if name not in _NO_WORDS}
    return {
        "source": paths.get(one["source_sha256"]), "source_sha256": one["source_sha256"],
        "place": place_of(one["locator"], shown=True), "text": one["text"],
        "template_sha256": one["template_sha256"], "query": one.get("query"), "inputs": inputs,
    }  # fmt: skip
