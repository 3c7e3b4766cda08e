"""The corpus file: units, the corpus-level pass, the balance, and what happens when things go wrong."""

from __future__ import annotations

import itertools
import stat
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from handmade import make_pair, make_source

from hrmbuild.errors import InputError
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import CompiledPair, Rejection, Split
from hrmbuild.records.source import Skip, Source
from hrmbuild.store.connection import create_database
from hrmbuild.store.corpus import Corpus
from hrmbuild.store.reading import Refused
from hrmbuild.store.writer import FileOutcome

LABELS = ("public", "internal", "confidential")


@pytest.fixture
def corpus_path(tmp_path: Path) -> Path:
    return tmp_path / "corpus.duckdb"


def write_unit(
    corpus: Corpus,
    source: Source,
    pairs: list[tuple[CompiledPair, Split]],
    *,
    rejections: list[Rejection] | None = None,
    max_pairs: int | None = None,
) -> None:
    with corpus.replace_unit(source.path, source.sha256) as unit:
        for pair, split in pairs:
            unit.add_candidate(source.path, pair, split=split, axis=None if split == "train" else "cell")
        for rejection in rejections or []:
            unit.add_rejection(rejection, gate="length")
        unit.add_skip(source.path, Skip(code="read.image", detail="an image", locator=Locator(line_from=9)))
        n = len(pairs) + len(rejections or [])
        unit.add_file(FileOutcome(source, max_pairs, "read", None, n_records=1, n_productive=1, n_made=n))


def settle(corpus: Corpus) -> bool:
    return corpus.settle(labels=LABELS, seed=7)


def gate_rejection(source: Source) -> Rejection:
    return Rejection(stage="gate", code="gate.empty_response", detail="empty", path=source.path,
                     source_sha256=source.sha256, locator=Locator(), text="Q")  # fmt: skip


def test_a_pair_comes_back_as_it_was_written(corpus_path: Path) -> None:
    source = make_source("memos/a.md")
    with Corpus.open(corpus_path) as corpus:
        write_unit(corpus, source, [(make_pair("Wer zahlt? „Müller“", "Anna", source=source), "test")])
        settle(corpus)
    with Corpus.open(corpus_path, read_only=True) as corpus:
        [pair] = corpus.pairs()
        assert (pair.instruction, pair.response, pair.split, pair.axis) == (
            "Wer zahlt? „Müller“",
            "Anna",
            "test",
            "cell",
        )
        assert pair.occurrences[0].source_sha256 == source.sha256
        assert [pair] == list(corpus.pairs("test")) and list(corpus.pairs("train")) == []


def test_equal_pairs_merge_and_train_wins_with_the_strictest_label(corpus_path: Path) -> None:
    a, b = make_source("a.md"), make_source("b.md")
    with Corpus.open(corpus_path) as corpus:
        write_unit(corpus, a, [(make_pair("Q", "A", source=a, label="confidential"), "test")])
        write_unit(corpus, b, [(make_pair("Q", "A", source=b, valid=("2020-01-01", None)), "train")])
        settle(corpus)
        [pair] = corpus.pairs()
        balance = corpus.balance()
    assert (pair.split, pair.axis, pair.label, pair.valid_from) == ("train", None, "confidential", None)
    assert [o.source_sha256 for o in pair.occurrences] == sorted([a.sha256, b.sha256])
    assert (balance.made, balance.kept, balance.rejected, balance.distinct_pairs) == (2, 2, 0, 1)
    assert balance.split_conflicts == 1


