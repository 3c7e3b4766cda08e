"""Pairs that several files look at and that take seconds to compile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from text_support import compile_example, pairs_of

from hrmbuild.records.pair import CompiledPair


def write_table_pairs(folder: Path) -> None:
    """Every pair of the example tables, one on a line."""
    folder.mkdir()
    lines = [pair.model_dump_json() for pair in pairs_of(compile_example("tables", "tables"))]
    (folder / "pairs.jsonl").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture(scope="session")
def example_table_pairs(make_once: Callable[..., Path]) -> list[CompiledPair]:
    text = (make_once("table_pairs", write_table_pairs) / "pairs.jsonl").read_text(encoding="utf-8")
    return [CompiledPair.model_validate_json(line) for line in text.split("\n")]
