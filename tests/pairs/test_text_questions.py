"""Questions that any text answers: places, short forms, days and lists, each in the text's own words."""

from __future__ import annotations

import pytest
from text_support import compile_one, document, pairs_of

from hrmbuild.pairs.draft import Piece, nearby
from hrmbuild.pairs.text_lists import read_lists
from hrmbuild.pairs.text_patterns import find_abbreviation, find_day
from hrmbuild.records.document import Block, Document
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import CompiledPair


@pytest.mark.parametrize(
    ("sentence", "short", "long"),
    [
        ("The Federal Open Market Committee (FOMC) met.", "FOMC", "Federal Open Market Committee"),
        ("Ask the Freedom of Information Act (FOIA) desk.", "FOIA", "Freedom of Information Act"),
        ("File a PIA (privacy impact assessment) first.", "PIA", "privacy impact assessment"),
        ("Read the Travel Office's (TO) list.", "TO", "Travel Office"),
        ("The branch in Talheim (ACME) is closed.", None, None),
        ("The Data Office (DO) and the Tax Office (TO) agree.", None, None),
        ("They met in May (USA) again.", None, None),
    ],
)
def test_a_short_form_is_spelt_by_the_words_beside_it(sentence: str, short: str | None, long: str | None) -> None:
    found = find_abbreviation(sentence)
    assert (found or (None, None)) == (short, long)


@pytest.mark.parametrize(
    ("sentence", "iso"),
    [
        ("The archive moves to the new cellar on 3 March 2025.", "2025-03-03"),
        ("On March 3, 2025, the archive moved to the new cellar.", "2025-03-03"),
        ("The archive moves on 3 March 2025 and again on 4 March 2025.", None),
        ("Since 2019 the archive has waited for its move on 3 March 2025.", None),
        ("The archive will move to the new cellar on 3 March.", None),
        ("Retrieved on 3 March 2025 from the old archive.", None),
        ("See https://example.org/a/page for the report of 3 March 2025.", None),
    ],
)
def test_the_one_day_of_a_sentence(sentence: str, iso: str | None) -> None:
    found = find_day(sentence)
    assert (found.iso if found else None) == iso
    assert found is None or found.gap.replace("[...]", found.words) == sentence


def with_list(lead: str, *points: str, after: str = "The house is closed on Sundays and on holidays.") -> Document:
    """A document of a heading, a list and a paragraph."""
    blocks: list[Block] = []
    for number, (kind, text) in enumerate(
        [("heading", "Keys"), ("paragraph", lead), *(("list_item", one) for one in points), ("paragraph", after)], 1
    ):
        place = Locator(line_from=number, line_to=number, heading_path=("House rules", "Keys"))
        level = 1 if kind == "list_item" else None
        blocks.append(Block.model_validate({"kind": kind, "text": text, "locator": place, "level": level}))
    return Document(source_sha256="0" * 64, path="d.md", title="House rules", blocks=tuple(blocks))


def kinds_of(record: Document, kind: str = "rules") -> dict[str, CompiledPair]:
    return {pair.kind: pair for pair in pairs_of(compile_one(record, kind))}


def test_a_list_is_shown_whole_and_asked_about_by_place_and_number() -> None:
    record = with_list("Leave these at the desk:", "the key of the cellar;", "the badge; and", "the parking card.")
    (found,) = read_lists(record)
    assert [found.point(i) for i in range(3)] == ["the key of the cellar", "the badge", "the parking card"]
    made = kinds_of(record)
    count, nth = made["texts.list_count"], made["texts.list_nth"]
    assert (count.answer.value, count.response, count.derivation) == ("3", "3.", "evaluated")
    assert nth.answer.value in ("the key of the cellar", "the badge", "the parking card")
    assert "- the key of the cellar;\n- the badge; and\n- the parking card." in nth.instruction
    assert nth.occurrence.text.startswith(nth.answer.value)


@pytest.mark.parametrize(
    "points",
    [("one point",), tuple(f"point {i}" for i in range(9)), ("the same", "the same."), ("<b>bold</b>", "plain")],
)
def test_what_is_no_list_to_be_asked_about_stays_a_fragment(points: tuple[str, ...]) -> None:
    record = with_list("Leave these at the desk:", *points)
    assert read_lists(record) == []
    compiled = compile_one(record, "rules")
    refused = [one.locator.line_from for one in compiled if not isinstance(one, CompiledPair)]
    assert 2 in refused


def test_blocks_of_a_shown_list_are_not_refused_too() -> None:
    compiled = compile_one(with_list("Leave these at the desk:", "the key;", "the badge."), "rules")
    assert not [one for one in compiled if not isinstance(one, CompiledPair) and one.code == "compile.fragment"]


def test_where_a_sentence_stands_is_asked_where_only_one_heading_has_it() -> None:
    twice = "The desk keeps a list of all the keys and of all the badges."
    key = "The porter has the keys of the cellar and of the roof."
    badge = "A badge is lent for a day at the desk, and for no longer."
    record = document(
        "# Cellar keys", key, twice, "# Badges", twice, badge, "# None", "No one is asked about this line."
    )
    asked = [pair for pair in pairs_of(compile_one(record, "rules")) if pair.kind == "texts.where"]
    assert {(pair.answer.value, pair.occurrence.text) for pair in asked} == {("Cellar keys", key), ("Badges", badge)}
    assert all(pair.instruction.count(pair.occurrence.text) == 2 for pair in asked)


def test_of_a_long_document_each_question_looks_at_a_drawn_run_of_it() -> None:
    pieces = tuple(Piece(order, f"text {order}") for order in range(2000))
    runs = {nearby(pieces, 0, f"key {number}") for number in range(20)}
    assert len(runs) == 20 and all(len(run) == 512 and run == pieces[run[0].order :][:512] for run in runs)
    assert nearby(pieces[:512], 0, "key") == pieces[:512]
