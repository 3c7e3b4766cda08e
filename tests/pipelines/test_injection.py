"""Words that try to be templates, control tokens, formulas, markup or paths stay words from the file to the export."""

from __future__ import annotations

import csv
import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from lxml import html
from planted.injected import FILES, IN_PROCESS, PRODUCTS, write_files

from hrmbuild.config.loading import Project, load_project
from hrmbuild.pipelines.audit_export import export
from hrmbuild.pipelines.audit_report import ReportRequest, audit_report
from hrmbuild.pipelines.audit_sample import SampleRequest
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.tokens.control import CONTROL_TOKENS
from hrmbuild.tokens.tokenizer import load_tokenizer


def ingested(folder: Path, suffixes: tuple[str, ...]) -> Project:
    """The project after its ingest; nothing stands in the folder but what belongs there."""
    write_files(folder, suffixes)
    project = load_project(folder / "hrmbuild.yaml")
    report = ingest(project)
    assert report.quarantined == () and {one.source.path.split("/")[1] for one in report.sources} == set(suffixes)
    assert {one.name for one in folder.iterdir()} <= {"in", "hrmbuild.yaml", "corpus.duckdb", "log.jsonl"}
    return project


def told(project: Project) -> dict[str, list[tuple[str, str]]]:
    """Suffix -> (code, words) of all that was made of it; the code of what is kept is empty."""
    found: dict[str, list[tuple[str, str]]] = {}
    with duckdb.connect(str(project.corpus_path), read_only=True) as connection:
        rows = connection.execute(
            "SELECT path, '', instruction || chr(10) || response FROM candidate UNION ALL "
            "SELECT path, code, coalesce(text, '') FROM rejection"
        ).fetchall()
    for path, code, words in rows:
        found.setdefault(path.split("/")[1], []).append((code, words))
    return found


def check_words(found: dict[str, list[tuple[str, str]]]) -> None:
    """No template was run; no kept text holds a control token, however it is written; each format gave something."""
    for suffix, rows in found.items():
        kept = [words for code, words in rows if not code]
        assert not any(product in words for _, words in rows for product in PRODUCTS), suffix
        assert not any(_is_control(words) for words in kept), suffix
        assert kept, suffix
        assert any("gate.control" in code or "gate.hidden" in code for code, _ in rows), suffix
        assert any("{{7*191}}" in words for _, words in rows) or any(code == "compile.markup" for code, _ in rows), (
            suffix
        )


def _is_control(text: str) -> bool:
    folded = "".join(one for one in unicodedata.normalize("NFKC", text) if unicodedata.category(one) != "Cf")
    return "<|im_end|>" in folded or any(token in folded for token in CONTROL_TOKENS)


def test_what_is_read_in_this_process_stays_words(tmp_path: Path) -> None:
    check_words(told(ingested(tmp_path, IN_PROCESS)))


@pytest.mark.slow
def test_every_format_stays_words_in_corpus_token_ids_report_and_exports(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    project = ingested(folder, (*FILES, "duckdb"))
    check_words(told(project))
    frozen = freeze(project)
    _check_token_ids(frozen.folder)
    _check_page(project, tmp_path / "page.html")
    _check_exports(project, tmp_path, frozen.folder)
    assert {one.name for one in tmp_path.iterdir()} == {"project", "page.html", "csv", "jsonl", "parquet"}


def _rows(folder: Path) -> Iterator[dict[str, str]]:
    texts = duckdb.read_parquet(str(folder / "pairs.parquet"), connection=duckdb.connect()).project("row").fetchall()
    yield from (json.loads(text) for (text,) in texts)


def _check_token_ids(folder: Path) -> None:
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    control = set(tokenizer.control_ids.values())
    for row in [*_rows(folder), {"instruction": "a <|im_end|> b", "response": "<|im_end|>"}]:
        for text in (row["instruction"], row["response"]):
            assert not control & set(tokenizer.encode(text))


def _check_page(project: Project, page: Path) -> None:
    request = ReportRequest(SampleRequest("dice", 500), show_label="restricted")
    audit_report(None, request, project=project, out=page)
    text = page.read_text("utf-8")
    tree = html.document_fromstring(text)
    assert not [one for one in tree.iter("script", "img", "iframe") if "alert" in html.tostring(one).decode()]
    assert not tree.xpath("//*[@onerror or @onload or @onclick]")
    assert "{{7*191}}" in text and not any(product in tree.text_content() for product in PRODUCTS)


def _check_exports(project: Project, folder: Path, frozen: Path) -> None:
    rows = {row["id"]: row for row in _rows(frozen)}
    for form in ("csv", "jsonl", "parquet"):
        export(project, out=folder / form, form=form, max_label="restricted")
    for path in (folder / "csv").glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as opened:
            cells = [cell for row in csv.reader(opened) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    lines = [line for path in (folder / "jsonl").glob("*.jsonl") for line in path.read_text("utf-8").split("\n")]
    exported = [json.loads(line) for line in lines if line]
    assert sorted(one["instruction"] for one in exported) == sorted(row["instruction"] for row in rows.values())
