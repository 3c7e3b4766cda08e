"""A curve as inline SVG, made by hand: axes at round numbers, a line, a band, dots; colours are the page's own.

Owns the drawing. It must not know what a curve means, load anything, or hold a text that is not escaped. Every figure
has a title and a description for those who do not see it; the page gives its numbers in a table besides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 560, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 14, 12, 34
_MOST_TICKS = 6


@dataclass(frozen=True)
class Line:
    """One series; all sequences are equally long."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    css: str
    """Class: `a` or `b`."""
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    """Where given, a band behind the line."""
    dots: bool = False


@dataclass(frozen=True)
class Axis:
    """Range and ticks of one direction."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """0 at the low end, 1 at the high end; what lies outside stays at the edge."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


@dataclass(frozen=True)
class Figure:
    """What is drawn."""

    key: str
    """Unique on the page: ids begin with it."""
    title: str
    describes: str
    """One sentence for those who do not see the curve."""
    lines: tuple[Line, ...]
    from_zero: bool = False
    top: float | None = None
    """Upper end of the axis, where it is known: 1 for a share."""
    percent: bool = False


def axis(low: float, high: float) -> Axis:
    """Round ticks that span the values: steps of 1, 2 or 5 times a power of ten."""
    if high <= low:
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad, high + pad
    rough = (high - low) / (_MOST_TICKS - 1)
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * n for n in ((1, 2, 2.5, 5, 10) if unit >= 10 else (1, 2, 5, 10)) if unit * n >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return Axis(first * step, last * step, tuple(n * step for n in range(first, last + 1)))


def draw(figure: Figure) -> str:
    """The `<svg>` element."""
    xs = [x for line in figure.lines for x in line.x]
    ys = [y for line in figure.lines for y in (*line.y, *line.low, *line.high)]
    across = _step_axis(max(xs))
    up = axis(0.0 if figure.from_zero else min(ys), figure.top or max(ys))
    place = _Place(across, up)
    parts = [_ticks(place, percent=figure.percent), *(_series(line, place) for line in figure.lines)]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{figure.key}-t {figure.key}-d">'
        f'<title id="{figure.key}-t">{escape(figure.title)}</title>'
        f'<desc id="{figure.key}-d">{escape(figure.describes)}</desc>' + "".join(parts) + "</svg>"
    )


def _step_axis(last: float) -> Axis:
    """Steps from 0 to exactly the last one: an axis that ends at a round number leaves a third of the width empty."""
    found = axis(0.0, max(1.0, last))
    return Axis(0.0, max(1.0, last), tuple(tick for tick in found.ticks if tick <= last and tick == int(tick)))


@dataclass(frozen=True)
class _Place:
    """From values to the view box."""

    across: Axis
    up: Axis

    def x(self, value: float) -> float:
        return _LEFT + self.across.share(value) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return _TOP + (1 - self.up.share(value)) * (HEIGHT - _TOP - _BOTTOM)

    def points(self, xs: Sequence[float], ys: Sequence[float]) -> list[str]:
        return [f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in zip(xs, ys, strict=True)]


def _ticks(place: _Place, *, percent: bool) -> str:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    parts = [f'<g aria-hidden="true"><path class="axis" d="M{_LEFT} {bottom}H{right}"/>']
    for value in place.up.ticks:
        y = place.y(value)
        label = f"{value:.0%}" if percent else short(value)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for value in place.across.ticks:
        x = place.x(value)
        anchor = "end" if x > right - 16 else "middle"
        parts.append(f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="{anchor}">{short(value)}</text>')
    parts.append(f'<text x="{right}" y="{HEIGHT - 3}" text-anchor="end">step</text></g>')
    return "".join(parts)


def _series(line: Line, place: _Place) -> str:
    points, band = place.points(line.x, line.y), ""
    if len(line.low) > 1:
        around = [*place.points(line.x, line.high), *reversed(place.points(line.x, line.low))]
        band = f'<path class="band {line.css}" d="M{"L".join(around)}Z"/>'
    drawn = f'<path class="line {line.css}" d="M{"L".join(points)}"/>' if len(points) > 1 else ""
    return band + drawn + (_dots(line, points) if line.dots or len(points) == 1 else "")


def _dots(line: Line, points: Sequence[str]) -> str:
    """With the numbers as a tooltip, as long as there are few."""
    parts: list[str] = []
    for point, x, y in zip(points, line.x, line.y, strict=True):
        cx, cy = point.split()
        told = escape(f"{line.name} at step {x:,.0f}: {y:.4g}")
        parts.append(f'<circle class="dot {line.css}" cx="{cx}" cy="{cy}" r="3.5"><title>{told}</title></circle>')
    return "".join(parts)


def short(value: float) -> str:
    """`0`, `0.25`, `0.0005`, `1,500`, `20k`, `3M`, `2e-05`."""
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.4g}M"
    if size >= 1e4:
        return f"{value / 1e3:.4g}k"
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if size >= 1e-4 or value == 0 else f"{value:.2g}"
