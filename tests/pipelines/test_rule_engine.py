"""The rule engine with parsed facts: what it reads from shown text, held against what compilers recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hrmbuild.audit.manifest import read_manifest
from hrmbuild.config.loading import Project
from hrmbuild.evaluation.answers import score_response
from hrmbuild.pairs.context import SqlConnection
from hrmbuild.pairs.rules_checked import CheckedRules, check_rules
from hrmbuild.pipelines.frozen_corpus import frozen_pairs
from hrmbuild.pipelines.manifests import all_manifests
from hrmbuild.pipelines.parsed_case import parse_case
from hrmbuild.pipelines.rule_engine import find_rules, rule_engine
from hrmbuild.records.pair import Pair
from hrmbuild.records.ruleset import RuleSet
from hrmbuild.store.connection import scratch_connection

RULES = RuleSet.model_validate({
    "ruleset": "leave", "title": "Leave", "question": "What is decided?",
    "facts": {
        "pay": {"type": "decimal", "text": "monthly pay", "unit": "EUR", "min": "0", "max": "9000", "step": "0.50"},
        "start": {"type": "date", "text": "first day", "min": "2026-01-01", "max": "2026-12-31"},
        "site": {"type": "choice", "text": "site", "values": ["north", "north east"]},
        "ill": {"type": "boolean", "text": "illness", "yes": "a note is there", "no": "no note"},
        "night": {"type": "boolean", "text": "night shift"},
    },
    "parameters": {"cap": {"value": "1250.50", "min": "1000", "max": "2000", "step": "0.50", "text": "upper bound"}},
    "outcomes": ["granted", "refused"],
    "rules": [
        {"id": "1", "when": "pay > cap AND NOT ill", "then": "refused", "because": "too much",
         "text": "Above {cap} EUR and without a note: refused; {cap} EUR itself is not above."},
        {"id": "2", "when": "site = 'north east' AND night", "then": "refused", "because": "the site",
         "text": "At the site north east by night: refused."},
        {"id": "3", "then": "granted", "because": "else", "text": "Else: granted."},
    ],
})  # fmt: skip
SHOWN = """Leave
2. At the site north east by night: refused.
1. Above 1,300.50 EUR and without a note: refused; 1,300.50 EUR itself is not above.
3. Else: granted.

"""


@pytest.fixture
def connection() -> Iterator[SqlConnection]:
    with scratch_connection() as opened:
        yield opened


@pytest.fixture
def rules(connection: SqlConnection) -> CheckedRules:
    return check_rules(RULES, path="leave.yaml", connection=connection)


def facts(rules: CheckedRules, question: str) -> dict[str, str]:
    parsed = parse_case(rules, SHOWN + question)
    assert parsed is not None
    return {rules.domains[i].name: rules.domains[i].text(value) for i, value in parsed.facts.items()}


def test_thresholds_and_the_order_of_the_rules_come_from_the_shown_text(rules: CheckedRules) -> None:
    parsed = parse_case(rules, SHOWN + "monthly pay: 1,300.50 EUR")
    assert parsed is not None
    assert parsed.variant.order == (1, 0, 2) and str(parsed.variant.parameters["cap"]) == "1300.50"
    assert parse_case(rules, SHOWN.replace("1,300.50 EUR itself", "1,200.50 EUR itself")) != parsed
    assert parse_case(rules, "Nothing of these rules is shown.") is None


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Case: monthly pay: 1,300.50 EUR, first day: 2026-03-05, north east, a note is there.",
         {"pay": "1300.50", "start": "2026-03-05", "site": "north east", "ill": "true"}),
        ("The monthly pay is 900 and site is north; no note, night shift: yes", {"pay": "900.00", "site": "north",
         "ill": "false", "night": "true"}),
        ("monthly pay 900.30, night shift is no", {"night": "false"}),
        ("monthly pay 900, monthly pay 950", {}),
        ("site: north or site: north east. What is decided?", {}),
    ],
)  # fmt: skip
def test_facts_are_read_by_name_and_what_is_not_clear_is_absent(
    rules: CheckedRules, question: str, expected: dict[str, str]
) -> None:
    assert facts(rules, question) == expected


def test_every_rule_question_of_a_frozen_corpus_is_answered_as_it_was_compiled(
    frozen_rules: tuple[Project, Path], connection: SqlConnection
) -> None:
    project, folder = frozen_rules
    found = find_rules(project, read_manifest(folder), connection)
    assert found.missing == () and len(found.rules) == 6
    engine = rule_engine(found.rules, connection)
    asked = [pair for pair in frozen_pairs(folder, "test")["test"] if pair.kind.startswith("rules.")]
    asked = [pair for pair in asked if pair.occurrences[0].inputs]
    assert asked and [pair.instruction for pair in asked if not _right(pair, engine(pair))] == []


def _right(pair: Pair, value: str | None) -> bool:
    if value is None:
        return pair.kind in ("rules.change", "rules.facts")
    return score_response(pair.answer, value, expected=pair.answer.value).exact


def test_a_rule_set_that_changed_since_it_was_frozen_is_named_and_not_used(
    frozen_rules: tuple[Project, Path], connection: SqlConnection
) -> None:
    project, folder = frozen_rules
    path = next(project.folder.glob("rules/*.yaml"))
    before = path.read_bytes()
    path.write_bytes(before + b"# a remark\n")
    found = find_rules(project, read_manifest(folder), connection)
    path.write_bytes(before)
    assert found.missing == (path.relative_to(project.folder).as_posix(),)


@pytest.fixture(scope="module")
def frozen_rules(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Path]:
    from small_project import write_project

    from hrmbuild.assets import asset_folder
    from hrmbuild.pipelines.freeze import freeze
    from hrmbuild.pipelines.ingest import ingest

    files = {f"rules/{path.name}": path.read_text("utf-8") for path in asset_folder("examples").glob("rules/*.yaml")}
    tables = ((asset_folder("examples") / "decision-tables").glob(one) for one in ("*.csv", "*.dmn", "*.yaml"))
    files |= {f"rules/{path.name}": path.read_text("utf-8") for found in tables for path in found}
    settings = """\
name: engine
seed: 2
sources:
  - path: rules
    kind: rules
    owner: desk
    license: internal
    rules: {scenarios: 40, variants: 8, variant_scenarios: 8}
"""
    project = write_project(tmp_path_factory.mktemp("engine"), files | {"hrmbuild.yaml": settings})
    ingest(project)
    freeze(project)
    return project, all_manifests(project)[0]
