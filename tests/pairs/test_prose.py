"""Prose rules: what each sentence form gives, and that nothing is asked where the form leaves doubt."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from text_support import EXAMPLES, compile_all, compile_example, compile_one, document, pairs_of, read_files

from hrmbuild.config.project import SourceConfig
from hrmbuild.fingerprint import hash_file
from hrmbuild.pairs import prose_patterns as patterns
from hrmbuild.pairs.absent import NOT_STATED
from hrmbuild.pairs.clauses import read_clauses
from hrmbuild.pairs.draft import INSTRUCTION_BYTES
from hrmbuild.pairs.memo_patterns import read_day
from hrmbuild.pairs.sentences import split_sentences
from hrmbuild.pairs.spans import Mask, apply_masks, read_masks, without_marks
from hrmbuild.readers.resolving import resolve
from hrmbuild.records.pair import CompiledPair, Rejection


@pytest.mark.parametrize(
    ("sentence", "force", "subject", "action"),
    [
        ("The branch must register a claim.", "required", "the branch", "register a claim"),
        ("Staff must not light a candle.", "forbidden", "staff", "light a candle"),
        ("You may keep the receipt.", "permitted", "you", "keep the receipt"),
        ("No employee may accept a gift.", "forbidden", "any employee", "accept a gift"),
        ("GitHub shall notify Partner of it.", "required", "GitHub", "notify Partner of it"),
    ],
)
def test_a_modal_verb_gives_the_force(sentence: str, force: str, subject: str, action: str) -> None:
    norm = patterns.find_norm(sentence)
    assert norm and (norm.force, norm.subject, norm.action) == (force, subject, action)


@pytest.mark.parametrize(
    "sentence",
    [
        "The delay may cause further damage.",
        "This may not be supported.",
        "It must be signed.",
        "The branch should answer soon.",
        "The branch must answer and may send a copy.",
        "No employee must accept a gift.",
        "Must the branch answer the letter?",
        "Please note that we may keep the letter.",
        "The company shall not be liable for the loss.",
        'The branch must write "paid" on the letter.',
    ],
)
def test_a_form_that_leaves_doubt_gives_nothing(sentence: str) -> None:
    assert patterns.find_norm(sentence) is None


def test_each_part_of_a_long_comment_of_a_regulation_bears_its_name() -> None:
    long = " ".join(f"The branch must keep letter {number} of the customer for a year." for number in range(12))
    for number, grounds in (("Comment 9.2(a)-1", {"Comment 9.2(a)-1."}), ("4.2", {"Clause 4.2.", "Section Fees."})):
        page = document("# Fees", long)
        blocks = (page.blocks[0], page.blocks[1].model_copy(update={"number": number}))
        clauses = read_clauses(page.model_copy(update={"blocks": blocks}))[0]
        assert len(clauses) == 2 and {one.ground() for one in clauses} == grounds
        assert [one.piece.text.startswith(number) for one in clauses] == [True, len(grounds) == 1]


def test_a_condition_stands_apart_from_its_norm() -> None:
    norm = patterns.find_norm("If the loss is large, the desk must call the reinsurer.")
    assert norm and norm.condition == "if the loss is large" and norm.action == "call the reinsurer"


def test_an_exception_makes_the_force_doubtful() -> None:
    norm = patterns.find_norm("The traveller must not fly unless the head agrees.")
    assert norm and patterns.is_hedged(norm)
    assert patterns.find_exception("The traveller must not fly unless the head agrees.") == (
        "The traveller must not fly",
        "unless the head agrees",
    )


@pytest.mark.parametrize(
    ("sentence", "time"),
    [
        ("The desk must answer within 2 working days of the report.", "within 2 working days of the report"),
        ("The branch must send the letter at least 45 days before the end.", "at least 45 days before the end"),
        ("The desk must answer within 2 days and send a copy.", None),
        ("The desk may answer within 2 days.", None),
    ],
)
def test_a_deadline_stands_at_the_end_of_a_duty(sentence: str, time: str | None) -> None:
    norm = patterns.find_norm(sentence)
    assert norm
    found = patterns.find_deadline(norm)
    assert (found.time if found else None) == time


def test_a_threshold_is_the_only_limit_with_a_unit() -> None:
    found = patterns.find_threshold("A loss above $1,500, with pictures, is settled at once.")
    assert found and (found.figure, found.number, found.unit) == ("$1,500", "1500", "USD")
    assert found.gap == "A loss above [...], with pictures, is settled at once."
    assert patterns.find_threshold("A loss above 10 EUR and below 20 EUR is settled.") is None


@pytest.mark.parametrize(
    ("sentence", "term"),
    [
        ('"Day trip" means a journey that ends on the same day.', "Day trip"),
        ("The “Service” refers to the products of the company.", "Service"),
        ("Developer shall not by any means resell the data to others.", None),
        ("This means that nobody may enter the house.", None),
        ("Establish a means by which lenders are required to act in the interest of borrowers.", None),
    ],
)
def test_a_definition_has_marks_or_the_verb(sentence: str, term: str | None) -> None:
    found = patterns.find_definition(sentence)
    assert (found.term if found else None) == term


@given(st.text(alphabet="ab. !?\nAB1\"')", max_size=80))
def test_sentences_stand_at_their_offsets_and_lose_only_blanks(text: str) -> None:
    sentences = split_sentences(text)
    for sentence in sentences:
        assert " ".join(text[sentence.start : sentence.end].split()) == sentence.text
    assert "".join("".join(s.text.split()) for s in sentences) == "".join(text.split())


def test_abbreviations_and_numbers_do_not_end_a_sentence() -> None:
    texts = [s.text for s in split_sentences("See Art. 5 of the U.S. Code. It holds. 4.2 Hotels cost 3.50 EUR.")]
    assert texts == ["See Art. 5 of the U.S. Code.", "It holds.", "4.2 Hotels cost 3.50 EUR."]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("see [the **policy**](https://x.example/a_(b)) now", "see the policy now"),
        ("**Bold** and _thin_ and snake_case_name", "Bold and thin and snake_case_name"),
        ("a note[^1] and a\nwrapped  line", "a note and a wrapped line"),
        ("2 * 3 * 4", "2 * 3 * 4"),
    ],
)
def test_marks_are_masked_and_words_stay(text: str, words: str) -> None:
    assert without_marks(text) == words


@given(st.text(max_size=40), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5)), max_size=4))
def test_masks_replace_only_what_they_cover(text: str, places: list[tuple[int, int]]) -> None:
    masks, end = [], 0
    for start, length in sorted(places):
        if start >= end and start + length <= len(text):
            masks.append(Mask(start, start + length, "#"))
            end = start + length
    kept = "".join(c for i, c in enumerate(text) if not any(m.start <= i < m.end for m in masks))
    assert apply_masks(text, masks).replace("#", "") == kept.replace("#", "")


@pytest.fixture(scope="module")
def example_pairs() -> list[CompiledPair]:
    return pairs_of(compile_example("policies", "rules"))


def test_each_kind_comes_out_of_the_example_policies(example_pairs: list[CompiledPair]) -> None:
    kinds = {pair.kind for pair in example_pairs}
    of_texts = ("abbreviation", "absent", "day", "list_count", "list_nth", "where")
    wanted = (
        "absent", "case", "deadline", "definition", "duty", "exception", "force", "governs", "question", "reference",
        "threshold", "who",
    )  # fmt: skip
    assert kinds == {f"prose.{kind}" for kind in wanted} | {f"texts.{kind}" for kind in of_texts}


def test_every_quoted_text_stands_at_its_span_after_its_masks(example_pairs: list[CompiledPair]) -> None:
    formats = {".md": "markdown", ".txt": "text"}
    by_sha = {hash_file(path): path for path in (EXAMPLES / "policies").iterdir()}
    for pair in example_pairs:
        path = by_sha[pair.occurrence.source_sha256]
        exact = resolve(path, pair.occurrence.locator, format=formats[path.suffix])
        assert apply_masks(exact, read_masks(pair.occurrence.inputs)) == pair.occurrence.text


def test_every_answer_stands_in_the_instruction_or_is_declined(example_pairs: list[CompiledPair]) -> None:
    for pair in example_pairs:
        if pair.derivation == "absent":
            assert pair.response.startswith(NOT_STATED) and pair.answer.type == "absent"
        elif pair.answer.type == "choice":
            assert pair.answer.value in patterns.FORCES
        elif pair.kind == "texts.list_count":
            after = pair.instruction.partition(f"{pair.occurrence.text}\n")[2].splitlines()
            n_points = next(i for i, line in enumerate(after) if not line.startswith("- "))
            assert n_points == int(pair.answer.value)
        elif pair.answer.type == "date":
            said = pair.response.removesuffix(".")
            assert said in pair.instruction and read_day(said) == pair.answer.value
        elif pair.kind != "prose.governs":
            assert pair.answer.value.lower() in pair.instruction.lower() and pair.response.startswith(pair.answer.value)


def test_an_absent_twin_shows_nothing_that_answers_and_stays_on_the_side_of_its_twin(
    example_pairs: list[CompiledPair],
) -> None:
    twins = [pair for pair in example_pairs if pair.derivation == "absent"]
    share = len(twins) / len(example_pairs)
    assert 0.1 <= share <= 0.2
    cells = {pair.split_keys.cell for pair in example_pairs if pair.derivation != "absent"}
    for twin in twins:
        shown = twin.instruction.rsplit("\n\n", 1)[0]
        assert twin.occurrence.text not in shown and twin.split_keys.cell in cells


def test_instructions_fit_the_budget_and_the_same_seed_gives_the_same_pairs(example_pairs: list[CompiledPair]) -> None:
    assert max(len(pair.instruction.encode()) for pair in example_pairs) <= INSTRUCTION_BYTES
    assert pairs_of(compile_example("policies", "rules")) == example_pairs
    assert pairs_of(compile_example("policies", "rules", seed=1)) != example_pairs


def test_a_reference_is_followed_to_the_clause_it_names() -> None:
    compiled = compile_one(
        document(
            "2.1 Limits. A branch may settle a claim up to 900 EUR.",
            "2.2 A claim above the limit of clause 2.1 goes to the head of claims.",
            "2.3 The branch must keep the papers of every claim.",
        ),
        "rules",
    )
    (first, *_) = [pair for pair in pairs_of(compiled) if pair.kind == "prose.reference"]
    assert first.response == "A branch may settle a claim up to 900 EUR. Clause 2.1."
    assert "2.1 Limits." in first.instruction and "2.2 A claim" in first.instruction


def test_a_heading_that_asks_is_answered_by_the_words_below_it() -> None:
    compiled = compile_one(
        document("# How do I report a loss?", "You call the branch on the same day.", "# Notes", "Paper is kept dry."),
        "rules",
    )
    (first, *_) = [pair for pair in pairs_of(compiled) if pair.kind == "prose.question"]
    assert first.answer.value == "You call the branch on the same day"


def test_a_document_without_rules_is_rejected_with_its_reason() -> None:
    (rejected,) = compile_one(document("The sun was shining on the river all day."), "rules")
    assert isinstance(rejected, Rejection) and rejected.code == "compile.no_question"


def test_fragments_and_template_tags_are_rejected_and_never_shown() -> None:
    compiled = compile_one(
        document(
            "The branch must answer every letter.",
            "and send a copy to the desk;",
            "The {% data variables.company %} must keep the letter.",
            "Letters are kept in the cellar of the house.",
            "11 U.S.C. § 343, Fed. R. Bankr. P. 2003(b).",
        ),
        "rules",
    )
    codes = sorted(one.code for one in compiled if isinstance(one, Rejection))
    assert codes == ["compile.fragment", "compile.fragment", "compile.markup"]
    assert all("{%" not in pair.instruction and "send a copy" not in pair.instruction for pair in pairs_of(compiled))


def test_what_stands_twice_in_a_file_is_asked_once_and_said() -> None:
    rule = "The branch must answer every letter of a customer."
    compiled = compile_one(document(rule, "Letters are kept in the cellar of the house.", rule), "rules")
    assert [one.code for one in compiled if isinstance(one, Rejection)] == ["compile.repeated"]
    forced = [pair.occurrence.locator for pair in pairs_of(compiled) if pair.kind == "prose.force"]
    assert forced and len(set(map(str, forced))) == 1


@pytest.mark.parametrize(
    ("heading", "named"),
    [("Fees", "Section Fees."), ("§ 9.2 Fees.", "§ 9.2 Fees."), ("“(1) Referral.—", "Section (1) Referral."),
     ("If it is late:", "Section If it is late."), ("Part Time", "Section Part Time."), ("Who pays?", "")],
)  # fmt: skip
def test_a_response_names_the_heading_without_its_signs(heading: str, named: str) -> None:
    found = compile_one(document(f"# {heading}", "The branch must answer every letter of a customer.",
                                 "# Other", "The desk must keep each letter for a year."), "rules")  # fmt: skip
    (one,) = {pair.response for pair in pairs_of(found) if pair.kind == "prose.who" and "branch" in pair.response}
    assert one == f"the branch. {named}".strip()


def test_template_syntax_in_a_document_stays_text() -> None:
    compiled = compile_one(
        document("The branch must write {{ 7 * 7 }} on the form.", "A form is blue on both sides.", "Forms are free."),
        "rules",
    )
    assert all("49" not in one.instruction for one in pairs_of(compiled))


def test_real_policies_give_pairs_within_the_budget(shared_data: Path) -> None:
    settings = SourceConfig.model_validate({"path": "x", "kind": "rules"})
    files = list((shared_data / "rules/github-site-policy/files").glob("*.md"))
    pairs = pairs_of(compile_all(read_files(files, settings), settings))
    assert len(pairs) > 200 and max(len(pair.instruction.encode()) for pair in pairs) <= INSTRUCTION_BYTES
