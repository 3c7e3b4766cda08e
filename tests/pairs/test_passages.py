"""Passages: what may be shown of each kind of source, at its place, with the masks of the pairs."""

from __future__ import annotations

import re

import duckdb
import pytest
from text_support import EXAMPLES, TEMPLATES, document, read_files, source_of

from hrmbuild.config.project import SourceConfig
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.passages import passages
from hrmbuild.readers.resolving import resolve
from hrmbuild.records.document import Column, Record, Table
from hrmbuild.records.locator import Locator
from hrmbuild.records.passage import SourcePassage


def shown(record: Record, kind: str, **settings: object) -> list[SourcePassage]:
    config = SourceConfig.model_validate({"path": "x", "kind": kind, **settings})
    with duckdb.connect() as connection:
        context = CompileContext(
            seed=0, source=source_of("d.md", config), settings=config, templates=TEMPLATES, connection=connection,
            siblings=(),
        )  # fmt: skip
        return list(passages(record, context))


@pytest.mark.parametrize(("folder", "kind"), [("policies", "rules"), ("memos", "memos")])
def test_the_words_of_a_passage_stand_at_its_place(folder: str, kind: str) -> None:
    settings = SourceConfig.model_validate({"path": folder, "kind": kind})
    files = {path.name: path for path in (EXAMPLES / folder).rglob("*") if path.is_file()}
    n_seen = 0
    for source, record in read_files(list(files.values()), settings):
        for passage in shown(record, kind, persons="keep"):
            found = resolve(files[source.path], passage.locator, format=source.format)
            assert plain(found) in plain(passage.text)
            n_seen += 1
    assert n_seen > 60


def plain(text: str) -> str:
    """Without marks of Markdown and line breaks, which are not shown."""
    return " ".join(re.sub(r"[*>_]|^\s*-\s", "", text, flags=re.MULTILINE).split())


def test_names_of_a_memo_are_masked_as_in_its_pairs() -> None:
    headers = {
        "from": "Ines Kordt, Head of Claims",
        "to": "Branch managers",
        "date": "4 March 2025",
        "subject": "Forms",
    }
    memo = document("Ines Kordt decided that the branch opens at nine.", headers=headers)
    text = "\n".join(one.text for one in shown(memo, "memos"))
    assert "From: Head of Claims" in text
    assert "Kordt" not in text
    kept = "\n".join(one.text for one in shown(memo, "memos", persons="keep"))
    assert "Kordt" in kept


def test_a_rule_set_is_shown_as_its_owner_wrote_it_and_once() -> None:
    settings = SourceConfig.model_validate({"path": "rules", "kind": "rules"})
    (_, record), *_ = read_files(sorted((EXAMPLES / "rules").glob("*.yaml"))[:1], settings)
    (passage,) = shown(record, "rules")
    assert passage.text.startswith("The first rule that holds decides.")
    assert passage.title


def test_personal_and_ignored_columns_of_a_table_are_never_shown() -> None:
    table = Table(
        source_sha256="0" * 64,
        path="staff.csv",
        name="staff",
        columns=(
            Column(name="staff_id", cells=("S1", "S2", "S3", "S4")),
            Column(name="surname", cells=("Kordt", "Brandt", "Weber", "Lang")),
            Column(name="room", cells=("12", "14", "12", "11")),
            Column(name="note", cells=("a", "b", "a", "b")),
        ),
        locator=Locator(row_from=1, row_to=4),
    )
    found = shown(table, "tables", columns={"surname": "personal", "note": "ignore"})
    assert [one.locator.row_from for one in found] == [1, 2, 3, 4]
    assert all(one.title == "Table staff" and one.heading is not None for one in found)
    everything = "\n".join(f"{one.heading}\n{one.text}" for one in found)
    assert "S3" in everything
    assert "Kordt" not in everything and "surname" not in everything and "note" not in everything


@pytest.mark.parametrize("kind", ["rules", "memos"])
def test_what_stands_twice_in_a_file_is_one_passage(kind: str) -> None:
    rule = "The branch must answer every letter of a customer."
    assert [one.text for one in shown(document(rule, "Letters are kept in the cellar.", rule), kind)].count(rule) == 1
