"""Sections of the audit report on what went in: sources, the funnel from records to pairs, tokens.

Owns those values. Everything stands in the manifest; it must not read a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hrmbuild.audit.report_included import included_files
from hrmbuild.audit.report_input import ReportInput
from hrmbuild.records.counts import total
from hrmbuild.records.manifest import Count, Manifest, SourceEntry
from hrmbuild.records.source import Source


def sources_section(given: ReportInput) -> dict[str, Any]:
    """Every file with what its owner declared and what came of it, and the files that were not opened."""
    manifest = given.manifest
    return {
        "rows": [_source(one, given) for one in manifest.sources],
        "refused": [one.canonical() for one in manifest.refused],
        "owners": _by(manifest, "owner"),
        "licenses": _by(manifest, "license"),
        "labels": _by(manifest, "label"),
        "undeclared": [path for path, source, _ in _files(manifest) if not (source.owner and source.license)],
    }


def _files(manifest: Manifest) -> Iterator[tuple[str, Source, Count]]:
    """Own files, then included ones with a pair that is trained on."""
    yield from ((one.source.path, one.source, one.count) for one in manifest.sources)
    yield from ((path, source, count) for path, _, source, count in included_files(manifest))


def _source(one: SourceEntry, given: ReportInput) -> dict[str, Any]:
    source = one.source
    shown = given.clearance.allows(source.label)
    return {
        "path": source.path,
        "sha256": source.sha256,
        "n_bytes": source.n_bytes,
        "kind": source.kind,
        "format": source.format,
        "owner": source.owner,
        "license": source.license,
        "label": source.label,
        "effective_from": source.effective_from,
        "effective_until": source.effective_until,
        "stratum": source.stratum,
        "repeat": source.repeat,
        "declared_by": source.declared_by,
        "status": one.status,
        "reason": _reason(one.reason, shown=shown),
        "pairs": one.count.pairs,
        "tokens": tokens_of(one.count),
    }


def _reason(reason: str | None, *, shown: bool) -> str | None:
    """Why it was set aside; of a file above the clearance the code only, for a message may quote it."""
    return reason if shown or reason is None else f"{reason.partition(':')[0]} (its words are not shown)"


def _by(manifest: Manifest, name: str) -> list[dict[str, Any]]:
    """Files, pairs and tokens by what their owners declared."""
    found: dict[str, list[Count]] = {}
    for _, source, count in _files(manifest):
        found.setdefault(getattr(source, name) or "not declared", []).append(count)
    return [
        {"value": value, "files": len(group), "pairs": sum(one.pairs for one in group),
         "tokens": sum(tokens_of(one) for one in group)}
        for value, group in sorted(found.items())
    ]  # fmt: skip


def tokens_of(count: Count) -> int:
    """Content tokens of both sides."""
    return count.instruction_tokens + count.response_tokens


def funnel(manifest: Manifest) -> dict[str, Any]:
    """From records to pairs, by source and in all; `balanced` says that nothing is missing in between."""
    rows = [_funnel_row(one) for one in manifest.sources]
    names = ("records", "without_pair", "skipped", "made", "kept", "rejected", "quarantined", "left_out")
    whole = {name: sum(row[name] for row in rows) for name in names}
    return {
        "rows": rows,
        "whole": {**whole, "balanced": all(row["balanced"] for row in rows)},
        "distinct_pairs": sum(one.pairs for one in manifest.splits.values()),
        "files": {
            "found": len(manifest.sources) + len(manifest.refused),
            "read": sum(one.status == "read" for one in manifest.sources),
            "quarantined": sum(one.status == "quarantined" for one in manifest.sources),
            "refused": len(manifest.refused),
        },
    }


def _funnel_row(one: SourceEntry) -> dict[str, Any]:
    held = sum((one.quarantined or {}).values())
    return {
        "path": one.source.path, "records": one.records, "without_pair": one.without_pair, "skipped": one.skipped,
        "made": one.made, "kept": one.kept, "rejected": one.rejected, "quarantined": held, "left_out": one.left_out,
        "balanced": one.made == one.kept + one.rejected + one.left_out + held,
    }  # fmt: skip


def tokens_section(manifest: Manifest) -> dict[str, list[dict[str, Any]]]:
    """Pairs and tokens by source and stratum, included ones among them, and of own pairs by kind of question; the most
    first."""
    by_stratum = dict(manifest.strata)
    for _, _, source, count in included_files(manifest):
        name = source.stratum or source.kind
        by_stratum[name] = total((by_stratum[name], count)) if name in by_stratum else count
    return {
        "by_source": _counted({path: count for path, _, count in _files(manifest)}),
        "by_stratum": _counted(by_stratum),
        "by_kind": _counted(manifest.kinds),
    }


def _counted(counts: Mapping[str, Count]) -> list[dict[str, Any]]:
    whole = sum(tokens_of(one) for one in counts.values())
    rows = [
        {"name": name, "pairs": one.pairs, "instruction_tokens": one.instruction_tokens,
         "response_tokens": one.response_tokens, "tokens": tokens_of(one),
         "share": f"{100 * tokens_of(one) / whole:.1f}" if whole else "0.0"}
        for name, one in counts.items()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-row["tokens"], row["name"]))
