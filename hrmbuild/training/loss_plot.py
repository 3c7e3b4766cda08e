"""`loss.svg`: training loss, held-out loss and exact match against tokens; the same numbers give the same bytes.

Owns the picture. It must not need a display, and carries no date.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from hrmbuild.files import write_atomic
from hrmbuild.training.history import History

MOST_POINTS = 2000
"""Points of the training curve: more are not visible, and would make the file large."""


def write_loss_plot(path: Path, history: History, *, title: str) -> None:
    """Draw the curves; nothing is drawn before the first step."""
    if not len(history):
        return
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "hrmbuild", "svg.fonttype": "none"}):
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.add_subplot(xlabel="step", ylabel="loss (nats a response token)", title=title)
        _draw(axes, history)
        buffer = io.StringIO()
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    write_atomic(path, buffer.getvalue().encode("utf-8"))


def _draw(axes: Any, history: History) -> None:
    every = max(1, len(history) // MOST_POINTS)
    steps, losses = history.column("step")[::every], history.column("loss")[::every]
    axes.plot(steps, losses, label="training", lw=0.8)
    found = history.evaluations
    axes.plot([one.step for one in found], [one.dev.loss for one in found], "o-", label="held out (EMA)", ms=3)
    exact = [(one.step, one.dev.exact) for one in found if one.dev.exact is not None]
    if exact:
        right = axes.twinx()
        right.plot([step for step, _ in exact], [share for _, share in exact], "s--", color="tab:green", ms=3)
        right.set(ylabel="exact match (green)", ylim=(0, 1))
    axes.set(ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(loc="upper center")
