"""The table of scores never sets shares of different questions side by side without saying so."""

from __future__ import annotations

from hrmbuild.cli.render_scores import _slice_row
from hrmbuild.evaluation.tallies import Slice, Tally


def test_a_column_of_fewer_pairs_says_of_how_many() -> None:
    row = _slice_row(Slice("all", "all", {"model": Tally(33, 4), "tree": Tally(7, 6)}), ["model", "tree", "nearest"])
    assert row == ("all", "all", 33, 33, " 12.1 [5-27]", " 85.7 [49-97] of 7", "-")