def test_contradictions_go_unless_their_validity_is_apart(corpus_path: Path) -> None:
    a = make_source("a.md")
    pairs = [
        make_pair("Q", "yes", source=a),
        make_pair("Q", "no", source=a),
        make_pair("limit?", "100", source=a, valid=(None, "2019-12-31")),
        make_pair("limit?", "200", source=a, valid=("2020-01-01", None)),
        make_pair("other", "fine", source=a),
    ]
    with Corpus.open(corpus_path) as corpus:
        write_unit(corpus, a, [(pair, "train") for pair in pairs])
        settle(corpus)
        assert sorted(p.response for p in corpus.pairs()) == ["100", "200", "fine"]
        assert corpus.balance().reasons == {"corpus.contradiction": 2}
        assert {r.text for r in corpus.rejections()} == {"Q\n\nyes", "Q\n\nno"}


def test_a_cap_keeps_the_smallest_draws_whatever_the_order(corpus_path: Path, tmp_path: Path) -> None:
    a = make_source("a.md")
    pairs = [make_pair(f"Q{i}", f"A{i}", source=a) for i in range(20)]
    kept: list[list[str]] = []
    for number, order in enumerate((pairs, pairs[::-1])):
        with Corpus.open(tmp_path / f"{number}.duckdb") as corpus:
            write_unit(corpus, a, [(pair, "train") for pair in order], max_pairs=5)
            settle(corpus)
            kept.append([p.id for p in corpus.pairs()])
            assert corpus.balance().reasons == {"corpus.cap": 15}
    assert kept[0] == kept[1] and len(kept[0]) == 5


def test_units_in_any_order_give_the_same_rows(tmp_path: Path) -> None:
    sources = [make_source(f"{name}.md") for name in "abc"]
    found: set[bytes] = set()
    for number, order in enumerate(itertools.permutations(sources)):
        with Corpus.open(tmp_path / f"{number}.duckdb") as corpus:
            for source in order:
                split: Split = "dev" if source.path == "a.md" else "train"
                write_unit(corpus, source, [(make_pair("Q", "A", source=source, kind=source.path), split),
                                            (make_pair("Q2", source.path[0], source=source), split)])  # fmt: skip
            settle(corpus)
            found.add(b"\n".join(pair.canonical_bytes() for pair in corpus.pairs()))
    assert len(found) == 1


def test_replacing_and_dropping_a_unit_leaves_nothing_of_it(corpus_path: Path) -> None:
    a, b = make_source("a.md"), make_source("b.md")
    with Corpus.open(corpus_path) as corpus:
        write_unit(corpus, a, [(make_pair("Q", "A", source=a), "train")], rejections=[gate_rejection(a)])
        write_unit(corpus, b, [(make_pair("Q", "A", source=b), "train")])
        settle(corpus)
        write_unit(corpus, a, [(make_pair("new", "A", source=a), "train")])
        corpus.drop_unit("b.md")
        assert not corpus.is_settled(labels=LABELS, seed=7)
        assert settle(corpus) and not settle(corpus)
        assert [p.instruction for p in corpus.pairs()] == ["new"]
        assert (corpus.balance().reasons, len(corpus.skips()), list(corpus.unit_keys())) == ({}, 1, ["a.md"])


def test_a_failure_inside_a_unit_leaves_the_unit_as_it_was(corpus_path: Path) -> None:
    a = make_source("a.md")
    with Corpus.open(corpus_path) as corpus:
        write_unit(corpus, a, [(make_pair("Q", "A", source=a), "train")])
        settle(corpus)
        with pytest.raises(KeyboardInterrupt), corpus.replace_unit("a.md", "other") as unit:
            unit.add_candidate("a.md", make_pair("broken", "x", source=a), split="train", axis=None)
            unit.flush()
            raise KeyboardInterrupt
        assert corpus.unit_keys() == {"a.md": a.sha256}
        assert corpus.is_settled(labels=LABELS, seed=7)
        assert [p.instruction for p in corpus.pairs()] == ["Q"]


