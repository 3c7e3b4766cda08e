"""The schemas in `schemas/` are those of the types."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hrmbuild.assets import asset_folder
from hrmbuild.records import schemas


def test_schemas_are_fresh() -> None:
    assert schemas.stale(asset_folder("schemas")) == [], "run: make schemas"


def test_a_changed_missing_or_foreign_schema_is_stale(tmp_path: Path) -> None:
    for name, model in schemas.SCHEMAS.items():
        (tmp_path / name).write_bytes(schemas.schema_bytes(model))
    assert schemas.stale(tmp_path) == []
    (tmp_path / "row.json").write_text("{}")
    (tmp_path / "probe.json").unlink()
    (tmp_path / "other.json").write_text("{}")
    assert schemas.stale(tmp_path) == ["other.json", "probe.json", "row.json"]


@pytest.mark.parametrize("name", sorted(schemas.SCHEMAS))
def test_every_field_of_our_formats_is_closed_and_described(name: str) -> None:
    schema = json.loads(schemas.schema_bytes(schemas.SCHEMAS[name]))
    assert schema["additionalProperties"] is False
    assert schema["description"]
