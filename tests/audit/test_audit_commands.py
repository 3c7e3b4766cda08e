"""`audit report`, `audit sample` and `audit diff` as they are typed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audited_company import build_company, company

from hrmbuild.cli.main import main
from hrmbuild.pipelines.manifests import all_manifests, current_manifest

SLOW = pytest.mark.slow
Type = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(make_once: Callable[..., Path]) -> Path:
    return make_once("audited", build_company)


@pytest.fixture
def typed(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Type:
    monkeypatch.chdir(folder)

    def run(*words: str) -> tuple[int, str, str]:
        status = main(["audit", *words])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def test_a_report_is_written_and_told_in_a_few_lines(typed: Type, tmp_path: Path) -> None:
    status, out, _ = typed("report", "--out", str(tmp_path / "r.html"), "--nonce", "x", "--n", "9", "--errors", "0",
                           "--show-label", "confidential")  # fmt: skip
    assert status == 0
    assert "errors        0 of 9: with 95 % confidence at most 28.3%" in out
    assert "to look at    pairs that contradict one another: 2" in out
    assert (tmp_path / "r.html").read_text("utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.slow
def test_json_is_one_object_and_writes_no_page_unasked(typed: Type, folder: Path) -> None:
    before = sorted((folder / "reports").glob("*")) if (folder / "reports").exists() else []
    status, out, _ = typed("report", "--json")
    value: dict[str, Any] = json.loads(out)
    assert (status, value["written"], value["what"]) == (0, None, "audit report")
    assert (sorted((folder / "reports").glob("*")) if (folder / "reports").exists() else []) == before


@pytest.mark.slow
def test_a_sample_is_the_same_for_whoever_draws_it(typed: Type) -> None:
    _, out, _ = typed("sample", "--nonce", "4 1 6", "--n", "7", "--json")
    again = json.loads(typed("sample", "--nonce", "4 1 6", "--n", "7", "--show-label", "confidential", "--json")[1])
    first = json.loads(out)
    assert first["digest"] == again["digest"]
    assert [one["leaf"] for one in first["pairs"]] == [one["leaf"] for one in again["pairs"]]
    assert first["n_shown"] < again["n_shown"] == 7


def test_what_a_document_says_steers_no_terminal(typed: Type) -> None:
    _, out, _ = typed("sample", "--nonce", "n", "--n", "1000", "--show-label", "confidential")
    assert "stands in open/sums.jsonl, line" in out
    assert [char for char in out if not char.isprintable() and char != "\n"] == []


def test_a_diff_tells_what_came_by_source_and_kind(typed: Type, folder: Path) -> None:
    project = company(folder)
    new = current_manifest(project)
    (old,) = [one for one in all_manifests(project) if one != new]
    status, out, _ = typed("diff", str(old), str(new))
    told = re.search(r"pairs +(\d+) -> (\d+); (\d+) added, 0 removed", out)
    assert status == 0 and told is not None
    before, after, added = map(int, told.groups())
    assert after - before == added > 40
    assert f"source added   memos/2025-07-16-telephone-system.md (internal, {added} pairs)" in out
    assert typed("diff", str(new), str(new))[1] == "the same manifest\n"


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("report", "nowhere"), 3, "manifest.missing"),
        (("report", "--errors", "1"), 2, "audit.no_nonce"),
        pytest.param(("report", "--out", "."), 2, "audit.report_place", marks=SLOW),
        (("report", "--show-label", "secret"), 2, "audit.unknown_label"),
        pytest.param(("report", "--trust", "none.yaml"), 2, "trust.not_found", marks=SLOW),
        (("sample", "--nonce", " "), 2, "audit.no_nonce"),
        pytest.param(("sample", "--nonce", "x", "--marked", "none.csv"), 3, "audit.marks", marks=SLOW),
        (("diff", "nowhere", "nowhere"), 3, "manifest.missing"),
    ],
)
def test_a_mistake_is_an_object_with_its_code(typed: Type, words: tuple[str, ...], status: int, code: str) -> None:
    got, out, _ = typed(*words, "--json")
    assert (got, json.loads(out)["error"]["code"]) == (status, code)