@pytest.mark.parametrize("key", ["again", "other"])
def test_a_failure_after_a_part_leaves_a_unit_that_is_not_done(key: str, corpus_path: Path) -> None:
    """Also where the unit was settled under the very key that it is written with again."""
    a = make_source("a.md")
    with Corpus.open(corpus_path) as corpus:
        with corpus.replace_unit("a.md", "again") as unit:
            unit.add_candidate("a.md", make_pair("Q", "A", source=a), split="train", axis=None)
        settle(corpus)
        with pytest.raises(KeyboardInterrupt), corpus.replace_unit("a.md", key) as unit:
            unit.add_candidate("a.md", make_pair("new", "x", source=a), split="train", axis=None)
            unit.end_part()
            unit.add_candidate("a.md", make_pair("newer", "x", source=a), split="train", axis=None)
            raise KeyboardInterrupt
    with Corpus.open(corpus_path) as corpus:
        assert corpus.unit_keys() == {"a.md": ""}
        assert not corpus.is_settled(labels=LABELS, seed=7)
        with corpus.replace_unit("a.md", key) as unit:
            unit.add_candidate("a.md", make_pair("new", "x", source=a), split="train", axis=None)
            unit.end_part()
            unit.add_candidate("a.md", make_pair("newer", "x", source=a), split="train", axis=None)
        assert corpus.unit_keys() == {"a.md": key}
        assert not corpus.is_settled(labels=LABELS, seed=7)
        assert settle(corpus)
        assert sorted(p.instruction for p in corpus.pairs()) == ["new", "newer"]


def test_a_lost_pair_is_our_fault_and_stops(corpus_path: Path) -> None:
    a = make_source("a.md")
    with Corpus.open(corpus_path) as corpus:
        with corpus.replace_unit("a.md", "k") as unit:
            unit.add_file(FileOutcome(a, None, "read", None, n_records=1, n_productive=1, n_made=1))
        settle(corpus)
        with pytest.raises(AssertionError, match=r"a\.md: pairs are lost"):
            corpus.balance()


def test_owner_and_cap_change_without_touching_the_unit(corpus_path: Path) -> None:
    a = make_source("a.md")
    with Corpus.open(corpus_path) as corpus:
        write_unit(corpus, a, [(make_pair("Q", "A", source=a), "train"), (make_pair("R", "B", source=a), "train")])
        settle(corpus)
        owned = make_source("a.md", owner="legal")
        assert corpus.describe_sources({"a.md": (owned, 1)}) == 1
        assert corpus.describe_sources({"a.md": (owned, 1)}) == 0
        assert settle(corpus)
        assert corpus.sources()[0].source.owner == "legal"
        assert corpus.n_pairs() == 1


def test_refused_files_are_listed(corpus_path: Path) -> None:
    refused = [Refused("b", "read.link_outside", "leaves", "hrmbuild.yaml:3"), Refused("a", "x", "y", "z")]
    with Corpus.open(corpus_path) as corpus:
        corpus.replace_refused(refused)
        assert [r.path for r in corpus.refused()] == ["a", "b"]
        corpus.replace_refused([])
        assert corpus.refused() == []


def test_salts_are_kept(corpus_path: Path) -> None:
    with Corpus.open(corpus_path) as corpus:
        corpus.add_salts({"b" * 64: b"2" * 32, "a" * 64: b"1" * 32})
    with Corpus.open(corpus_path, read_only=True) as corpus:
        assert corpus.salts() == {"a" * 64: b"1" * 32, "b" * 64: b"2" * 32}


def test_the_file_and_its_log_are_for_the_owner_only(corpus_path: Path) -> None:
    a = make_source("a.md")
    with Corpus.open(corpus_path) as corpus:
        write_unit(corpus, a, [(make_pair("Q", "A", source=a), "train")])
        modes = {stat.S_IMODE(path.stat().st_mode) for path in corpus_path.parent.iterdir()}
    assert modes == {0o600}


