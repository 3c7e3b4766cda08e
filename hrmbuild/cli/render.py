"""Reports as lines for a person: the balance sheet, roots, checks and scores.

Owns wording and layout. It must not compute: every number stands in a report.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hrmbuild.cli.output import table
from hrmbuild.cli.render_ingest import ingest_lines
from hrmbuild.cli.render_review import review_facts

if TYPE_CHECKING:
    from hrmbuild.audit.checks import Check, VerifyReport
    from hrmbuild.pipelines.build import BuildReport
    from hrmbuild.pipelines.freeze import FreezeReport
    from hrmbuild.pipelines.package import PackageReport
    from hrmbuild.pipelines.train import TrainReport


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
    lines += [
        f"includes      {one.name} {one.content_root[:12]}…: {one.taken.pairs:,} of {one.splits['train']:,} train "
        f"pairs, {one.taken.instruction_tokens + one.taken.response_tokens:,} tokens; left out: "
        + (", ".join(f"{code} {n:,}" for code, n in one.left_out.items()) or "none")
        + (f"; {one.near:,} of them say nearly what an own pair says" if one.near else "")
        for one in manifest.includes or ()
    ]
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
    lines = [f"{_mark(check)}  {check.name}: {check.detail}" for check in report.checks]
    n_failed = sum(not check.ok for check in report.checks)
    verdict = "verify: ok" if report.ok else f"verify: {n_failed} of {len(report.checks)} checks failed"
    n_aside = len(report.not_looked_at)
    aside = f"; {n_aside} thing{'s were' if n_aside > 1 else ' was'} not looked at (--)" if n_aside else ""
    asked = any(check.about_who for check in report.checks)
    by = f" (by {here(Path(report.trust))})" if report.trust is not None and report.authentic is not None else ""
    answers = {True: "yes", False: "no", None: "not to be told" if asked else "not asked (--trust asks)"}
    lines += ["", f"intact        {answers[report.intact]}", f"authentic     {answers[report.authentic]}{by}"]
    return [*lines, verdict + aside]


def _mark(check: Check) -> str:
    """Nothing is called ok that was not looked at."""
    return "--  " if not check.looked_at else "ok  " if check.ok else "FAIL"


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
