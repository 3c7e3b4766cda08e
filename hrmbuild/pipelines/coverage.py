"""What a run will see of its corpus, before the first step: by stratum and by source file.

Owns the count. It must not decide anything. A run ends where its steps end: whole epochs are counted by what they show,
the last one by the steps of its plan that the run still does (epochs may differ by a step, which is not looked at).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hrmbuild.pipelines.train_mix import source_stock
from hrmbuild.records.manifest import Manifest
from hrmbuild.records.run import RunConfig, RunMix
from hrmbuild.tokens.batch import Int64s
from hrmbuild.tokens.files import TokenData
from hrmbuild.tokens.mix import MILLION, Repeats, repeats_in
from hrmbuild.training.feed import run_plan, trained_slots

_SHOWN_SOURCES = 12


@dataclass(frozen=True)
class Covered:
    """One stratum or file; pairs over the context are not among its pairs."""

    name: str
    pairs: int
    tokens: int
    """Slots that its pairs fill, each once."""
    epoch_pairs: int
    """Showings in the first epoch."""
    epoch_share: float
    """Of the first epoch's slots."""
    seen: float
    """How often the run shows a pair, in the mean."""
    least: int
    most: int
    never: int
    """Pairs that the run does not show."""


@dataclass(frozen=True)
class Coverage:
    """Of a whole run."""

    epochs: float
    strata: tuple[Covered, ...]
    """By name."""
    sources: tuple[Covered, ...]
    """Files with a pair, by path."""
    scaled: str | None = None
    """In words: which stratum decides how long an epoch is, and how much of the others it shows."""

    def as_dict(self) -> dict[str, Any]:
        """`coverage` of `train --json`: rows by name."""
        rows = {"strata": self.strata, "sources": self.sources}
        return {
            "epochs": round(self.epochs, 3),
            **{
                key: {one.name: {k: v for k, v in asdict(one).items() if k != "name"} for one in found}
                for key, found in rows.items()
            },
        }

    def lines(self) -> list[str]:
        """The table, for a person: every stratum, and the files that are worth a look."""
        shown = sorted(self.sources, key=lambda one: (-one.never, -one.tokens, one.name))[:_SHOWN_SOURCES]
        rows = [("stratum", one) for one in self.strata] + [("file", one) for one in shown if len(self.sources) > 1]
        width = max(len(one.name) for _, one in rows)
        told = [f"{'coverage':<9}{'':<{width}}  {'pairs':>11} {'tokens':>13} {'epoch':>6}  seen (least-most)  never"]
        told += [
            f"{what:<9}{one.name:<{width}}  {one.pairs:>11,} {one.tokens:>13,} {one.epoch_share:>6.1%}  "
            f"{one.seen:>5.2f} {f'({one.least}-{one.most})':<12} {one.never:>6,}"
            for what, one in rows
        ]
        more = len(self.sources) - len(shown)
        told += [f"and {more:,} more files"] if more else []
        return [*told, f"over {self.epochs:.2f} epochs", *([self.scaled] if self.scaled else [])]


def coverage_of(manifest: Manifest, data: TokenData, config: RunConfig, *, repeats: Repeats) -> Coverage:
    """Count."""
    slots = trained_slots(data.splits["train"], config.model.context_tokens)
    first = run_plan(config, slots, repeats=repeats, epoch=0)
    stock = source_stock(manifest, data, slots)
    shown = np.bincount(first.pairs, minlength=len(slots)).astype(np.int64)
    seen = _seen(config, slots, repeats, n_steps=first.n_steps)
    paths = {source.sha256: source.path for source in manifest.trained_sources}
    names = sorted(set(stock.strata))
    of_source = data.splits["train"].source_numbers.astype(np.int64)
    of_stratum = np.array([names.index(name) for name in stock.strata], dtype=np.int64)[of_source]
    return Coverage(
        epochs=config.steps / first.n_steps,
        strata=_rows(names, of_stratum, slots, shown, seen),
        sources=_rows([paths[sha256] for sha256 in data.files.sources], of_source, slots, shown, seen),
        scaled=None if config.mix is None else _scaled(config.mix),
    )


def _scaled(mix: RunMix) -> str | None:
    """None where every stratum is shown whole."""
    shown = {name: one.shown_millionths for name, one in mix.strata.items()}
    if min(shown.values()) == MILLION:
        return None
    whole = [name for name, share in shown.items() if share == MILLION]
    parts = ", ".join(f"{share / MILLION:.2%} of {name}" for name, share in shown.items() if share < MILLION)
    told = f"{', '.join(whole)} is scarcest for its weight and decides its length: " if whole else ""
    return f"{told}an epoch shows {parts}"


def _seen(config: RunConfig, slots: Int64s, repeats: Repeats, *, n_steps: int) -> Int64s:
    """[n_pairs] how often the run shows each pair."""
    whole, rest = divmod(config.steps, n_steps)
    seen = np.zeros(len(slots), dtype=np.int64)
    for epoch in range(whole):
        drawn = repeats_in(repeats, epoch)
        seen += (slots > 0) if drawn is None else np.where(slots > 0, drawn, 0)
    if rest:
        last = run_plan(config, slots, repeats=repeats, epoch=whole)
        end = last.bin_ends[min(rest, last.n_steps) * config.bins]
        seen += np.bincount(last.pairs[:end], minlength=len(slots))
    return seen


def _rows(names: Sequence[str], of_pair: Int64s, slots: Int64s, shown: Int64s, seen: Int64s) -> tuple[Covered, ...]:
    """One row for each name with a pair, by name."""
    total = max(1, int((slots * shown).sum()))
    order = np.argsort(of_pair, kind="stable")
    ends = np.cumsum(np.bincount(of_pair, minlength=len(names)))
    found: list[Covered] = []
    for number, name in enumerate(names):
        own = order[ends[number - 1] if number else 0 : ends[number]]
        own = own[slots[own] > 0]
        if len(own):
            found.append(_covered(name, slots[own], shown[own], seen[own], total=total))
    return tuple(sorted(found, key=lambda one: one.name))


def _covered(name: str, slots: Int64s, shown: Int64s, seen: Int64s, *, total: int) -> Covered:
    return Covered(
        name=name,
        pairs=len(slots),
        tokens=int(slots.sum()),
        epoch_pairs=int(shown.sum()),
        epoch_share=round(int((slots * shown).sum()) / total, 6),
        seen=round(float(seen.mean()), 4),
        least=int(seen.min()),
        most=int(seen.max()),
        never=int((seen == 0).sum()),
    )
