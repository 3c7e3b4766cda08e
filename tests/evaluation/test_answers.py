"""Responses against typed answers: literal tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrmbuild.evaluation.answers import score_response, starts_with, token_f1
from hrmbuild.records.pair import Answer

OUTCOME = Answer(type="choice", value="approved", choices=("approved", "approved with a note", "rejected"))
AMOUNT = Answer(type="number", value="1250.00", unit="EUR")
DAYS = Answer(type="number", value="12", unit="days", tolerance="0.5")
NAME = Answer(type="text", value="the head of finance")


@pytest.mark.parametrize(
    ("answer", "response", "exact"),
    [
        (OUTCOME, "approved. Rule R2: below 500 EUR.", True),
        (OUTCOME, "Approved", True),
        (OUTCOME, "approved with a note. Rule R3.", False),
        (OUTCOME, "rejected. It would be approved otherwise.", False),
        (OUTCOME, "approvedness", False),
        (OUTCOME, "approved rejected", False),
        (OUTCOME, "approved, rejected", False),
        (OUTCOME, "approved: the rule is met.", True),
        (Answer(type="number", value="12"), "12:30", False),
        (Answer(type="number", value="2025"), "2025-01-14", False),
        (Answer(type="number", value="1234"), "1,2345", False),
        (Answer(type="number", value="1234"), "1,234.", True),
        (Answer(type="text", value="5 %"), "-5 %", False),
        (Answer(type="text", value="C++"), "C#", False),
        (Answer(type="boolean", value="no"), "no yes", False),
        (Answer(type="date", value="2026-03-05"), "5 March 2026 or 6 March 2026", False),
        (Answer(type="date", value="2026-03-05"), "Thu, 5 Mar 2026 16:45:00 +0100.", True),
        (OUTCOME, "", False),
        (AMOUNT, "1,250 EUR. Rule R1.", True),
        (AMOUNT, "The amount is 1250.00 EUR.", True),
        (AMOUNT, "1250 USD.", False),
        (AMOUNT, "1250", True),
        (AMOUNT, "none. Rule 1250.", False),
        (AMOUNT, "1250.01 EUR", False),
        (AMOUNT, "€1,250.00 is paid.", True),
        (AMOUNT, "$1,250.00 is paid.", False),
        (AMOUNT, "1250 euros", True),
        (Answer(type="number", value="0.3", tolerance="0.1"), "0.4", True),
        (Answer(type="number", value="7.5", unit="%"), "7.5 per cent.", True),
        (DAYS, "12.4 day.", True),
        (DAYS, "12.6 days.", False),
        (Answer(type="number", value="-3"), "−3", True),
        (Answer(type="number", value="-3"), "3", False),
        (NAME, "The head of finance.", True),
        (NAME, "the head of the finance team", False),
        (Answer(type="date", value="2026-03-05"), "2026-03-05. Section 2.", True),
        (Answer(type="date", value="2026-03-05"), "on 5 March 2026", True),
        (Answer(type="date", value="2026-03-05"), "2026-03-06", False),
        (Answer(type="date", value="2026-03-05"), "soon", False),
        (Answer(type="boolean", value="yes"), "Yes. Rule 2.", True),
        (Answer(type="boolean", value="false"), "no", True),
        (Answer(type="boolean", value="false"), "yes", False),
        (Answer(type="sql", value="select  a from t"), "select a\nfrom t", True),
        (Answer(type="absent", value="not stated"), "Not stated. The text gives no amount.", True),
        (Answer(type="absent", value="not stated"), "500 EUR", False),
        (Answer(type="absent", value="not stated"), "The text does not say.", True),
        (Answer(type="absent", value="cannot be decided without days"), "cannot be decided without amount.", False),
    ],
)
def test_a_response_is_read_by_its_first_words(answer: Answer, response: str, exact: bool) -> None:
    assert score_response(answer, response, expected=answer.value).exact is exact


def test_reasoning_conditions_answer_last() -> None:
    answer = Answer(type="number", value="42")
    assert score_response(answer, "6 * 7 = 42\n#### 42", expected="", condition="cot").exact
    assert score_response(answer, "first 6, then\n42", expected="", condition="cot").exact
    assert not score_response(answer, "#### 41", expected="", condition="cot").exact


def test_a_text_may_match_the_whole_expected_response() -> None:
    score = score_response(NAME, "The head of finance (section 2)", expected="the head of finance. (Section 2)")
    assert score.exact and score.f1 == 1


def test_token_f1_by_hand() -> None:
    assert token_f1("a b c d", "a b x") == pytest.approx(2 * 2 / 7)
    assert token_f1("", "") == 1
    assert token_f1("", "a") == 0


@given(st.text(), st.text())
def test_token_f1_is_symmetric_and_bounded(one: str, other: str) -> None:
    assert token_f1(one, other) == token_f1(other, one)
    assert 0 <= token_f1(one, other) <= 1


@given(st.text())
def test_no_response_breaks_the_reading(text: str) -> None:
    for answer in (OUTCOME, AMOUNT, DAYS, NAME, Answer(type="date", value="2026-03-05")):
        for condition in ("direct", "cot"):
            score = score_response(answer, text, expected="x", condition=condition)
            assert 0 <= score.f1 <= 1


def test_an_empty_phrase_starts_nothing() -> None:
    assert not starts_with("anything", " .")
