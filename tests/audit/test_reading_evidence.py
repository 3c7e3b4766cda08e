"""Reading the pack: only what is asked for, and never much of it in memory."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from hrmbuild.audit.evidence import PAIRS_NAME, ROW_GROUP_ROWS, EvidenceRow, read_leaves, read_rows, write_pairs
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.records.pair import Split


def row(number: int, split: Split) -> EvidenceRow:
    key = sha256_hex(number.to_bytes(4, "big"))
    return EvidenceRow(split, key, key[::-1], key, f'{{"id":"{key}","text":"{key[::-1] * 2}"}}', 1, 1)


def test_a_pack_of_many_groups_is_read_a_few_rows_at_a_time(tmp_path: Path) -> None:
    n_train, n_dev = 3 * ROW_GROUP_ROWS, 20
    splits: list[Split] = ["train"] * n_train + ["dev"] * n_dev
    write_pairs(tmp_path / PAIRS_NAME, (row(number, split) for number, split in enumerate(splits)))
    assert (tmp_path / PAIRS_NAME).stat().st_size > 24 << 20
    held: list[int] = []
    for seen, _ in enumerate(read_rows(tmp_path, "train"), start=1):
        if seen % ROW_GROUP_ROWS == ROW_GROUP_ROWS // 2:
            held.append(pa.total_allocated_bytes())
    assert seen == n_train
    assert held[-1] < held[0] + (2 << 20), "what was read of the groups before is still in memory"
    assert [value["id"] for value in read_rows(tmp_path, "dev")] == [row(n_train + i, "dev").id for i in range(n_dev)]
    assert sum(batch.num_rows for batch in read_leaves(tmp_path)) == n_train + n_dev
