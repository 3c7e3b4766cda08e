"""Reports as lines for a person: the balance sheet, roots, checks and scores.

Owns wording and layout. It must not compute: every number stands in a report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hrmbuild.cli.output import table
from hrmbuild.cli.render_review import review_facts

if TYPE_CHECKING:
    from hrmbuild.audit.checks import VerifyReport
    from hrmbuild.pipelines.build import BuildReport
    from hrmbuild.pipelines.freeze import FreezeReport
    from hrmbuild.pipelines.ingest_report import IngestReport, PreviewPair
    from hrmbuild.pipelines.package import PackageReport
    from hrmbuild.pipelines.train import TrainReport

SHOWN_REASONS = 3
"""Reasons named in a file's line of the balance sheet; all of them stand below it and in `--json`."""


def ingest_lines(report: IngestReport) -> list[str]:
    """The balance sheet, what was left out and why, and the closing line."""
    balance = report.balance
    rows = [
        (one.source.path, one.status, one.n_records, one.n_made, one.n_kept, one.n_rejected, _reasons(one.reasons))
        for one in report.sources
    ]
    total = ("all", f"{len(report.sources)} files", sum(one.n_records for one in report.sources))
    rows.append((*total, balance.made, balance.kept, balance.rejected, ""))
    lines = table(["source", "state", "records", "made", "kept", "rejected", "reasons"], rows)
    lines += [f"quarantined  {path}: {reason}" for path, reason in report.quarantined]
    lines += [f"no file      {where}: {path}: {detail}" for where, path, detail in report.unmatched]
    lines += [f"inferred     {path}: {note}" for path, note in report.notes]
    lines += _preview_lines(report.previews)
    lines += ["", "rejections by reason (a record that gives no pair counts here too):"] if balance.reasons else []
    lines += [f"  {code}  {n:,}" for code, n in balance.reasons.items()]
    lines += [f"  {code}  {n:,} held until a decision: hrmbuild rejections --held" for code, n in balance.held.items()]
    n_skipped = sum(one.n_skipped for one in report.sources)
    aside = [f"{n_skipped:,} parts of files were seen and not read"] if n_skipped else []
    aside += [f"{report.n_hidden:,} hidden files and folders were not looked at"] if report.n_hidden else []
    return [*lines, "", *aside, _ingest_summary(report)]


def _reasons(reasons: dict[str, int]) -> str:
    most = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{code} {n:,}" for code, n in most[:SHOWN_REASONS])
    return f"{shown}, …" if len(most) > SHOWN_REASONS else shown


def _ingest_summary(report: IngestReport) -> str:
    balance = report.balance
    files = f"{report.read:,} read, {report.unchanged:,} unchanged, {len(report.quarantined):,} quarantined"
    written = "nothing was written" if report.dry_run else f"{balance.distinct_pairs:,} distinct pairs in the corpus"
    held = f" + {balance.n_held:,} quarantined" if balance.n_held else ""
    return (
        f"{report.seen:,} files: {files}; {balance.made:,} pairs made = {balance.kept:,} kept + "
        f"{balance.rejected:,} rejected{held}; {written}"
    )


def _preview_lines(previews: Sequence[PreviewPair]) -> list[str]:
    lines: list[str] = []
    for pair in previews:
        lines += ["", f"--- {pair.kind} · {pair.split} · {pair.condition} · declared by {pair.declared_by}"]
        lines += [*pair.instruction.splitlines(), f"=> {pair.response}"]
        lines += [f"   stands in {path}, {place}: {_one_line(text)}" for path, place, text in pair.evidence]
    return lines


def _one_line(text: str, *, most: int = 160) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"


def freeze_lines(report: FreezeReport) -> list[str]:
    """Roots, counts, tokenizer, place."""
    manifest = report.manifest
    rows = [
        (split, count.pairs, count.instruction_tokens + count.response_tokens,
         getattr(manifest.content_roots, split), getattr(manifest.roots, split))
        for split, count in manifest.splits.items()
    ]  # fmt: skip
    lines = table(["split", "pairs", "tokens", "content root", "salted root"], rows)
    lines += ["", f"content_root  {manifest.content_root}"]
    lines += [f"tokenizer     {manifest.tokenizer.sha256} ({manifest.tokenizer.vocab_size:,} entries)"]
    lines += [f"label         {manifest.label}", f"lineage       {manifest.lineage}"]
    lines += [f"left out      {manifest.left_out:,} pairs above --max-label"] if manifest.left_out else []
    lines += review_facts(manifest)
    lines += [f"signed by     {report.signed_by}"] if report.signed_by else []
    return [*lines, f"manifest      {here(report.folder)}" + (" (unchanged)" if report.unchanged else "")]


def train_lines(report: TrainReport) -> list[str]:
    """Loss, dev scores, rate, place."""
    result = report.result
    lines = [
        f"steps         {result.steps:,} ({result.tokens_per_s:,.0f} tokens/s)",
        f"loss          {result.loss:.4f}",
    ]
    if result.dev is not None:
        exact = "" if result.dev.exact is None else f", exact {result.dev.exact:.1%} of {result.dev.n_pairs}"
        lines.append(f"dev           loss {result.dev.loss:.4f}{exact}")
    lines += [f"weights       {result.ema_sha256} (averaged)"]
    return [*lines, f"run           {here(report.folder)}" + (" (finished before)" if report.unchanged else "")]


def package_lines(report: PackageReport) -> list[str]:
    """Root, files, place."""
    manifest = report.manifest
    return [
        f"content_root  {manifest.content_root}",
        f"weights       {manifest.weights_sha256} ({manifest.dtype})",
        f"files         {len(manifest.files) + 1 + bool(report.signed_by)}",
        f"signed by     {report.signed_by or 'nobody (--key signs)'}",
        f"package       {here(report.folder)}",
    ]


def verify_lines(report: VerifyReport) -> list[str]:
    """One line a check, then the verdict."""
    lines = [f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.detail}" for check in report.checks]
    n_failed = sum(not check.ok for check in report.checks)
    verdict = "verify: ok" if report.ok else f"verify: {n_failed} of {len(report.checks)} checks failed"
    answers = {True: "yes", False: "no", None: "not asked (--trust asks)"}
    lines += ["", f"intact        {answers[report.intact]}", f"authentic     {answers[report.authentic]}"]
    return [*lines, verdict]


_STAGE_LINES: dict[str, Callable[[Any], list[str]]] = {
    "ingest": ingest_lines,
    "freeze": freeze_lines,
    "train": train_lines,
    "package": package_lines,
    "verify": verify_lines,
}


def build_lines(report: BuildReport) -> list[str]:
    """Each stage under its own heading, as its own command prints it."""
    lines: list[str] = []
    for stage in report.stages:
        own = _STAGE_LINES[stage.name](stage.report) if stage.report else [f"{stage.detail}"]
        lines += [*([""] if lines else []), f"== {stage.name}", *own]
    return lines


def here(path: Path) -> str:
    """The path as seen from where the user stands, when it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
