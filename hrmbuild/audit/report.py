"""The audit report as one plain value: what `--json` prints and what the page is rendered from, so that both agree.

Owns which sections there are, their order, and the head: what this is, its roots, how to recompute them. Sections of
their own stand in `report_*`. It must not read a file or a clock, and it holds no text above the clearance.
"""

from __future__ import annotations

from typing import Any

from hrmbuild.audit.report_findings import findings
from hrmbuild.audit.report_included import included_section
from hrmbuild.audit.report_input import ReportInput
from hrmbuild.audit.report_people import decisions_section
from hrmbuild.audit.report_sample import sample_section
from hrmbuild.audit.report_sheets import datasheet, limits, lineage, public_summary
from hrmbuild.audit.report_short import in_short
from hrmbuild.audit.report_sources import funnel, sources_section, tokens_section
from hrmbuild.audit.sample import sample_root
from hrmbuild.records.pair import SPLITS

FORMAT = 1


def report_value(given: ReportInput) -> dict[str, Any]:
    """The whole report."""
    found = findings(given)
    value: dict[str, Any] = {
        "format": FORMAT,
        "what": "audit report",
        "label": report_label(given),
        "texts_up_to": given.clearance.up_to,
        "no_text_shown": not any(given.clearance.allows(one.source.label) for one in given.manifest.sources),
        "about": about(given),
        "sources": sources_section(given),
        "funnel": funnel(given.manifest),
        "tokens": tokens_section(given.manifest),
        **found,
        "included": included_section(given),
        "splits": splits(given),
        "decisions": decisions_section(given),
        "changes": given.diff,
        "sample": sample_section(given),
    }
    value["lineage"] = lineage(given)
    value["public_summary"] = public_summary(given, value)
    value["datasheet"] = datasheet(given, value)
    value["limits"] = limits(given)
    value["attention"] = attention(value)
    value["in_short"] = in_short(value)
    return value


def report_label(given: ReportInput) -> str:
    """The highest label of what the report names: every source, and texts up to the clearance."""
    return given.clearance.highest({one.source.label for one in given.manifest.sources} | {given.manifest.label})


def attention(value: dict[str, Any]) -> list[dict[str, str]]:
    """What a person should look at before signing, with the section that tells of it."""
    funnel, decisions = value["funnel"], value["decisions"]
    included: dict[str, Any] = value["included"] or {"contradictions": 0, "unknown_makers": 0}
    approval: dict[str, Any] = decisions["approval"] or {}
    told = [
        ("lineage", f"lineage is {value['about']['lineage']}", not value["lineage"]["complete"]),
        ("about", "the signature of the manifest does not hold",
         any(not one["ok"] for one in value["about"]["signature"])),
        ("about", "nobody signed the manifest", value["about"]["pack_at_hand"] and not value["about"]["signature"]),
        ("sources", f"files without owner or licence: {len(value['sources']['undeclared'])}",
         bool(value["sources"]["undeclared"])),
        ("sources", f"files set aside: {funnel['files']['quarantined']}, not opened: {funnel['files']['refused']}",
         bool(funnel["files"]["quarantined"] or funnel["files"]["refused"])),
        ("funnel", "a row does not balance", not funnel["whole"]["balanced"]),
        ("rejections", f"pairs held until somebody decides: {sum(value['rejections']['held'].values()):,}",
         bool(value["rejections"]["held"])),
        ("personal", f"pairs that showed a secret: {value['secrets']['pairs']:,}; change it wherever it is used",
         bool(value["secrets"]["pairs"])),
        ("conflicts", f"pairs that contradict one another: {value['conflicts']['pairs']:,}",
         bool(value["conflicts"]["pairs"])),
        ("included", f"rows of included corpora that own pairs contradict, left out: {included['contradictions']:,}",
         bool(included["contradictions"])),
        ("included", f"included files whose maker is not known: {included['unknown_makers']:,}",
         bool(included["unknown_makers"])),
        ("decisions", "the decisions do not hold", bool(decisions["problems"])),
        ("decisions", "this manifest was rejected", bool(approval.get("rejected_by"))),
        ("decisions", f"it awaits {'; '.join(approval.get('awaited') or ())}", bool(approval.get("awaited"))),
    ]  # fmt: skip
    return [{"section": section, "text": text} for section, text, applies in told if applies]


