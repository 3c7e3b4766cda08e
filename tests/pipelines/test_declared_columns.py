"""A declared column that no table has is an error: what was declared for it must not be lost in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_project import write_project

from hrmbuild.errors import ConfigError
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.ingest_report import IngestReport

PEOPLE = "id,name,amount\n" + "".join(f"{n},Person {n},{n * 7}\n" for n in range(1, 6))
ORDERS = "order_id,person_id,total\n" + "".join(f"{n},{n % 5 + 1},{n * 3}\n" for n in range(1, 6))


def project_with(folder: Path, declared: str) -> IngestReport:
    settings = f"name: t\nsources:\n  - {{path: tables, kind: tables, {declared}}}\n"
    files = {"hrmbuild.yaml": settings, "tables/people.csv": PEOPLE, "tables/orders.csv": ORDERS}
    return ingest(write_project(folder, files))


@pytest.mark.parametrize(
    ("declared", "fix"),
    [
        ("columns: {nmae: personal}", "did you mean 'name'?"),
        ("columns: {people.nmae: personal}", "did you mean 'people.name'?"),
        ("references: {orders.person: people.id}", "did you mean 'orders.person_id'?"),
        ("references: {orders.person_id: person.id}", "did you mean 'people.id'?"),
    ],
)
def test_a_misspelt_column_is_named(tmp_path: Path, declared: str, fix: str) -> None:
    with pytest.raises(ConfigError) as caught:
        project_with(tmp_path, declared)
    assert (caught.value.code, caught.value.where, caught.value.fix) == (
        "config.unknown_column",
        "hrmbuild.yaml:3",
        fix,
    )


def test_columns_of_any_table_of_the_entry_are_known(tmp_path: Path) -> None:
    declared = "columns: {name: personal, orders.total: number}, references: {orders.person_id: people.id}"
    assert project_with(tmp_path, declared).read == 2
