"""Two manifests compared: what came, what went, what was changed.

Owns the comparison of what the manifests themselves state; pairs by id are compared by `pipelines.audit_diff`, which
has the packs. It must not read a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hrmbuild.audit.report_included import included_files
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.records.counts import total
from hrmbuild.records.included import told_names
from hrmbuild.records.manifest import Count, Manifest, SourceEntry
from hrmbuild.records.source import Source

_SETTINGS = (
    "hrmbuild", "name", "seed", "as_of", "label", "labels", "max_label", "left_out", "lineage",
    "config_sha256", "code_sha256", "templates_sha256", "prompt_template_sha256",
)  # fmt: skip
_DECLARED = (
    "kind", "format", "owner", "license", "label", "effective_from", "effective_until", "stratum", "repeat",
    "declared_by", "retain_until",
)  # fmt: skip
_COUNTED = ("records", "made", "kept", "rejected", "left_out", "skipped")

Change = tuple[Any, Any]
"""Before, after; None: was not there."""


def manifest_diff(old: Manifest, new: Manifest) -> dict[str, Any]:
    """The keys of `audit diff --json` that need no pack."""
    return {
        "old": _named(old),
        "new": _named(new),
        "same_corpus": old.content_root == new.content_root,
        "same_manifest": old.canonical_bytes() == new.canonical_bytes(),
        "sources": _sources(old, new),
        "settings": _changes({name: getattr(old, name) for name in _SETTINGS},
                             {name: getattr(new, name) for name in _SETTINGS})
        | _changes({"tokenizer": old.tokenizer.sha256, "vocab_size": old.tokenizer.vocab_size},
                   {"tokenizer": new.tokenizer.sha256, "vocab_size": new.tokenizer.vocab_size}),
        "gates": _changes(_gates(old), _gates(new)),
        "includes": _changes(_includes(old), _includes(new)),
        "included": _included_files(old, new),
        "included_pairs": [_taken(old).pairs, _taken(new).pairs],
        "rejections": _changes(old.rejections, new.rejections),
        "counts": {
            heading: _changes(_pairs(getattr(old, heading)), _pairs(getattr(new, heading)))
            for heading in ("splits", "strata", "kinds")
        },
        "tokens": list(_totals(old, new, tokens=True)),
        "pairs": list(_totals(old, new, tokens=False)),
    }  # fmt: skip


def _named(manifest: Manifest) -> dict[str, Any]:
    pairs = sum(one.pairs for one in manifest.splits.values())
    return {
        "manifest_sha256": sha256_hex(manifest.canonical_bytes()), "content_root": manifest.content_root,
        "pairs": pairs, "sources": len(manifest.sources), "label": manifest.label,
    }  # fmt: skip


def _includes(manifest: Manifest) -> dict[str, str]:
    names = told_names(manifest.includes or ())
    return {names[one.content_root]: f"{one.content_root}, {one.taken.pairs} pairs" + "".join(
        f", {code} {n}" for code, n in sorted(one.left_out.items())) for one in manifest.includes or ()}  # fmt: skip


def _included_files(old: Manifest, new: Manifest) -> dict[str, list[dict[str, Any]]]:
    """Files of included corpora, as `_sources` tells own ones; what is counted are the pairs taken."""
    before = {path: (source, count) for path, _, source, count in included_files(old)}
    after = {path: (source, count) for path, _, source, count in included_files(new)}
    altered = [_altered_file(path, before[path], after[path]) for path in sorted(before.keys() & after.keys())]
    return {
        "added": [_short_file(path, *after[path]) for path in sorted(after.keys() - before.keys())],
        "removed": [_short_file(path, *before[path]) for path in sorted(before.keys() - after.keys())],
        "changed": [one for one in altered if one["sha256"] or one["declared"] or one["counts"]],
    }


def _short_file(path: str, source: Source, count: Count) -> dict[str, Any]:
    told = {name: getattr(source, name) for name in ("sha256", "owner", "license", "maker", "label")}
    return {"path": path, **told, "pairs": count.pairs}


def _altered_file(path: str, old: tuple[Source, Count], new: tuple[Source, Count]) -> dict[str, Any]:
    sha256 = [old[0].sha256, new[0].sha256]
    before, now = ({name: getattr(one[0], name) for name in (*_DECLARED, "maker")} for one in (old, new))
    counts = _changes({"pairs": old[1].pairs}, {"pairs": new[1].pairs})
    return {"path": path, "sha256": sha256 if sha256[0] != sha256[1] else None, "declared": _changes(before, now),
            "counts": counts}  # fmt: skip


def _taken(manifest: Manifest) -> Count:
    return total(one.taken for one in manifest.includes or ())


def _totals(old: Manifest, new: Manifest, *, tokens: bool) -> tuple[int, int]:
    def total(manifest: Manifest) -> int:
        counts = manifest.splits.values()
        return sum(one.instruction_tokens + one.response_tokens if tokens else one.pairs for one in counts)

    return total(old), total(new)


def _pairs(counts: Mapping[Any, Count]) -> dict[str, int]:
    return {str(key): one.pairs for key, one in counts.items()}


def _gates(manifest: Manifest) -> dict[str, str]:
    return {
        gate.name: ", ".join(f"{name}: {value}" for name, value in sorted(gate.thresholds.items())) or "no threshold"
        for gate in manifest.gates
    }


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Key -> [before, after], of what differs, keys sorted."""
    keys = sorted({*old, *new})
    return {key: [_plain(old.get(key)), _plain(new.get(key))] for key in keys if old.get(key) != new.get(key)}


def _plain(value: Any) -> Any:
    return [*value] if type(value) is tuple else value


def _sources(old: Manifest, new: Manifest) -> dict[str, list[dict[str, Any]]]:
    before, after = _by_path(old), _by_path(new)
    both = sorted(before.keys() & after.keys())
    altered = [_altered(before[path], after[path]) for path in both]
    return {
        "added": [_short(after[path]) for path in sorted(after.keys() - before.keys())],
        "removed": [_short(before[path]) for path in sorted(before.keys() - after.keys())],
        "changed": [one for one in altered if one["sha256"] or one["declared"] or one["counts"]],
    }


def _by_path(manifest: Manifest) -> dict[str, SourceEntry]:
    return {one.source.path: one for one in manifest.sources}


def _short(one: SourceEntry) -> dict[str, Any]:
    source = one.source
    return {
        "path": source.path, "sha256": source.sha256, "owner": source.owner, "license": source.license,
        "label": source.label, "status": one.status, "pairs": one.count.pairs,
    }  # fmt: skip


def _altered(old: SourceEntry, new: SourceEntry) -> dict[str, Any]:
    """What differs of one path; `sha256` is None where the bytes are the same."""
    sha256 = [old.source.sha256, new.source.sha256]
    declared = _changes({name: getattr(old.source, name) for name in _DECLARED} | {"status": old.status},
                        {name: getattr(new.source, name) for name in _DECLARED} | {"status": new.status})  # fmt: skip
    return {
        "path": new.source.path,
        "sha256": sha256 if sha256[0] != sha256[1] else None,
        "declared": declared,
        "counts": _changes({name: getattr(old, name) for name in _COUNTED},
                           {name: getattr(new, name) for name in _COUNTED}),
    }  # fmt: skip
