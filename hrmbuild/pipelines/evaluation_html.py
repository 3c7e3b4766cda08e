"""The report of a scoring as one HTML file that needs nothing beside it: no script, no font, no picture from elsewhere.

Owns what stands in it and in which order. Every figure comes from the report; the only texts of questions and answers
are its examples, which are of no higher label than was asked for. It must not measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from hrmbuild.assets import asset_folder
from hrmbuild.errors import UsageError
from hrmbuild.evaluation.charts import Mark, Row, interval_chart, legend_mark
from hrmbuild.evaluation.intervals import Estimate, wilson_interval
from hrmbuild.evaluation.tallies import HEADINGS, MODEL, Slice, Tally
from hrmbuild.files import write_atomic
from hrmbuild.pipelines.evaluation_report import EvaluationReport

TEMPLATE = "eval_report/report.html.jinja"
"""No `.j2`: what ends so compiles pairs, and a change to it makes corpora stale."""
WORST_KINDS = 12
_TITLES = {
    "axis": ("By what was held out", "cell: new facts; variant: thresholds never trained; wording: new wording; "
             "document: rule sets and documents never trained on."),
    "new": ("Questions about rules", "By what was new about them."),
    "rules": ("Kinds of question about rules", "Each kind of question with what was new about it."),
    "boundary": ("At thresholds", "Cases at, just below or just above a threshold, and all others."),
    "type": ("By type of answer", "How an answer is compared: see the method below."),
    "stratum": ("By stratum of the corpus", "Where the questions come from."),
}  # fmt: skip


def check_target(path: Path) -> None:
    """Refuse a place where no report can be written, before an hour of scoring.

    Raises:
        UsageError: `eval.report_place`.
    """
    if path.is_dir() or not path.resolve().parent.is_dir():
        what = "this is a folder" if path.is_dir() else "there is no such folder"
        raise UsageError("eval.report_place", what, where=str(path), fix="name an .html file in a folder that exists")


def write_report(report: EvaluationReport, path: Path) -> Path:
    """Write the page and return its path."""
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": _percent, "interval": _interval, "flops": _flops}
    template = environment.from_string((asset_folder("templates") / TEMPLATE).read_text("utf-8"))
    write_atomic(path, template.render(_values(report)).encode("utf-8"))
    return path


def _values(report: EvaluationReport) -> dict[str, Any]:
    names = report.columns
    return {
        "report": report,
        "names": names,
        "overall": report.evaluation.overall.columns[MODEL],
        "f1": report.evaluation.overall.f1,
        "legend": [(name, Markup(legend_mark(number))) for number, name in enumerate(names)],
        "charts": [
            _chart(report, heading, names) for heading in HEADINGS if heading in _TITLES and _rows(report, heading)
        ],
        "overall_chart": _drawn("All questions", [report.evaluation.overall], names),
        "worst": _worst(report),
        "tables": [(heading, _rows(report, heading)) for heading in HEADINGS],
        "abstention": _abstention(report),
        "extraction": _extraction(report),
    }


def _rows(report: EvaluationReport, heading: str) -> list[Slice]:
    return [row for row in report.slices if row.heading == heading]


def _chart(report: EvaluationReport, heading: str, names: Sequence[str]) -> dict[str, Any]:
    title, words = _TITLES[heading]
    return {"title": title, "words": words, "svg": _drawn(title, _rows(report, heading), names)}


def _drawn(title: str, rows: Sequence[Slice], names: Sequence[str]) -> Markup:
    return Markup(interval_chart([_row(row, names) for row in rows], title=title, series=names))


def _row(row: Slice, names: Sequence[str]) -> Row:
    model = row.columns[MODEL]
    marks = [
        Mark(number, row.columns[name].exact, *row.columns[name].interval)
        for number, name in enumerate(names)
        if name in row.columns
    ]
    return Row(row.name if row.heading != "all" else "all questions", _counted(model), tuple(marks))


def _counted(tally: Tally) -> str:
    clusters = tally.n if tally.n_clusters is None else tally.n_clusters
    apart = "" if clusters == tally.n else f" in {clusters:,} cluster{'s' if clusters != 1 else ''}"
    return f"{tally.n:,} question{'s' if tally.n != 1 else ''}{apart}"


def _worst(report: EvaluationReport) -> Markup:
    kinds = sorted(_rows(report, "kind"), key=lambda row: (row.columns[MODEL].exact, row.name))
    return _drawn("Worst kinds of question", kinds[:WORST_KINDS], report.columns)


def _abstention(report: EvaluationReport) -> dict[str, Any] | None:
    counts = report.evaluation.abstention
    if not counts.n_absent:
        return None
    rows = [
        _counted_row("declined where it should", counts.declined, counts.n_absent),
        _counted_row("declined where it should not", counts.declined_wrongly, counts.n_answerable),
    ]
    return {"counts": counts, "svg": Markup(interval_chart(rows, title="Declining", series=[MODEL]))}


def _counted_row(label: str, n_hit: int, n: int) -> Row:
    share = n_hit / n if n else 0.0
    return Row(label, f"{n_hit:,} of {n:,} questions", (Mark(0, share, *wilson_interval(n_hit, n)),))


def _extraction(report: EvaluationReport) -> dict[str, Any] | None:
    found = report.extraction
    if found is None:
        return None
    rows = [
        Row(f"{label or 'all labels'}: {side}", f"{estimate.n} spans in {estimate.n_clusters} clusters",
            (Mark(number, estimate.mean, estimate.low, estimate.high),))
        for label, one in found.spans.items()
        for number, (side, estimate) in enumerate((("trained", one.trained), ("never trained", one.untrained)))
        if estimate.n
    ]  # fmt: skip
    names = ["trained", "never trained"]
    return {
        "svg": Markup(interval_chart(rows, title="Spans continued word for word", series=names)) if rows else None,
        "spans": [(label or "all labels", one) for label, one in found.spans.items()],
        "canaries": [(label or "all labels", one) for label, one in found.canaries.items()],
    }


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _interval(found: Tally | Estimate) -> str:
    low, high = found.interval
    return f"{100 * low:.0f}–{100 * high:.0f}"


def _flops(value: float | None) -> str:
    return "not recorded" if value is None else f"{value:.2e}"
