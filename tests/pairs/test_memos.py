"""Memos and mails: what each form gives; names from headers, quoted replies and signatures never reach a pair."""

from __future__ import annotations

from pathlib import Path

import pytest
from text_support import EXAMPLES, compile_all, compile_example, compile_one, document, pairs_of, read_files

from hrmbuild.config.project import SourceConfig
from hrmbuild.fingerprint import hash_file
from hrmbuild.pairs import memo_patterns as patterns
from hrmbuild.pairs.memo_people import Person, read_person
from hrmbuild.pairs.spans import apply_masks, read_masks
from hrmbuild.readers.resolving import resolve
from hrmbuild.records.pair import CompiledPair, Rejection

HEADERS = {
    "from": '"Ines Kordt (Head of Claims)" <ines@halden.example>',
    "to": "Branch managers",
    "date": "Tue, 4 Mar 2025 09:12:00 +0100",
    "subject": "A new form",
}


@pytest.mark.parametrize(
    ("value", "person"),
    [
        ("Ines Kordt, Head of Claims", Person("Ines Kordt", "Head of Claims")),
        ('"Ines Kordt (Head of Claims)" <i@x.example>', Person("Ines Kordt", "Head of Claims")),
        ("Ines Kordt <i@x.example>", Person("Ines Kordt", None)),
        ("Purchasing desk", Person(None, "Purchasing desk")),
        ("i@x.example", None),
        ("a@x.example, b@x.example", None),
    ],
)
def test_a_header_names_a_person_a_role_or_neither(value: str, person: Person | None) -> None:
    assert read_person(value) == person


@pytest.mark.parametrize(
    ("sentence", "parts"),
    [
        ("The desk will send the form by 3 March 2025.", ("the desk", "send the form", "by 3 March 2025")),
        ("The desk will send the form on 2025-03-03.", ("the desk", "send the form", "on 2025-03-03")),
        ("We will send the form by 3 March 2025.", None),
        ("The desk will send the form soon.", None),
        ("The form will be sent by 3 March 2025.", None),
        ("Will the desk send the form by 3 March 2025?", None),
    ],
)
def test_an_action_has_someone_a_task_and_a_day(sentence: str, parts: tuple[str, ...] | None) -> None:
    assert patterns.find_action(sentence) == parts


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("The archive moves because the cellar was wet.", "because the cellar was wet"),
        ("It moves because the cellar was wet in March.", None),
        ("The archive moves because of the water in the cellar.", None),
        ("The archive moves simply because the cellar was wet.", None),
    ],
)
def test_a_reason_follows_because(sentence: str, reason: str | None) -> None:
    found = patterns.find_reason(sentence)
    assert (found.reason if found else None) == reason


def test_a_figure_is_the_only_number_with_a_unit_and_keeps_its_scale() -> None:
    found = patterns.find_figure("The new hall costs $3.5 million in the first year.")
    assert found and (found.figure, found.number, found.unit, found.scale) == ("$3.5 million", "3.5", "USD", "million")
    assert patterns.find_figure("The hall costs 300 EUR and the desk 40 EUR in all.") is None
    assert patterns.find_figure("Of 12 people in the hall 3 have a desk for 40 EUR.") is None


@pytest.mark.parametrize(
    ("words", "day"),
    [
        ("3 March 2025", "2025-03-03"),
        ("March 3, 2025", "2025-03-03"),
        ("2025-03-03", "2025-03-03"),
        ("Tue, 4 Mar 2025 09:12:00 +0100", "2025-03-04"),
        ("3 March", None),
        ("31 February 2025", None),
    ],
)
def test_a_day_is_read_where_it_is_whole(words: str, day: str | None) -> None:
    assert patterns.read_day(words) == day


def memo(*texts: str, **settings: object) -> list[CompiledPair]:
    made = document(*texts, title="A new form", headers=HEADERS)
    return pairs_of(compile_one(made, "memos", **settings))


TEXT = ("Ines Kordt has asked for a shorter form for every branch.", "The desk will print the form by 3 May 2025.")


