"""The queries of `docs/auditor.md`: each runs in plain DuckDB, and gives what the page says of the example company."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from packaged_project import Packaged
from test_audit_drawer import VIEWS

from hrmbuild.config.loading import load_project
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.init import init_project

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "auditor.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^\d+\. (.+?)\n\n```sql\n(.+?)\n```\n```text\n(.+?)\n```$", PAGE, re.M | re.S)
"""Question, query, answer."""


def answer(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    """Rows as the page shows them."""
    result = connection.execute(query)
    rows = [[column[0] for column in result.description or []], *result.fetchall()]
    return "\n".join(" | ".join(_cell(value) for value in row) for row in rows)


def _cell(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def test_the_page_lists_the_columns_of_each_view() -> None:
    listed = dict(re.findall(r"^\| `(audit_[^`]+)` \|.*\| `([^`]+)` \|$", PAGE, re.M))
    assert listed == VIEWS


def test_ten_queries_run_on_any_corpus(packaged_once: Packaged, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(QUERIES) == 10
    monkeypatch.chdir(packaged_once.project.work)
    with duckdb.connect("corpus.duckdb", read_only=True) as connection:
        for _, query, told in QUERIES:
            there = query.replace("'tables/*', 'pairs/*'", "'memos/*'")  # the small project has no such folders
            assert answer(connection, there).splitlines()[0] == told.splitlines()[0]


@pytest.mark.slow
def test_the_example_company_answers_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init_project(tmp_path / "example", demo=True)
    monkeypatch.chdir(tmp_path / "example")
    project = load_project(Path("hrmbuild.yaml").resolve())
    ingest(project)
    freeze(project)
    with duckdb.connect("corpus.duckdb", read_only=True) as connection:
        found = {question: answer(connection, query) for question, query, _ in QUERIES}
    assert found == {question: told for question, _, told in QUERIES}
