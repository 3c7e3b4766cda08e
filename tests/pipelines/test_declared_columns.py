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


def test_a_role_that_does_not_exist_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        project_with(tmp_path, "columns: {name: persnal}")
    told = caught.value.code, caught.value.where, caught.value.fix
    assert told == ("config.column_role", "hrmbuild.yaml:3", "did you mean 'personal'?")


def test_columns_of_any_table_of_the_entry_are_known(tmp_path: Path) -> None:
    declared = "columns: {name: personal, orders.total: number}, references: {orders.person_id: people.id}"
    assert project_with(tmp_path, declared).read == 2


STAFF = "id,grade,team,pay\n" + "".join(f"S{n},{'abc'[n % 3]},{'xy'[n % 2]},{n * 7 % 90}\n" for n in range(1, 41))
PROTECTED = "gates: {protected: {Grade: {}, origin: {proxies: [team]}}}\n"


@pytest.mark.parametrize(
    ("gates", "columns", "hidden"),
    [("", "", ""), ("", "columns: {grade: protected}", "grade"), (PROTECTED, "columns: {team: text}", "grade team")],
)
def test_nothing_is_asked_by_a_protected_column(tmp_path: Path, gates: str, columns: str, hidden: str) -> None:
    settings = f"name: t\n{gates}sources:\n  - {{path: staff.csv, kind: tables, max_pairs: 40, {columns}}}\n"
    report = ingest(write_project(tmp_path, {"hrmbuild.yaml": settings, "staff.csv": STAFF}), preview=200)
    assert "gate.protected" not in report.balance.reasons, "nothing is left to refuse"
    asked = "\n".join(pair.instruction for pair in report.previews)
    assert {name for name in ("grade", "team") if name in asked} == {"grade", "team"} - set(hidden.split())


ALLOWED = "gates: {protected: {grade: {allowed: {basis: law, approver: dpo@example.com}}}}\n"


@pytest.mark.parametrize(
    ("gates", "refused"), [(PROTECTED, True), ("", True), (ALLOWED, False)], ids=["gate", "entry", "allowed"]
)
def test_no_row_is_judged_by_a_protected_column(tmp_path: Path, gates: str, refused: bool) -> None:
    case = "case: {ruleset: r.yaml, facts: {distance: pay, shift: grade}}"
    settings = f"name: t\n{gates}sources:\n  - {{path: s.csv, kind: tables, columns: {{grade: protected}}, {case}}}\n"
    project = write_project(tmp_path, {"hrmbuild.yaml": settings, "s.csv": STAFF[:60]})
    if refused:
        with pytest.raises(ConfigError, match="decides by grade, which is protected"):
            ingest(project)
    else:
        assert [error.code for error in ingest(project).errors][-1] == "ingest.no_ruleset"