def test_names_become_roles_everywhere_and_the_masks_do_not_hold_them() -> None:
    pairs = memo(*TEXT)
    assert {"memos.author", "memos.recipient", "memos.date", "memos.subject"} <= {pair.kind for pair in pairs}
    assert all("Kordt" not in str(pair.canonical()) and "Ines" not in str(pair.canonical()) for pair in pairs)
    assert any("Head of Claims has asked for" in pair.instruction for pair in pairs)


def test_kept_names_stand_and_dropped_ones_are_not_asked_about() -> None:
    kept = [pair for pair in memo(*TEXT, persons="keep") if pair.kind == "memos.author"]
    assert kept and "Ines Kordt" in kept[0].answer.value
    dropped = memo(*TEXT, persons="drop")
    assert all(pair.kind != "memos.author" and "Kordt" not in pair.instruction for pair in dropped)


def test_quoted_replies_are_never_used() -> None:
    pairs = memo(*TEXT, "> The desk will burn the form by 1 January 2030.")
    assert pairs and all("burn" not in str(pair.canonical()) for pair in pairs)


def test_several_decisions_are_asked_for_by_their_place() -> None:
    pairs = memo(*TEXT, "# Decisions", "The form is blue on both sides.", "The form is kept for ten years.")
    said = {pair.response for pair in pairs if pair.kind == "memos.decision_nth"}
    assert said == {"The form is blue on both sides.", "The form is kept for ten years."}
    assert all(pair.kind != "memos.decision" for pair in pairs)


def test_a_question_in_the_memo_is_answered_by_the_memo() -> None:
    pairs = memo("Q: May I keep the old form?", "A: The old form is sent back to the desk.", *TEXT)
    assert {p.response for p in pairs if p.kind == "memos.question"} == {"The old form is sent back to the desk."}


def test_a_memo_that_gives_nothing_says_so() -> None:
    (rejected,) = compile_one(document("Thank you all for the cakes and the music today."), "memos")
    assert isinstance(rejected, Rejection) and rejected.code == "compile.no_question"


@pytest.fixture(scope="module")
def example_pairs() -> list[CompiledPair]:
    return pairs_of(compile_example("memos", "memos"))


def test_each_kind_comes_out_of_the_example_memos(example_pairs: list[CompiledPair]) -> None:
    assert {pair.kind.removeprefix("memos.") for pair in example_pairs} == {
        "absent", "action_what", "action_when", "action_who", "author", "date", "decision", "decision_nth", "figure",
        "question", "reason", "recipient", "subject", "texts.absent", "texts.day", "texts.where",
    }  # fmt: skip


def test_no_name_of_a_header_and_no_quoted_reply_of_the_examples_is_shown(example_pairs: list[CompiledPair]) -> None:
    for pair in example_pairs:
        for name in ("Kordt", "Brandis", "Weiss", "Sander", "Reuter", "Orth", "1 January 2026"):
            assert name not in str(pair.canonical())


def test_every_text_stands_at_its_span_after_its_masks(example_pairs: list[CompiledPair]) -> None:
    formats = {".md": "markdown", ".txt": "text", ".eml": "eml"}
    by_sha = {hash_file(path): path for path in (EXAMPLES / "memos").iterdir()}
    for pair in example_pairs:
        path = by_sha[pair.occurrence.source_sha256]
        exact = resolve(path, pair.occurrence.locator, format=formats[path.suffix])
        assert apply_masks(exact, read_masks(pair.occurrence.inputs)) == pair.occurrence.text


def test_real_mails_each_give_pairs_or_a_reason(shared_data: Path) -> None:
    settings = SourceConfig.model_validate({"path": "x", "kind": "memos"})
    files = list((shared_data / "memos/ruby-mail-eml/files/plain_emails").glob("*.eml"))
    compiled = compile_all(read_files(files, settings), settings)
    assert pairs_of(compiled) and all("@" not in pair.answer.value for pair in pairs_of(compiled))
