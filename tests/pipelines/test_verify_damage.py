"""Damage that a stranger can do to a manifest is named; none of it ends verification by surprise."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_project import write_project

from hrmbuild.audit.checks import VerifyReport
from hrmbuild.fingerprint import canonical_json, hash_file, sha256_hex
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.verify_manifest import verify_manifest

MAIL = """\
From: Purchasing
To: All employees
Subject: New printers

We decided to lease six printers from 1 May 2025 because the old ones are broken.
"""
COPIES = """\
name: copies
sources:
  - {path: memos, kind: memos, owner: me, license: internal}
"""


@pytest.fixture(scope="module")
def frozen_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a project with a memo twice, under two suffixes, in a frozen corpus."""
    files = {"hrmbuild.yaml": COPIES, "memos/a.txt": MAIL, "memos/b.eml": MAIL}
    project = write_project(tmp_path_factory.mktemp("copies") / "project", files)
    ingest(project)
    freeze(project)
    return project.work


@pytest.fixture
def frozen(frozen_once: Path, tmp_path: Path) -> Path:
    """The manifest of a copy in `tmp_path` that a test may damage."""
    shutil.copytree(frozen_once, tmp_path, dirs_exist_ok=True)
    return next((tmp_path / "manifests").glob("*/manifest.json")).parent


def failed(report: VerifyReport) -> dict[str, str]:
    return {check.name: check.detail for check in report.checks if not check.ok}


def test_equal_bytes_that_are_read_in_two_ways_stand_in_both(frozen: Path, tmp_path: Path) -> None:
    report = verify_manifest(frozen, sources=tmp_path)
    assert failed(report) == {}
    quotes = next(check.detail for check in report.checks if check.name == "quotes")
    assert not quotes.startswith("0 quotes")
    (tmp_path / "memos" / "a.txt").unlink()
    assert list(failed(verify_manifest(frozen, sources=tmp_path))) == ["sources", "quotes"]


@pytest.mark.parametrize(
    ("name", "value"), [("seed", "0.0"), ("seed", str(10**20)), ("strata", '{"\U0001f600": {"pairs": 0}}')]
)
def test_a_manifest_that_canonical_json_cannot_hold(frozen: Path, name: str, value: str) -> None:
    path = frozen / "manifest.json"
    told = json.loads(path.read_bytes())
    counted = json.dumps({"instruction_tokens": 0, "response_tokens": 0})[1:]
    told[name] = "HERE"
    data = json.dumps(told).replace('"HERE"', value.replace("}}", f", {counted}}}")).encode()
    path.write_bytes(data)
    path.with_name("manifest.sha256").write_text(f"{sha256_hex(data)}  manifest.json\n")
    told = failed(verify_manifest(frozen))["manifest.json"]
    assert "canonical JSON" in told or "valid integer" in told


def no_id(table: pa.Table) -> pa.Table:
    return table.set_column(table.column_names.index("id"), "id", pa.array([None] * len(table), pa.string()))


def whole_ids(table: pa.Table) -> pa.Table:
    return table.set_column(table.column_names.index("id"), "id", pa.array(range(len(table)), pa.int64()))


def short_salts(table: pa.Table) -> pa.Table:
    return table.set_column(1, "salt", pa.array([b"short"] * len(table), pa.binary()))


def deep_rows(table: pa.Table) -> pa.Table:
    place = table.column_names.index("row")
    return table.set_column(place, "row", pa.array(["[" * 100_000] * len(table), pa.large_string()))


@pytest.mark.parametrize(
    ("name", "change", "named"),
    [
        ("pairs.parquet", no_id, "rows"),
        ("pairs.parquet", whole_ids, "rows"),
        ("pairs.parquet", deep_rows, "rows"),
        ("salts.parquet", short_salts, "roots"),
        ("rejections.parquet", lambda table: table.drop_columns(["code"]), "rejections"),
    ],
)
def test_a_table_of_another_shape(frozen: Path, name: str, change: Callable[[Any], Any], named: str) -> None:
    pq.write_table(change(pq.read_table(frozen / name)), frozen / name)
    assert {named, f"file {name}"} <= failed(verify_manifest(frozen)).keys()


def test_a_tokenizer_that_learned_from_other_texts_is_found(frozen: Path) -> None:
    assert failed(verify_manifest(frozen, deep=True)) == {}
    path, told = frozen / "manifest.json", json.loads((frozen / "manifest.json").read_bytes())
    tokenizer = json.loads((frozen / "tokenizer.json").read_bytes())
    vocabulary = tokenizer["model"]["vocab"]
    first, last = sorted(vocabulary, key=vocabulary.__getitem__)[-2:]
    vocabulary[first], vocabulary[last] = vocabulary[last], vocabulary[first]
    (frozen / "tokenizer.json").write_text(json.dumps(tokenizer))
    digest = hash_file(frozen / "tokenizer.json")
    told["tokenizer"]["sha256"] = told["evidence"]["tokenizer.json"] = digest
    path.write_bytes(canonical_json(told))
    path.with_name("manifest.sha256").write_text(f"{hash_file(path)}  manifest.json\n")
    assert failed(verify_manifest(frozen)) == {}
    assert list(failed(verify_manifest(frozen, deep=True))) == ["tokenizer training"]


@pytest.mark.slow
def test_a_tokenizer_that_changes_words_before_it_cuts_them_is_found(frozen: Path) -> None:
    """The same entries, and every token count fits: only what is trained on would be another text."""
    path, told = frozen / "manifest.json", json.loads((frozen / "manifest.json").read_bytes())
    tokenizer = json.loads((frozen / "tokenizer.json").read_bytes())
    other = {"type": "Replace", "pattern": {"String": "broken"}, "content": "nekorb"}
    tokenizer["normalizer"] = {"type": "Sequence", "normalizers": [tokenizer["normalizer"], other]}
    (frozen / "tokenizer.json").write_text(json.dumps(tokenizer))
    digest = hash_file(frozen / "tokenizer.json")
    told["tokenizer"]["sha256"] = told["evidence"]["tokenizer.json"] = digest
    path.write_bytes(canonical_json(told))
    path.with_name("manifest.sha256").write_text(f"{hash_file(path)}  manifest.json\n")
    assert "in another way than ours" in failed(verify_manifest(frozen, deep=True))["tokenizer training"]


def test_a_link_to_a_folder_is_an_extra_file(frozen: Path, tmp_path: Path) -> None:
    (frozen / "more").symlink_to(tmp_path)
    assert failed(verify_manifest(frozen)) == {"no extra file": "extra: more (symbolic link)"}


def test_names_that_no_disk_can_hold_are_unreadable(frozen: Path, tmp_path: Path) -> None:
    path = frozen / "manifest.json"
    told = path.read_bytes().replace(b"memos/a.txt", b"memos/" + b"a" * 300)
    path.write_bytes(told)
    path.with_name("manifest.sha256").write_text(f"{hash_file(path)}  manifest.json\n")
    assert "unreadable: memos/aaa" in failed(verify_manifest(frozen, sources=tmp_path))["sources"]