def about(given: ReportInput) -> dict[str, Any]:
    """Name, size, hashes, and how to recompute them."""
    manifest, counts = given.manifest, given.manifest.splits.values()
    instruction = sum(one.instruction_tokens for one in counts)
    response = sum(one.response_tokens for one in counts)
    return {
        "name": manifest.name,
        "label": manifest.label,
        "max_label": manifest.max_label,
        "left_out": manifest.left_out,
        "lineage": manifest.lineage,
        "frozen_at": _frozen_at(given),
        "hrmbuild": manifest.hrmbuild,
        "seed": manifest.seed,
        "as_of": manifest.as_of,
        "pairs": sum(one.pairs for one in counts),
        "tokens": {"instruction": instruction, "response": response, "total": instruction + response},
        "manifest_sha256": given.manifest_sha256,
        "content_root": manifest.content_root,
        "signed_root": sample_root(manifest),
        "roots": {
            split: {"content": getattr(manifest.content_roots, split), "salted": getattr(manifest.roots, split)}
            for split in SPLITS
        },
        "hashes": {
            "settings": manifest.config_sha256, "code": manifest.code_sha256, "templates": manifest.templates_sha256,
            "prompt template": manifest.prompt_template_sha256, "tokenizer": manifest.tokenizer.sha256,
        },
        "tokenizer": manifest.tokenizer.canonical(),
        "evidence": dict(sorted(manifest.evidence.items())),
        "pack_at_hand": given.facts is not None,
        "signature": [{"check": one.name, "ok": one.ok, "detail": one.detail} for one in given.signature],
        "recompute": recompute(given),
    }  # fmt: skip


def _frozen_at(given: ReportInput) -> str | None:
    """When the log says that it was frozen; a manifest itself holds no clock."""
    entries = given.log.entries if given.log else ()
    return next((one.at for one in entries if (one.event, one.sha256) == ("freeze", given.manifest_sha256)), None)


def recompute(given: ReportInput) -> list[dict[str, str]]:
    """What an auditor types to come to the same numbers."""
    folder = f"manifests/{given.folder_name}"
    steps = [
        ("the bytes of the manifest", f"sha256sum {folder}/manifest.json", "the manifest's SHA-256 on the first page"),
        ("rows, leaves and roots, without hrmbuild", f"cd {folder} && python -I check.py",
         "the content root, from pairs.parquet"),
        ("rows, counts, reasons, and the bytes of every source", f"hrmbuild verify {folder} --sources FOLDER",
         "every check ok"),
        ("tokenizer and tokens as well", f"hrmbuild verify {folder} --deep", "every check ok"),
        ("who signed, by your own list of keys", f"hrmbuild verify {folder} --trust trust.yaml", "authentic: yes"),
    ]  # fmt: skip
    if given.sample is not None:
        command = f"hrmbuild audit sample {folder} --nonce {_quoted(given.sample.nonce)} --n {given.sample.n_asked}"
        steps.append(("the sample", command, "the sample's digest"))
    return [{"what": what, "command": command, "gives": gives} for what, command, gives in steps]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def splits(given: ReportInput) -> dict[str, Any]:
    """How dev and test were held out."""
    manifest = given.manifest
    total = sum(one.pairs for one in manifest.splits.values())
    rows = [
        {"split": split, "pairs": one.pairs, "instruction_tokens": one.instruction_tokens,
         "response_tokens": one.response_tokens, "share": _share(one.pairs, total)}
        for split in SPLITS
        for one in (manifest.splits[split],)
    ]  # fmt: skip
    axes = sorted({axis for by_axis in manifest.axes.values() for axis in by_axis})
    return {
        "rows": rows,
        "axes": [
            {"axis": axis, "meaning": _AXES.get(axis, ""),
             **{split: manifest.axes.get(split, {}).get(axis, 0) for split in ("dev", "test")}}
            for axis in axes
        ],
    }  # fmt: skip


_AXES = {
    "cell": "new facts: the same rules, cases in a range of facts that was never trained on",
    "document": "a rule set or document of which nothing was trained on",
    "variant": "the same rules with thresholds that were never trained on",
    "wording": "a wording of the question that was never trained on",
}


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "0.0"
