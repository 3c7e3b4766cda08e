"""The rule engine with extracted facts: right facts lead to right outcomes, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaged_project import Packaged
from small_project import RULESET, write_project

from hrmbuild.audit.manifest import read_manifest
from hrmbuild.config.loading import Project
from hrmbuild.evaluation.answers import score_response
from hrmbuild.pipelines.evaluate import EvaluationRequest, evaluate_package
from hrmbuild.pipelines.extracted_facts import EXTRACTED, UNREADABLE, AskedCase, asked_cases, decided
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.frozen_corpus import frozen_pairs
from hrmbuild.pipelines.identity import project_templates
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.manifests import all_manifests
from hrmbuild.pipelines.package import package
from hrmbuild.pipelines.rule_engine import find_rules
from hrmbuild.pipelines.train import train
from hrmbuild.store.connection import scratch_connection

ONLY_RULES = """\
name: facts
seed: 3
sources:
  - path: rules/*.yaml
    kind: rules
    owner: desk
    license: internal
    rules: {scenarios: 60, variants: 12, variant_scenarios: 6, absent_fraction: 0.3, facts_fraction: FRACTION}
"""
TRAINED = """\
train: {preset: nano, steps: STEPS, batch_tokens: 1024, threads: 1, dtype: float32, eval_pairs: 4,
        eval_every_steps: STEPS}
model: {name: facts, contact: desk, intended_use: Tests., excluded_use: Everything else.}
"""


def written(folder: Path, *, fraction: float, steps: int = 2) -> Project:
    settings = ONLY_RULES.replace("FRACTION", str(fraction)) + TRAINED.replace("STEPS", str(steps))
    return write_project(folder, {"hrmbuild.yaml": settings, "rules/parking.yaml": RULESET})


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[AskedCase], Any]]:
    project = written(tmp_path_factory.mktemp("facts"), fraction=0.2)
    ingest(project)
    freeze(project)
    (folder,) = all_manifests(project)
    held_out = frozen_pairs(folder, "dev", "test")
    with scratch_connection() as connection:
        found = find_rules(project, read_manifest(folder), connection)
        pairs = [*held_out["dev"], *held_out["test"]]
        yield list(asked_cases(pairs, found.rules, project_templates(project), 3)), connection


def recorded(case: AskedCase) -> dict[str, object]:
    """What a perfect model would say."""
    inputs = case.pair.occurrences[0].inputs or {}
    facts = {name: inputs.get(f"fact.{name}") for name in ("distance", "shift")}
    return {name: None if text is None else json.loads(text) for name, text in facts.items()}


def test_right_facts_lead_to_the_right_outcome_under_the_rules_that_are_shown(
    cases: tuple[list[AskedCase], Any],
) -> None:
    asked, connection = cases
    kinds = {case.pair.kind for case in asked}
    assert kinds == {"rules.outcome", "rules.excerpt", "rules.missing_fact"}
    assert any("variant" in (case.pair.occurrences[0].inputs or {}) for case in asked)
    for case in asked:
        answer, failure = decided(case, json.dumps(recorded(case)), connection)
        assert failure is None
        assert score_response(case.pair.answer, answer, expected=case.pair.answer.value).exact, case.pair.instruction


def test_what_the_model_says_decides_and_not_what_the_text_says(cases: tuple[list[AskedCase], Any]) -> None:
    asked, connection = cases
    outcomes = {
        decided(case, json.dumps({"distance": distance, "shift": False}), connection)[0]
        for case in asked
        for distance in (0, 50)
        if case.pair.kind == "rules.outcome"
    }
    assert outcomes == {"granted", "refused"}


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        (None, "too_long"),
        ("", "not_json"),
        ("granted.", "not_json"),
        ('{"distance":5}', "missing_fact"),
        ('{"distance":5,"shift":true,"mood":null}', "unknown_fact"),
        ('{"distance":6,"shift":true}', "out_of_range"),
    ],
)
def test_an_answer_that_is_no_facts_is_counted_and_is_wrong(
    cases: tuple[list[AskedCase], Any], said: str | None, failure: str
) -> None:
    asked, connection = cases
    assert decided(asked[0], said, connection) == ("", failure)
    assert not score_response(asked[0].pair.answer, "", expected=asked[0].pair.answer.value).exact


def test_eval_shows_the_column_its_failures_and_its_cost(packaged: Packaged) -> None:
    report = evaluate_package(packaged.project, EvaluationRequest(split="test", most=40))
    found = report.as_dict()
    column, facts = report.evaluation.overall.columns[EXTRACTED], found["facts"]
    assert facts["n"] == column.n > 0
    assert facts["failed"] == sum(facts[name] for name in UNREADABLE) >= column.n - column.n_right > 0
    assert set(found["leads"][EXTRACTED]) >= {"mean", "low", "high"}
    assert found["models"][-1]["name"] == EXTRACTED and found["models"][-1]["seconds_per_1000"] > 0
    assert not any(EXTRACTED in note for note in report.notes)


@pytest.mark.slow
def test_a_corpus_that_teaches_no_facts_has_a_note_in_its_place(tmp_path: Path) -> None:
    project = written(tmp_path, fraction=0)
    ingest(project)
    freeze(project)
    train(project)
    package(project)
    report = evaluate_package(project, EvaluationRequest(split="test", most=4))
    assert EXTRACTED not in report.columns and "facts" not in report.as_dict()
    assert any(f"{EXTRACTED} is not shown" in note for note in report.notes)


@pytest.mark.slow
def test_a_nano_that_was_taught_facts_feeds_the_engine(tmp_path: Path) -> None:
    project = written(tmp_path, fraction=0.5, steps=300)
    ingest(project)
    freeze(project)
    train(project)
    package(project)
    report = evaluate_package(project, EvaluationRequest(split="test"))
    told = report.evaluation.overall.columns[EXTRACTED]
    # A model that gives no JSON feeds the engine nothing and has none right; 16 questions are asked, 6 were right.
    assert told.n == 16 and told.exact > 0.3
