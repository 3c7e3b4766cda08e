"""A memo's exception before a rule set: read by hand from the instruction, two sources each, none without the words."""

from __future__ import annotations

import re

import duckdb
import pytest
from ruleset_support import example_record
from text_support import TEMPLATES, document, pairs_of, source_of

from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import InputError
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.registry import compile_record
from hrmbuild.records.pair import CompiledPair

SENTENCE = "During the strike, car trips of at most 40 EUR are approved."


def compiled(*texts: str, then: str = "approve") -> list[CompiledPair]:
    told = {"ruleset": "r", "sentence": SENTENCE, "when": "carrier = 'car' and amount <= 40", "then": then}
    settings = SourceConfig.model_validate({"path": "x", "kind": "memos", "exception": told})
    rules = example_record("travel-expenses")
    with duckdb.connect() as connection:
        context = CompileContext(
            seed=0, source=source_of("m.md", settings), settings=settings, templates=TEMPLATES, connection=connection,
            siblings=(rules,), shown_labels={rules.source_sha256: "confidential"},
        )  # fmt: skip
        found = pairs_of(list(compile_record(document(*texts), context)))
    return [pair for pair in found if pair.kind == "memos.exception"]


def outcome(told: str) -> str:
    """The rules of the example, with the sentence before them, by a person."""
    amount, days = (int(re.findall(rf"{word}(?:: | is | )(\d+)", told)[0]) for word in ("amount", "days"))
    if "car" in re.findall(r"\b(car|rail|air)\b", told) and amount <= 40:
        return "approve"
    if amount > 70:
        return "board"
    if "client pays" in told:
        return "approve"
    if re.search(r"\bair\b", told) and amount > 30:
        return "refuse"
    return "manager" if days > 50 else "approve"


def test_each_case_is_decided_with_the_exception_first_and_both_files_support_it() -> None:
    made = compiled("# Strike", SENTENCE)
    supports: dict[str, set[tuple[str, str]]] = {}
    for pair in made:
        assert pair.answer.value == outcome(pair.instruction.split(SENTENCE)[1]), pair.instruction
        assert pair.occurrence.text in pair.instruction
        supports.setdefault(pair.instruction, set()).add((pair.occurrence.source_sha256, pair.label))
    rules = example_record("travel-expenses").source_sha256
    assert len(supports) > 90
    assert all(one == {("0" * 64, "internal"), (rules, "confidential")} for one in supports.values())
    assert any("exception comes before" in pair.response for pair in made)


def test_a_memo_without_the_words_makes_no_such_pair_and_an_unknown_outcome_is_refused() -> None:
    assert compiled("# Strike", "> " + SENTENCE, "Trips by car need no look.") == []
    with pytest.raises(InputError, match="'allow' is no outcome of travel"):
        compiled("# Strike", SENTENCE, then="allow")
