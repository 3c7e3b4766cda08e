"""The plots of a run's page: which curves, how thinned, and the same numbers as a table.

Owns the choice of plots. It must not write a file. A curve of more steps than `history.MOST_BUCKETS` is drawn by
buckets of consecutive steps: their mean as the line, their least and greatest value as a band, so no spike disappears.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hrmbuild.pipelines.report_svg import Figure, Line, draw, short
from hrmbuild.training.history import Curve, Evaluated, History

TABLE_ROWS = 24
"""Rows of the table beside a plot: every so many points, the first and the last one included."""
MOST_DOTS = 60
"""Evaluations drawn with a dot and a tooltip each; beyond, the line alone is drawn."""


@dataclass(frozen=True)
class Plot:
    """One figure of the page."""

    title: str
    svg: str
    series: tuple[dict[str, str], ...]
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def plots(history: History) -> list[Plot]:
    """All plots that have something to show; none before the first step."""
    return list(_plots(history)) if len(history) else []


def thinning(history: History) -> str:
    """How much the curves leave out, in words."""
    curve = history.curve("step")
    if curve is None or curve.steps_a_point == 1:
        return f"Every one of the {len(history):,} steps is drawn."
    return (
        f"{len(history):,} steps are drawn as {len(curve.steps):,} points: each is the mean of up to "
        f"{curve.steps_a_point:,} consecutive steps, the band reaches from their least to their greatest value. "
        "metrics.jsonl has every step."
    )


def _plots(history: History) -> Iterator[Plot]:
    yield _loss(history)
    exact = [one for one in history.evaluations if one.dev.exact is not None]
    if exact:
        yield _exact(exact)
    for name, title, unit, from_zero in (
        ("tokens_per_s", "Tokens per second", "tokens/s", True),
        ("grad_norm", "Norm of the gradient", "norm", True),
        ("lr", "Learning rate", "rate", True),
        ("k", "k, the recorded applications of a stack", "k", True),
        ("memory_mib", "Memory in use (MiB)", "MiB", True),
    ):
        curve = history.curve(name)
        if curve is not None:
            yield _single(name, title, unit, curve, from_zero=from_zero)


def _loss(history: History) -> Plot:
    curve, found = history.curve("loss"), history.evaluations
    assert curve is not None  # a step has a loss
    lines = [_line("training", curve, "a")]
    if found:
        steps, losses = [one.step for one in found], [one.dev.loss for one in found]
        lines.append(Line("held out", steps, losses, "b", dots=len(found) <= MOST_DOTS))
    told = f"; held out {found[-1].dev.loss:.4g} at step {found[-1].step:,}" if found else ""
    figure = Figure(
        "loss",
        "Loss in nats a response token",
        f"Training loss from {curve.mean[0]:.4g} to {curve.mean[-1]:.4g} over {curve.steps[-1]:,.0f} steps{told}.",
        tuple(lines),
        from_zero=True,
    )
    rows = _curve_rows(curve) + [(f"{one.step:,} held out", f"{one.dev.loss:.4f}", "", "") for one in _some(found)]
    return _plot(figure, rows, head=("step", "mean", "least", "greatest"))


def _exact(found: Sequence[Evaluated]) -> Plot:
    shares = [one.dev.exact or 0.0 for one in found]
    line = Line("exact", [one.step for one in found], shares, "b", dots=len(found) <= MOST_DOTS)
    figure = Figure(
        "exact",
        "Held-out answers that are exactly right",
        f"From {shares[0]:.1%} at step {found[0].step:,} to {shares[-1]:.1%} at step {found[-1].step:,}.",
        (line,),
        from_zero=True,
        top=1.0,
        percent=True,
    )
    rows = [(f"{one.step:,}", f"{one.dev.exact or 0:.1%}", f"{one.dev.n_pairs or 0:,}") for one in _some(found)]
    return _plot(figure, rows, head=("step", "exact", "asked"))


def _single(name: str, title: str, unit: str, curve: Curve, *, from_zero: bool) -> Plot:
    figure = Figure(
        name,
        title,
        f"From {short(curve.mean[0])} to {short(curve.mean[-1])}, "
        f"between {short(min(curve.low))} and {short(max(curve.high))}.",
        (_line(unit, curve, "a"),),
        from_zero=from_zero,
    )
    return _plot(figure, _curve_rows(curve), head=("step", "mean", "least", "greatest"))


def _line(name: str, curve: Curve, css: str) -> Line:
    band = curve.steps_a_point > 1
    return Line(name, curve.steps, curve.mean, css, low=curve.low if band else (), high=curve.high if band else ())


def _curve_rows(curve: Curve) -> list[tuple[str, ...]]:
    points = list(zip(curve.steps, curve.mean, curve.low, curve.high, strict=True))
    return [(f"{step:,.0f}", *(f"{value:.4g}" for value in values)) for step, *values in _some(points)]


def _some(points: Sequence[Any]) -> list[Any]:
    """At most `TABLE_ROWS` of them, evenly, with the first and the last."""
    if len(points) <= TABLE_ROWS:
        return list(points)
    last = len(points) - 1
    return [points[round(n * last / (TABLE_ROWS - 1))] for n in range(TABLE_ROWS)]


def _plot(figure: Figure, rows: Sequence[tuple[str, ...]], *, head: tuple[str, ...]) -> Plot:
    series = tuple({"name": line.name, "css": line.css} for line in figure.lines)
    return Plot(figure.title, draw(figure), series, figure.describes, head, tuple(rows))
