"""Entries of the ledger as they are read: a use of the machine, from its lines, and what follows from it.

Owns GPU-hours, dollars, energy, share of the peak, and the sums. It must not read or write a file: `ledger` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hrmbuild.records.ledger import Began, Closed, Opened

ENERGY_METHOD = (
    "power limit of the board x hours x devices: an upper bound; cooling and the rest of the machine left out"
)
NO_ENERGY = "not known: set hardware.power_w"


@dataclass(frozen=True)
class LedgerEntry:
    """One use of the machine."""

    opened: Opened
    began: Began | None
    closed: Closed | None
    """None while it runs."""

    @property
    def outcome(self) -> str:
        """finished, interrupted, failed, killed, or running."""
        return self.closed.outcome if self.closed else "running"

    @property
    def gpu_hours(self) -> float:
        """Hours of all devices together (of the machine, where it has none)."""
        return self.opened.devices * self.closed.seconds / 3600 if self.closed else 0.0

    @property
    def usd(self) -> float | None:
        """By the price that stood when it was opened; None: no price is known."""
        price = self.opened.usd_per_hour
        return None if price is None else price * self.gpu_hours

    @property
    def energy_kwh(self) -> float | None:
        """By `ENERGY_METHOD`; None: no power is known."""
        power = self.opened.power_w
        return None if power is None else power * self.gpu_hours / 1000

    @property
    def flops_per_s(self) -> float | None:
        """Of one device inside steps; None where nothing was trained."""
        closed = self.closed
        if closed is None or not closed.flops or not closed.step_seconds:
            return None
        return closed.flops / closed.step_seconds / self.opened.devices

    @property
    def mfu(self) -> float | None:
        """Share of the matrix peak inside steps; None where the peak is unknown or nothing was trained."""
        rate, peak = self.flops_per_s, self.opened.peak_tflops
        return None if rate is None or peak is None else rate / peak / 1e12

    def as_dict(self) -> dict[str, Any]:
        """As `ledger --json` shows it."""
        opened = self.opened.model_dump(mode="json", exclude={"format", "event"})
        closed = self.closed.model_dump(mode="json", exclude={"event", "id", "at"}) if self.closed else {}
        rate = self.flops_per_s
        return {
            **opened,
            "first_step": self.began.step if self.began else None,
            "ended_at": self.closed.at if self.closed else None,
            "outcome": self.outcome,
            **closed,
            "gpu_hours": round(self.gpu_hours, 6),
            "tflops_per_s": None if rate is None else round(rate / 1e12, 4),
            "mfu": None if self.mfu is None else round(self.mfu, 4),
            "usd": None if self.usd is None else round(self.usd, 4),
            "energy_kwh": None if self.energy_kwh is None else round(self.energy_kwh, 6),
            "energy_method": NO_ENERGY if self.energy_kwh is None else ENERGY_METHOD,
        }


@dataclass(frozen=True)
class LedgerReport:
    """All entries, the oldest first."""

    path: Path
    entries: tuple[LedgerEntry, ...]

    def as_dict(self) -> dict[str, Any]:
        """The keys of `ledger --json`."""
        return {
            "ledger": str(self.path),
            "entries": [entry.as_dict() for entry in self.entries],
            "total": totals(self.entries),
        }


def totals(entries: Sequence[LedgerEntry]) -> dict[str, Any]:
    """Sums; dollars and energy are null where one of the entries has none, since a part is no bill."""
    usd, energy = [entry.usd for entry in entries], [entry.energy_kwh for entry in entries]
    return {
        "entries": len(entries),
        "seconds": round(sum(entry.closed.seconds for entry in entries if entry.closed), 3),
        "gpu_hours": round(sum(entry.gpu_hours for entry in entries), 6),
        "usd": None if not usd or None in usd else round(sum(x for x in usd if x is not None), 4),
        "energy_kwh": None if not energy or None in energy else round(sum(x for x in energy if x is not None), 6),
    }


def fold(lines: Iterator[dict[str, Any]]) -> list[LedgerEntry]:
    """Entries from lines, in the order in which they were opened; events of later versions are passed over."""
    found: dict[str, LedgerEntry] = {}
    for line in lines:
        event = line.get("event")
        if event == "opened":
            opened = Opened.model_validate(line)
            found[opened.id] = LedgerEntry(opened, None, None)
        elif event in ("began", "closed") and line["id"] in found:
            entry = found[line["id"]]
            new = Began.model_validate(line) if event == "began" else Closed.model_validate(line)
            found[line["id"]] = replace(entry, **{event: new})
    return list(found.values())
