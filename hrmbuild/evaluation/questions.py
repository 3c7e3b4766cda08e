"""Which held-out pairs are asked, and how: drawn by id, and once more with the shown text cut out.

Owns the draw and the cut. It must not answer or score.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hrmbuild.evaluation.baselines import is_as_written
from hrmbuild.fingerprint import draw_integer
from hrmbuild.records.pair import Pair


def pairs_of(rows: Iterable[Mapping[str, Any]]) -> list[Pair]:
    """Rows of format 1 as pairs."""
    return [Pair.model_validate(row) for row in rows]


def drawn_pairs(pairs: Sequence[Pair], *, n: int, seed: int, purpose: str = "evaluate") -> list[Pair]:
    """Up to `n` pairs, ordered by id: the groups in turn, so that a rare one is not lost in a common one.

    A group is an axis, a family of kinds (`rules`, `tables`, …), and whether a rule set is asked about as written.
    """
    groups: dict[tuple[str, str, bool], list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[pair.axis or "", pair.kind.partition(".")[0], is_as_written(pair)].append(pair)
    ranked = [
        (rank, group, pair)
        for group, members in groups.items()
        for rank, pair in enumerate(sorted(members, key=lambda one: (draw_integer(purpose, seed, one.id), one.id)))
    ]
    chosen = sorted(ranked, key=lambda item: item[:2])[:n]
    return sorted((pair for _, _, pair in chosen), key=lambda pair: pair.id)


def without_shown_text(pair: Pair) -> str | None:
    """The instruction with every supporting text cut out; None where none stands in it word for word."""
    instruction = pair.instruction
    for text in sorted({one.text for one in pair.occurrences if one.text.strip()}, key=lambda t: (-len(t), t)):
        instruction = instruction.replace(text, "")
    return instruction.strip() if instruction != pair.instruction else None
