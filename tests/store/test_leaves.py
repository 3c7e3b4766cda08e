"""Rows as SQL writes them, against rows as pairs write themselves."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from handmade import make_pair, make_source
from hypothesis import given, settings
from hypothesis import strategies as st

from hrmbuild.audit import merkle
from hrmbuild.audit.rows import row_bytes
from hrmbuild.records.pair import CompiledPair
from hrmbuild.store.corpus import Corpus
from hrmbuild.store.leaves import ComparedLeaves
from hrmbuild.store.writer import FileOutcome

SOURCE = make_source("memos/a.md")
MEMORY = Path("no such file")


def written(corpus: Corpus, pairs: list[CompiledPair]) -> None:
    with corpus.replace_unit("memos/a.md", "key") as unit:
        for pair in pairs:
            unit.add_candidate("memos/a.md", pair, split="train", axis=None)
        unit.add_file(FileOutcome(SOURCE, None, "read", None, n_records=1, n_productive=1, n_made=len(pairs)))
    corpus.settle(labels=("internal",), seed=0)


def compared(corpus: Corpus) -> ComparedLeaves:
    rows = [(pair.id, merkle.leaf(row_bytes(pair)).hex()) for pair in corpus.pairs()]
    frozen = pa.table({"id": [row[0] for row in rows], "leaf": [row[1] for row in rows]})
    return corpus.compare_leaves(frozen, max_label=None)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=1, max_size=5, unique=True))
@settings(max_examples=25, deadline=None)
def test_sql_writes_and_hashes_a_row_as_the_pair_does(texts: list[str]) -> None:
    with Corpus.open_copy(MEMORY) as corpus:
        pairs = [
            make_pair(f"Q {text}", f"{text}.", source=SOURCE, kind=f"k{text}", valid=("2025-01-01", None), line=n + 1)
            for n, text in enumerate(texts)
        ]
        written(corpus, [*pairs, pairs[0].model_copy(update={"boundary": True})])
        assert compared(corpus) == ComparedLeaves((), {}, (), 0)


def test_a_row_that_sql_escapes_in_another_way_is_left_to_be_read_as_a_pair() -> None:
    controls = "".join(map(chr, (*range(1, 0x20), 0x7F, 0x2028, 0x1F600))) + '"\\/'
    with Corpus.open_copy(MEMORY) as corpus:
        written(corpus, [make_pair("Q", controls, source=SOURCE), make_pair("Q2", "plain", source=SOURCE)])
        [odd] = [pair for pair in corpus.pairs() if pair.response == controls]
        found = compared(corpus)
        assert (found.missing, found.more) == ((), ())
        assert found.differing == {odd.id: merkle.leaf(row_bytes(odd)).hex()}
        assert list(corpus.pairs_by_id([odd.id])) == [(odd.id, odd)]
