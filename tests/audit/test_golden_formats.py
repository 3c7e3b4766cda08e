"""Row and manifest, format 1, as first written: they must verify for ever. These files are never made again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import rfc8785

from hrmbuild.audit import merkle
from hrmbuild.audit.manifest import read_manifest
from hrmbuild.audit.rows import parse_row
from hrmbuild.pipelines.verify_manifest import verify_manifest
from hrmbuild.records.pair import Pair

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
ROWS = json.loads((GOLDEN / "row_1.json").read_text(encoding="utf-8"))
CONTENT_ROOT = "c8da3c3eecbbc603166cf35b853f290bd6cf173805dd11902b0cc5bf5e1949dc"


@pytest.mark.parametrize("golden", ROWS, ids=[golden["id"][:8] for golden in ROWS])
def test_a_golden_row_keeps_its_bytes_its_id_and_its_leaves(golden: dict[str, str]) -> None:
    row = golden["row"].encode()
    value = parse_row(golden["row"])
    assert isinstance(value, dict) and value["id"] == golden["id"]
    assert Pair.model_validate(value).canonical_bytes() == row == rfc8785.dumps(value)
    assert merkle.leaf(row).hex() == golden["leaf"]
    assert merkle.salted_leaf(bytes(range(32)), row).hex() == golden["salted_leaf"]


def test_the_golden_manifest_verifies_with_its_sources() -> None:
    report = verify_manifest(GOLDEN / "manifest_1", sources=GOLDEN / "manifest_1_sources", deep=True)
    assert [check for check in report.checks if not check.ok] == []
    assert read_manifest(GOLDEN / "manifest_1").content_root == CONTENT_ROOT


def test_the_checker_that_lies_in_the_golden_pack_still_says_intact() -> None:
    command = [sys.executable, "-I", str(GOLDEN / "manifest_1" / "check.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"intact, content_root {CONTENT_ROOT}\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[1", "no canonical JSON"),
        ("7", "no row of format 1"),
        ('{"id":"x"}', "no row of format 1"),
        (ROWS[0]["row"].replace(":", ": ", 1), "not the canonical ones"),
        (ROWS[0]["row"].replace("18:00.", "19:00.", 1), "not the hash"),
        (ROWS[0]["row"].replace('"split":"train"', '"split":"tr"'), "no row of format 1"),
        (ROWS[0]["row"].replace('"char_from":10', '"char_from":10.5'), "no canonical JSON"),
    ],
)
def test_what_is_no_row_is_said_to_be_none(text: str, problem: str) -> None:
    found = parse_row(text)
    assert isinstance(found, str) and problem in found