def test_a_copy_in_memory_changes_nothing_on_disk(corpus_path: Path) -> None:
    a, b = make_source("a.md"), make_source("b.md")
    with Corpus.open(corpus_path) as corpus:
        write_unit(corpus, a, [(make_pair("Q", "A", source=a), "train")])
        settle(corpus)
    before = corpus_path.read_bytes()
    with Corpus.open_copy(corpus_path) as corpus:
        write_unit(corpus, b, [(make_pair("R", "B", source=b), "train")])
        settle(corpus)
        assert corpus.n_pairs() == 2
    assert corpus_path.read_bytes() == before
    with Corpus.open_copy(corpus_path.with_name("none.duckdb")) as corpus:
        assert corpus.n_pairs() == 0


HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def test_a_locked_corpus_names_its_holder_and_the_remedy(corpus_path: Path) -> None:
    with Corpus.open(corpus_path):
        pass
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(corpus_path)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)  # fmt: skip
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "open\n"
        for opening in (
            Corpus.open(corpus_path),
            Corpus.open(corpus_path, read_only=True),
            Corpus.open_copy(corpus_path),
        ):
            with pytest.raises(InputError) as caught, opening:
                pass
            assert caught.value.code == "store.locked"
            assert str(holder.pid) in caught.value.what and "wait" in str(caught.value.fix)
    finally:
        holder.communicate("")


def test_of_two_that_create_the_corpus_at_once_the_second_leaves_the_first_ones(corpus_path: Path) -> None:
    with Corpus.open(corpus_path):
        before = corpus_path.stat().st_ino
        create_database(corpus_path)  # as one that looked a moment ago, when there was none
    assert corpus_path.stat().st_ino == before
    assert [one.name for one in corpus_path.parent.iterdir()] == [corpus_path.name]


def test_other_files_are_no_corpus(tmp_path: Path) -> None:
    text, empty, folder, foreign = (tmp_path / name for name in ("t.duckdb", "e.duckdb", "d.duckdb", "f.duckdb"))
    text.write_text("hello " * 1000)
    empty.touch()
    folder.mkdir()
    with duckdb.connect(str(foreign)) as connection:
        connection.execute("CREATE TABLE customers (id INTEGER)")
    for path in (text, empty, folder, foreign):
        with pytest.raises(InputError) as caught, Corpus.open(path):
            pass
        assert caught.value.code == "store.not_a_corpus", path


def test_a_missing_corpus_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no corpus yet") as caught, Corpus.open(tmp_path / "no", read_only=True):
        pass
    assert caught.value.code == "store.missing" and "hrmbuild ingest" in str(caught.value.fix)


def test_a_corpus_of_a_newer_release_is_refused(corpus_path: Path) -> None:
    with Corpus.open(corpus_path):
        pass
    with duckdb.connect(str(corpus_path)) as connection:
        connection.execute("INSERT INTO migration VALUES ('m999_future')")
    with pytest.raises(InputError) as caught, Corpus.open(corpus_path):
        pass
    assert caught.value.code == "store.newer"


@pytest.mark.parametrize("n_pairs", [5_000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_pairs_are_stored_and_read_in_bulk(corpus_path: Path, n_pairs: int) -> None:
    a = make_source("a.jsonl")
    pairs: list[tuple[CompiledPair, Split]] = [
        (make_pair(f"Question number {i}, with some words around it", f"A{i}", source=a), "train")
        for i in range(n_pairs)
    ]
    started_at_s = time.perf_counter()
    with Corpus.open(corpus_path) as corpus:
        write_unit(corpus, a, pairs)
        settle(corpus)
        written_s = time.perf_counter() - started_at_s
        n = sum(1 for _ in corpus.pairs())
    read_s = time.perf_counter() - started_at_s - written_s
    print(f"wrote and settled in {written_s:.1f} s, read in {read_s:.1f} s")
    # Row by row, 5,000 inserts take longer than this; in bulk, on two quiet cores, 50,000 took 1.5 s and 0.8 s.
    assert n == n_pairs and written_s < n_pairs / 1000 and read_s < n_pairs / 1000
