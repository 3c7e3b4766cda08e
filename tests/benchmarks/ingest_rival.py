"""The same work with Hugging Face `datasets`, as somebody who knows it writes it.

Batched, two processes, ids by hashlib, validation by pydantic a batch at a time, exact duplicates by ids, Parquet out.

A file of its own, so that its processes load nothing of ours.
"""

from __future__ import annotations

import hashlib
import json
import sys
import unicodedata
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
import pyarrow.parquet as pq
from datasets import disable_progress_bars, load_dataset
from pydantic import StringConstraints, TypeAdapter
from typing_extensions import TypedDict


class Row(TypedDict):
    """What a written row must be."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    condition: Literal["direct", "cot", "noisy", "synth", "synth+cot"]
    instruction: Annotated[str, StringConstraints(min_length=1)]
    response: Annotated[str, StringConstraints(min_length=1)]


ROWS = TypeAdapter(list[Row])
ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def mapped(batch: dict[str, list[str]]) -> dict[str, list[Any]]:
    """One batch."""
    conditions = batch["condition"]
    instructions = [unicodedata.normalize("NFC", text).strip() for text in batch["instruction"]]
    responses = [unicodedata.normalize("NFC", text).strip() for text in batch["response"]]
    ids = [
        hashlib.sha256(ENCODE(texts).encode()).hexdigest()
        for texts in zip(conditions, instructions, responses, strict=True)
    ]
    columns = {"id": ids, "condition": conditions, "instruction": instructions, "response": responses}
    names = tuple(columns)
    ROWS.validate_python([dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)])
    return columns


def main(path: Path, folder: Path) -> None:
    """Read, map, identify, validate, drop exact duplicates, write."""
    disable_progress_bars()
    kind = "parquet" if path.suffix == ".parquet" else "json"
    rows = load_dataset(kind, data_files=str(path), split="train", cache_dir=str(folder / "cache"))
    rows = rows.map(mapped, batched=True, batch_size=2000, num_proc=2, remove_columns=rows.column_names)
    # The table itself, not `select`: rows behind an index mapping are written one by one, five times slower.
    table = rows.data.table
    first = pl.Series(pl.from_arrow(table.column("id"))).is_first_distinct()
    table = table if first.all() else table.filter(first.to_arrow())
    pq.write_table(table, folder / "rows.parquet")
    print(len(table))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
