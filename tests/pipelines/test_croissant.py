"""What an export says of itself as Croissant, held against its files, and against the validator of MLCommons."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from base_project import Two

from hrmbuild.pipelines.audit_export import export

FORMS = ("parquet", "jsonl", "csv")


def exported(two: Two, folder: Path, form: str) -> dict[str, Any]:
    export(two.project, out=folder, form=form, max_label="internal", with_croissant=True, with_bases=True)
    return json.loads((folder / "croissant.json").read_text("utf-8"))


def test_each_column_that_is_described_stands_in_the_file(two: Two, tmp_path: Path) -> None:
    told = exported(two, tmp_path / "out", "jsonl")
    assert sorted(told["license"]) == ["CC0-1.0", "MIT", "internal"] and told["version"].startswith("1.0.0+")
    for part in told["recordSet"]:
        lines = [json.loads(line) for line in (tmp_path / "out" / f"{part['name']}.jsonl").read_text().splitlines()]
        assert {one["name"] for one in part["field"]} == {column for line in lines for column in line}
        assert all(one["source"]["extract"] == {"column": one["name"]} for one in part["field"])
    assert {part["name"] for part in told["recordSet"]} == {"train", "dev", "test", "base_1"}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_the_validator_accepts_it_and_loads_the_rows(two: Two, tmp_path: Path, form: str) -> None:
    command = os.environ.get("HRMBUILD_MLCROISSANT") or shutil.which("mlcroissant")
    if command is None:
        pytest.skip("mlcroissant is absent: pip install mlcroissant pyarrow in an environment of its own, and name its "
                    "command in HRMBUILD_MLCROISSANT")  # fmt: skip
    told = exported(two, tmp_path / "out", form)
    given = ["--jsonld", str(tmp_path / "out" / "croissant.json")]
    said = subprocess.run([command, "validate", *given], capture_output=True, text=True, check=True).stderr
    assert "Done." in said and "error" not in said.lower()
    for part in told["recordSet"]:
        load = [command, "load", *given, "--record_set", part["name"], "--num_records", "3"]
        subprocess.run(load, capture_output=True, text=True, check=True)
