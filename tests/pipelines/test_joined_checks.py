"""A `case` or an `exception` of which nothing comes is said, and what is misspelt is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_project import RULESET, write_project

from hrmbuild.errors import ConfigError
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.ingest_report import IngestReport

SENTENCE = "During the strike a distance of 10 km is enough."
FILES = {
    "rules/parking.yaml": RULESET,
    "tables/requests.csv": "name,km,night\nR1,5,yes\nR2,10,no\nR3,25,no\n",
    "notices/strike.md": f"# Strike\n\nDate: 2025-02-01\n\n{SENTENCE}\n",
}
CASE = "case: {ruleset: rules/parking.yaml, facts: {distance: km, shift: night}}"
EXCEPTION = f"""exception:
      {{ruleset: rules/parking.yaml, sentence: "{SENTENCE}", when: distance >= 10, then: granted, scenarios: 3}}"""
CONFIG = f"""\
name: t
sources:
  - {{path: rules, kind: rules, rules: {{scenarios: 4, variants: 0}}}}
  - path: tables
    kind: tables
    {CASE}
  - path: notices
    kind: memos
    {EXCEPTION}
"""


def ingested(folder: Path, old: str = "", new: str = "") -> IngestReport:
    assert old in CONFIG
    return ingest(write_project(folder, {**FILES, "hrmbuild.yaml": CONFIG.replace(old, new, 1) if old else CONFIG}))


@pytest.mark.slow
def test_what_is_declared_and_used_is_no_error(tmp_path: Path) -> None:
    assert ingested(tmp_path).errors == ()


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("old", "new", "code", "where", "said"),
    [
        ("of 10 km is", "of 10 km was", "exception_unused", 7, "no memo of this entry says 'During"),
        pytest.param("case: {ruleset: rules/p", "case: {ruleset: rules/b", "no_ruleset", 4, "is no file", marks=SLOW),
        pytest.param("      {ruleset: rules/p", "      {ruleset: rules/b", "no_ruleset", 7, "did you mean", marks=SLOW),
        pytest.param("distance: km", "distance: name", "case_unused", 4, "no row of this entry", marks=SLOW),
    ],
)
def test_what_comes_to_nothing_is_said(tmp_path: Path, old: str, new: str, code: str, where: int, said: str) -> None:
    report = ingested(tmp_path, old, new)
    [error] = report.errors
    assert (error.code, error.where, report.exit_status) == (f"ingest.{code}", f"hrmbuild.yaml:{where}", 1)
    assert said in f"{error.what} {error.fix}"


def test_a_misspelt_column_of_a_case_is_an_error_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        ingested(tmp_path, "shift: night}", "shift: nihgt}")
    assert (caught.value.code, caught.value.fix) == ("config.unknown_column", "did you mean 'night'?")
