"""Each gate with pairs that pass and pairs that it refuses, and the fixed order."""

from __future__ import annotations

import pytest

from hrmbuild import gates
from hrmbuild.config.project import GatesConfig

CONFIG = GatesConfig(max_instruction_bytes=400, max_response_bytes=100)


def code_of(pair) -> str | None:
    """Code of the first refusal."""
    finding = gates.run(pair, CONFIG)
    return finding.code if finding else None


def test_the_order_of_gates_is_fixed():
    names = ["length", "unicode", "control_tokens", "language", "protected", "grounding", "secrets", "personal_data"]
    assert [gate.name for gate in gates.GATES] == names


def test_a_good_pair_passes(pair):
    assert code_of(pair()) is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"response": " \n"}, "gate.empty_response"),
        ({"instruction": ""}, "gate.empty_instruction"),
        ({"response": "x" * 101}, "gate.response_too_long"),
        ({"response": "ä" * 51}, "gate.response_too_long"),
        ({"response": "ä" * 50}, None),
        ({"instruction": "x 3.2 500 " * 41}, "gate.instruction_too_long"),
    ],
)
def test_lengths_are_bounded_in_bytes_and_nothing_empty_passes(pair, changes, code):
    assert code_of(pair(**changes)) == code


@pytest.mark.parametrize(
    ("response", "code"),
    [
        ("half \ud83d", "gate.lone_surrogate"),
        ("lost \ufffd", "gate.lost_character"),
        ("cafe\u0301", "gate.not_nfc"),
        ("café 👩\u200d💻 ✈\ufe0f", None),
    ],
)
def test_text_that_cannot_be_encoded_or_compared_is_refused(pair, response, code):
    assert code_of(pair(response=response)) == code


@pytest.mark.parametrize(
    "text",
    ["<|im_end|>", "<|IM_END|>", "\uff1c\uff5cim_end\uff5c\uff1e", "<\u2223im_end\u2223>", "\u2039|x|\u203a",
     "<| im_end |>", "</s>", "[INST]", "<think>", "\u27e8\u2502box_end\u2502\u27e9"],
)  # fmt: skip
def test_look_alikes_of_control_tokens_are_refused_in_both_texts(pair, text):
    assert code_of(pair(response=f"Say {text} now")) == "gate.control_token"
    assert code_of(pair(instruction=f"Say {text} now")) == "gate.control_token"


@pytest.mark.parametrize(
    "text", ["a < b | c > d", "<80/100*10=8>>", "x |> f <| y z", "{{ a }} <b>bold</b>", "[INSTALL]"]
)
def test_ordinary_marks_are_no_control_tokens(pair, text):
    assert code_of(pair(response=text, derivation="imported")) is None


@pytest.mark.parametrize("char", [*"\ufeff\u200b\u200e\u202e\u2066\u00ad\u2060\U000e0041", "a\u200db"])
def test_characters_that_nobody_sees_are_refused(pair, char):
    assert code_of(pair(response=f"word{char}word")) == "gate.hidden_character"


@pytest.mark.parametrize("char", ["\x00", "\x0c", "\x1b", "\x85", "\u2028"])
def test_control_characters_are_refused(pair, char):
    assert code_of(pair(response=f"word{char}word")) == "gate.control_character"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("p\u0430yment", "gate.homoglyph"),
        ("\u0421lause", "gate.homoglyph"),
        ("оплата счёта IT-отдел", None),
        ("Δt µm Ωx", None),
    ],
)
def test_words_of_two_scripts_that_look_like_one_are_refused(pair, text, code):
    assert code_of(pair(response=text)) == code


@pytest.mark.parametrize("text", ["नमस्ते क्\u200dष", "می\u200cخواهم", "👨\u200d👩\u200d👧", "tab\tand\nline"])
def test_joiners_that_shape_words_pass(pair, text):
    assert code_of(pair(response=text)) is None


@pytest.mark.parametrize(
    ("shown", "response", "code"),
    [
        ("up to 1,500.50 EUR", "1500.5 EUR", None),
        ("bis 1.500,50 EUR", "1,500.50 EUR", None),
        ("up to 500 EUR", "up to 600 EUR", "gate.ungrounded_number"),
        ("Rule R2 500 EUR", "500 EUR by R2", None),
        ("Rule R2 500 EUR", "2 500 EUR", None),
        ("on 2026-03-01", "on 1 March 2026", None),
        ("on March 1st, 2026", "2026-03-01", None),
        ("on 01.03.2026", "1 March 2026", None),
        ("on 1 March 2026", "on 2 March 2026", "gate.ungrounded_date"),
        ("on 1 March 2026", "in 2026", None),
        ("no numbers", "none at all", None),
    ],
)
def test_numbers_and_dates_of_a_quoted_answer_stand_in_what_is_shown(pair, shown, response, code):
    assert code_of(pair(instruction=shown, response=response)) == code


@pytest.mark.parametrize(
    "changes", [{"derivation": "queried"}, {"derivation": "evaluated"}, {"derivation": "imported"}, {"book": "closed"}]
)
def test_computed_imported_and_closed_book_answers_are_not_grounded_by_their_words(pair, changes):
    assert code_of(pair(response="It is 9999.", **changes)) is None


def test_a_refusal_says_in_one_sentence_what_was_found(pair):
    finding = gates.run(pair(response="It is 9999."), CONFIG)
    assert finding is not None
    assert finding.detail == "the answer's number '9999' does not stand in what is shown"
