"""How long work reports itself: stages with counts. The command line renders it on stderr; the library never prints."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives what happens; rate and time left are the receiver's business."""

    def stage(self, name: str, *, total: int | None, unit: str) -> None:
        """A stage begins: `total` units are expected, None where nobody knows."""
        ...

    def advance(self, n: int = 1, *, note: str = "", left_s: float | None = None, before: bool = False) -> None:
        """`n` more units are done; `note` is shown beside the rate (`loss 0.41 k 5`).

        Args:
            left_s: time left, where the caller knows it better than the rate tells.
            before: they were done by an earlier process, so they say nothing of the rate.
        """
        ...

    def message(self, text: str) -> None:
        """One line that stays: a choice that was made, a warning."""
        ...


class SilentProgress:
    """Keeps the messages and shows nothing: for libraries and tests."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def stage(self, name: str, *, total: int | None, unit: str) -> None:
        """Nothing to show."""

    def advance(self, n: int = 1, *, note: str = "", left_s: float | None = None, before: bool = False) -> None:
        """Nothing to show."""

    def message(self, text: str) -> None:
        """Keep the line."""
        self.messages.append(text)


def duration(seconds: float) -> str:
    """`3.2 s`, `4 min 05 s`, `2 h 07 min`, `3 d 04 h`."""
    whole = round(seconds)
    if whole >= 48 * 3600:
        return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{seconds:.1f} s"
