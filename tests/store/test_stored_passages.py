"""Stored passages: they come with their unit, go with it, and carry their file's label as it is declared now."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from handmade import make_source

from hrmbuild.errors import InputError
from hrmbuild.records.locator import Locator
from hrmbuild.records.passage import SourcePassage
from hrmbuild.store.corpus import Corpus
from hrmbuild.store.writer import FileOutcome


def write(corpus: Corpus, path: str, *texts: str, label: str = "internal") -> None:
    source = make_source(path).model_copy(update={"label": label})
    with corpus.replace_unit(path, str(texts)) as unit:
        for order, text in enumerate(texts):
            place = Locator(line_from=order + 1)
            unit.add_passage(
                SourcePassage(source_sha256=source.sha256, path=path, locator=place, order=order, text=text)
            )  # fmt: skip
        unit.add_file(FileOutcome(source, None, "read"))


def texts(corpus: Corpus, *labels: str) -> list[str]:
    return [one.passage.text for one in corpus.passages(labels)]


def test_passages_come_back_in_order_and_only_with_a_label_that_is_asked_for(tmp_path: Path) -> None:
    with Corpus.open(tmp_path / "c.duckdb") as corpus:
        write(corpus, "b.md", "b1")
        write(corpus, "a.md", "a1", "a2", label="public")
        assert texts(corpus, "public", "internal") == ["a1", "a2", "b1"]
        assert texts(corpus, "public") == ["a1", "a2"]
        assert texts(corpus) == []


def test_a_unit_written_again_or_dropped_takes_its_passages_along(tmp_path: Path) -> None:
    with Corpus.open(tmp_path / "c.duckdb") as corpus:
        write(corpus, "a.md", "old")
        write(corpus, "a.md", "new")
        assert texts(corpus, "internal") == ["new"]
        corpus.drop_unit("a.md")
        assert texts(corpus, "internal") == []


def test_a_label_that_is_raised_counts_without_reading_the_file_again(tmp_path: Path) -> None:
    with Corpus.open(tmp_path / "c.duckdb") as corpus:
        write(corpus, "a.md", "words")
        raised = make_source("a.md").model_copy(update={"label": "restricted"})
        corpus.describe_sources({"a.md": (raised, None)})
        assert texts(corpus, "internal") == []
        assert texts(corpus, "restricted") == ["words"]


def test_a_corpus_of_an_earlier_release_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "c.duckdb"
    with Corpus.open(path) as corpus:
        write(corpus, "a.md", "words")
    with duckdb.connect(path) as connection:
        connection.execute("DROP TABLE passage")
        connection.execute("DELETE FROM migration WHERE name = 'm002_passages'")
    with Corpus.open(path, read_only=True) as corpus, pytest.raises(InputError) as caught:
        corpus.passages(["internal"])
    assert caught.value.code == "store.no_passages"
