"""Inline SVG for the report: shares with their intervals, on one scale from 0 to 100 %.

Owns drawing. Colours are classes of the page's style sheet, so that light, dark and print differ there only; each
series has a shape of its own, so that nothing hangs on colour; each picture has a title and a description for who
cannot see it, and the page has its numbers as a table. It must not know pairs, and it must not format numbers twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_LABEL_WIDTH, _PLOT_WIDTH, _RIGHT_WIDTH = 250, 440, 150
_WIDTH = _LABEL_WIDTH + _PLOT_WIDTH + _RIGHT_WIDTH
_ROW, _TOP, _BOTTOM = 38, 22, 10
_LETTERS = 40
SHAPES = ("circle", "square", "triangle", "diamond", "plus", "ring", "cross", "bar", "down", "hollow")
"""By series, the model first; beyond, they repeat."""


@dataclass(frozen=True)
class Mark:
    """One share of one series."""

    series: int
    """Number of the series: decides shape and colour."""
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One line of a chart."""

    label: str
    detail: str
    """Small print under the label: `89 questions, 89 clusters`."""
    marks: tuple[Mark, ...]
    """The first is drawn with its interval, the others as bare marks below it."""


def interval_chart(rows: Sequence[Row], *, title: str, series: Sequence[str]) -> str:
    """A chart of rows; each first mark with its interval and its figures at the right."""
    height = _TOP + _ROW * len(rows) + _BOTTOM
    told = "; ".join(f"{row.label}: {_told(row, series)}" for row in rows)
    lines = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title, quote=True)}">',
        f"<title>{escape(title)}</title><desc>{escape(told)}</desc>",
        *_grid(height),
    ]
    for number, row in enumerate(rows):
        lines += _row(row, _TOP + number * _ROW)
    return "\n".join([*lines, "</svg>"])


def shape(series: int, x: float, y: float) -> str:
    """The mark of a series, centred."""
    name, css = SHAPES[series % len(SHAPES)], f"s{series % len(SHAPES)}"
    match name:
        case "circle":
            return f'<circle class="{css} fill" cx="{x:.1f}" cy="{y:.1f}" r="5.5"/>'
        case "ring" | "hollow":
            radius = 4 if name == "ring" else 5.5
            return f'<circle class="{css} line" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>'
        case _:
            fill = "line" if name in ("plus", "cross", "bar") else "fill"
            return f'<path class="{css} {fill}" d="{_PATHS[name].format(x=x, y=y)}"/>'


_PATHS = {
    "square": "M{x:.1f} {y:.1f}m-4 -4h8v8h-8z",
    "triangle": "M{x:.1f} {y:.1f}m0 -5l5 9h-10z",
    "diamond": "M{x:.1f} {y:.1f}m0 -5.5l5 5.5l-5 5.5l-5 -5.5z",
    "down": "M{x:.1f} {y:.1f}m0 5l5 -9h-10z",
    "plus": "M{x:.1f} {y:.1f}m-5 0h10m-5 -5v10",
    "cross": "M{x:.1f} {y:.1f}m-4 -4l8 8m0 -8l-8 8",
    "bar": "M{x:.1f} {y:.1f}m0 -6v12",
}


def _told(row: Row, series: Sequence[str]) -> str:
    return ", ".join(f"{series[mark.series]} {100 * mark.share:.1f} percent" for mark in row.marks)


def _x(share: float) -> float:
    return _LABEL_WIDTH + _PLOT_WIDTH * share


def _grid(height: int) -> list[str]:
    lines: list[str] = []
    for tenth in range(0, 11, 2):
        x = _x(tenth / 10)
        lines.append(f'<line class="grid" x1="{x:.1f}" y1="{_TOP - 6}" x2="{x:.1f}" y2="{height - _BOTTOM}"/>')
        lines.append(f'<text class="tick" x="{x:.1f}" y="{_TOP - 10}" text-anchor="middle">{tenth * 10}</text>')
    return lines


def _row(row: Row, top: float) -> list[str]:
    label = row.label if len(row.label) <= _LETTERS else row.label[: _LETTERS - 1] + "…"
    lines = [
        f'<g><title>{escape(row.label)}</title><text class="label" x="0" y="{top + 14:.1f}">{escape(label)}</text></g>',
        f'<text class="small" x="0" y="{top + 28:.1f}">{escape(row.detail)}</text>',
    ]
    if not row.marks:
        return lines
    first, others = row.marks[0], row.marks[1:]
    y = top + 11
    css = f"s{first.series % len(SHAPES)}"
    lines.append(
        f'<line class="{css} line interval" x1="{_x(first.low):.1f}" y1="{y}" x2="{_x(first.high):.1f}" y2="{y}"/>'
    )
    lines.append(shape(first.series, _x(first.share), y))
    figures = f"{100 * first.share:.1f} % [{100 * first.low:.0f}–{100 * first.high:.0f}]"
    lines.append(f'<text class="figure" x="{_WIDTH}" y="{y + 4:.1f}" text-anchor="end">{figures}</text>')
    lines += [shape(mark.series, _x(mark.share), top + 27) for mark in others]
    return lines


def legend_mark(series: int) -> str:
    """A small picture of a series' mark for the legend; the name stands beside it, so it says nothing itself."""
    return f'<svg class="key" viewBox="0 0 16 16" aria-hidden="true">{shape(series, 8, 8)}</svg>'
