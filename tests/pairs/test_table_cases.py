"""A row as the case of a rule set: outcomes read by hand, two sources each, rows that are no case, what is refused."""

from __future__ import annotations

import duckdb
import pytest
from ruleset_support import example_record
from test_tables import table
from text_support import TEMPLATES, pairs_of, source_of

from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import InputError
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.registry import compile_record
from hrmbuild.records.pair import CompiledPair, Rejection

FACTS = {"amount": "Amount EUR", "days": "Days away", "carrier": "Means", "client": "Client pays"}
TRIPS = table(
    "trips",
    trip=["T1", "T2", "T3", "T4", "T5", "T6", "T7"],
    **{
        "Amount EUR": ["80.00", "40", "20", "20", None, "45", "30"],
        "Days away": ["20", "20", "60", "60", "60", "60", "10"],
        "Means": ["rail", "AIR", "car", "car", "car", "car", "bus"],
        "Client pays": ["no", "no", "yes", "no", "no", "no", "no"],
    },
)
OUTCOMES = {"T1": "board", "T2": "refuse", "T3": "approve", "T4": "manager"}
"""Read from the rules by a person."""


def compiled(facts: dict[str, str]) -> list[CompiledPair | Rejection]:
    settings = SourceConfig.model_validate({"path": "x", "kind": "tables", "case": {"ruleset": "r", "facts": facts}})
    rules = example_record("travel-expenses")
    with duckdb.connect() as connection:
        context = CompileContext(
            seed=0, source=source_of("trips.csv", settings), settings=settings, templates=TEMPLATES,
            connection=connection, siblings=(rules,), shown_labels={rules.source_sha256: "confidential"},
        )  # fmt: skip
        return list(compile_record(TRIPS, context))


@pytest.fixture(scope="module")
def made() -> list[CompiledPair | Rejection]:
    return compiled(FACTS)


def cases(made: list[CompiledPair | Rejection]) -> list[CompiledPair]:
    return [pair for pair in pairs_of(made) if pair.kind == "tables.case"]


def test_each_row_has_the_outcome_that_a_reader_of_the_rules_finds(made: list[CompiledPair | Rejection]) -> None:
    found = {name: pair for pair in cases(made) for name in OUTCOMES if f"\n{name} | " in pair.instruction}
    assert {name: pair.answer.value for name, pair in found.items()} == OUTCOMES
    assert all(pair.response.startswith(f"{pair.answer.value}. ") for pair in found.values())


def test_row_and_rules_each_support_the_pair_under_their_own_label(made: list[CompiledPair | Rejection]) -> None:
    rules = example_record("travel-expenses")
    by_question: dict[str, set[tuple[str, str]]] = {}
    for pair in cases(made):
        by_question.setdefault(pair.instruction, set()).add((pair.occurrence.source_sha256, pair.label))
        assert pair.occurrence.text in pair.instruction
    assert len(by_question) == 4
    assert all(one == {("0" * 64, "internal"), (rules.source_sha256, "confidential")} for one in by_question.values())


def test_a_row_that_is_no_case_says_why(made: list[CompiledPair | Rejection]) -> None:
    refused = [one for one in made if isinstance(one, Rejection) and one.code == "compile.not_a_case"]
    assert [(one.locator.row_from, one.detail.partition(": ")[2]) for one in refused] == [
        (5, "Amount EUR is empty, and amount is asked for"),
        (6, "Amount EUR 45 is no value that amount can have"),
        (7, "Means bus is no value that carrier can have"),
    ]


def test_facts_that_nobody_gives_or_has_are_refused() -> None:
    with pytest.raises(InputError, match="has no fact price and reads carrier, which no column gives"):
        compiled({"amount": "Amount EUR", "days": "Days away", "price": "Means", "client": "Client pays"})
