"""Scores as lines for a person: the table with intervals, demands, extraction, cost, questions to read.

Owns wording and layout. It must not compute: every number stands in the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hrmbuild.cli.output import table
from hrmbuild.cli.render import here

if TYPE_CHECKING:
    from hrmbuild.evaluation.examples import Example
    from hrmbuild.evaluation.extraction import Extraction
    from hrmbuild.evaluation.intervals import Estimate
    from hrmbuild.evaluation.tallies import Slice, Tally
    from hrmbuild.pipelines.evaluation_report import EvaluationReport, ModelCost

_HIDDEN = ("kind", "type", "new")
"""Rows that are shown only where they were asked for."""


def evaluation_lines(report: EvaluationReport, *, kinds: bool) -> list[str]:
    """The table of scores with 95 % intervals, then what stands beside it, then questions to read."""
    names = report.columns
    rows = [_slice_row(one, names) for one in report.slices if kinds or one.heading not in _HIDDEN]
    asked = report.evaluation.overall.columns[names[0]].n
    what = "questions" if report.questions_sha256 else "held-out pairs"
    lines = [f"{report.split}: {asked:,} of {report.n_held_out:,} {what} asked; exact answers in percent, "
             f"with 95 % intervals over clusters", ""]  # fmt: skip
    lines += table(["held out by", "", "n", "clusters", *names], rows)
    lines += ["", *_losses(report), *_declining(report), *_facts(report)]
    if report.extraction is not None:
        lines += ["", *_extraction_lines(report.extraction)]
    if len(report.models) > 1:
        lines += ["", *_cost_lines(report.models)]
    lines += [line for number, one in enumerate(report.examples, 1) for line in _example_lines(number, one)]
    lines += ["", *(f"note: {note}" for note in report.notes), _looks(report)]
    if report.verdicts:
        lines += ["", *_verdict_lines(report)]
    return lines if report.written is None else [*lines, f"report  {here(report.written)}"]


def _looks(report: EvaluationReport) -> str:
    times = "once" if report.n_scorings == 1 else f"{report.n_scorings} times"
    if report.questions_sha256:
        return f"this file (sha256 {report.questions_sha256[:12]}…) has been scored {times} in this project"
    return f"{report.split} of this corpus has been scored {times} in this project"


def _losses(report: EvaluationReport) -> list[str]:
    if not report.losses:
        return ["no column is ahead of the model beyond the interval of their difference"]
    return ["ahead of the model:", *(f"  {one}" for one in report.losses)]


def _declining(report: EvaluationReport) -> list[str]:
    counts = report.evaluation.abstention
    if not counts.n_absent:
        return []
    return [f"declined: {counts.declined} of the {counts.n_absent} questions that nothing shown answers, "
            f"{counts.declined_wrongly} of the {counts.n_answerable:,} others"]  # fmt: skip


def _facts(report: EvaluationReport) -> list[str]:
    found = report.facts
    if found is None:
        return []
    reasons = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in found.failures.items() if n)
    told = f": {reasons}; they count as wrong" if reasons else ""
    return [f"facts asked of the model for {len(found.answers):,} cases, {found.n_failed} answers unusable{told}"]


def _extraction_lines(found: Extraction) -> list[str]:
    rows = [
        (label or "all labels", one.trained.n, _estimate(one.trained),
         _estimate(one.untrained) if one.untrained.n else "none", _estimate(one.excess))
        for label, one in found.spans.items()
    ]  # fmt: skip
    lines = ["spans continued word for word, in percent"]
    lines += table(["label", "n", "trained", "never trained", "above chance"], rows)
    if not found.canaries:
        return [*lines, "no canaries were planted in this corpus"]
    planted = [
        (label or "all labels", len(one.bits), f"{one.exposure.mean:.2f}", one.verbatim,
         f"{sum(one.control_bits) / len(one.control_bits):.2f}")
        for label, one in found.canaries.items()
    ]  # fmt: skip
    header = ["label", "canaries", "exposure, bits of 9", "said in full", "never-trained ones, bits"]
    return [*lines, "", *table(header, planted)]


def _cost_lines(models: Sequence[ModelCost]) -> list[str]:
    rows = [
        (one.name, one.what, one.parameters,
         "-" if one.training_flops is None else f"{one.training_flops:.2e}", f"{one.seconds_per_1000:.1f}",
         "-" if one.usd_per_1000 is None else f"{one.usd_per_1000:.4f}", one.too_long)
        for one in models
    ]  # fmt: skip
    header = ["model", "what", "parameters", "training FLOPs", "s per 1,000", "$ per 1,000", "too long"]
    return table(header, rows)


def _verdict_lines(report: EvaluationReport) -> list[str]:
    lines = [
        f"{'ok  ' if one.holds else 'NO  '}  {one.clause}: "
        + ("not measured" if one.figure is None else f"{one.figure:.4g}")
        for one in report.verdicts
    ]
    failed = sum(not one.holds for one in report.verdicts)
    return [*lines, f"require: {'holds' if report.holds else f'{failed} of {len(report.verdicts)} do not hold'}"]


def _slice_row(one: Slice, names: Sequence[str]) -> tuple[object, ...]:
    most = max(tally.n for tally in one.columns.values())
    clusters = max(tally.n if tally.n_clusters is None else tally.n_clusters for tally in one.columns.values())
    return (one.heading, one.name, most, clusters, *(_share(one.columns.get(name), of=most) for name in names))


def _share(tally: Tally | None, *, of: int) -> str:
    """A column that applies to fewer pairs than its neighbours says to how many: the two are no like for like."""
    if tally is None:
        return "-"
    low, high = tally.interval
    fewer = "" if tally.n == of else f" of {tally.n:,}"
    return f"{100 * tally.exact:5.1f} [{100 * low:.0f}-{100 * high:.0f}]{fewer}"


def _estimate(one: Estimate) -> str:
    return f"{100 * one.mean:5.1f} [{100 * one.low:.0f}-{100 * one.high:.0f}]"


def _example_lines(number: int, one: Example) -> list[str]:
    mark = "as expected" if one.exact else "not as expected"
    return ["", f"question {number} ({one.kind}, held out by {one.axis})", *one.instruction.splitlines(),
            f"  answer:   {one.response}", f"  expected: {one.expected}", f"  {mark}"]  # fmt: skip
