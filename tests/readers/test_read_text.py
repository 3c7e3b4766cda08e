"""Plain texts: clauses that nest, headings that nothing marks, memo headers; encodings."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reader_spans import check_spans

from hrmbuild import readers
from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.readers.decoding import decode

STATUTE = """§12. Leave

(a) In general

An employee may take leave if-

    (1) the manager agrees, and

    (2) the employee

        (A) has worked six months, or

        (B) is a parent.

    the leave is paid.

(b) Exceptions

None.
"""


def test_clauses_of_a_statute_nest_by_indentation_and_shape(read_file):
    document = read_file("section12", STATUTE).records[0]
    rows = [(block.kind, block.number, block.text, block.locator.heading_path) for block in document.blocks]
    top, general = "§12. Leave", "(a) In general"
    assert rows == [
        ("heading", "§12", "Leave", None),
        ("heading", "(a)", "In general", (top,)),
        ("paragraph", None, "An employee may take leave if-", (top, general)),
        ("list_item", "(1)", "the manager agrees, and", (top, general)),
        ("list_item", "(2)", "the employee", (top, general)),
        ("list_item", "(A)", "has worked six months, or", (top, general, "(2)")),
        ("list_item", "(B)", "is a parent.", (top, general, "(2)")),
        ("paragraph", None, "the leave is paid.", (top, general, "(2)")),
        ("heading", "(b)", "Exceptions", (top,)),
        ("paragraph", None, "None.", (top, "(b) Exceptions")),
    ]
    assert document.title == top


def test_a_memo_in_plain_text_has_headers_continued_on_indented_lines(read_file):
    memo = (
        "MEMORANDUM\n\nFrom: Ada\nTo: Ben,\n    Cleo\nDate: 3 May 2026\nRe: Keys\n\nWe decided to change the locks.\n"
    )
    document = read_file("memo.txt", memo, kind="memos").records[0]
    assert document.headers == {"from": "Ada", "to": "Ben,\n    Cleo", "date": "3 May 2026", "subject": "Keys"}
    assert [block.text for block in document.blocks] == ["MEMORANDUM", "We decided to change the locks."]


def test_a_header_without_a_value_stays_text(read_file):
    document = read_file("memo.txt", "To:\nFrom: Ada\nDate:\n\nThe locks are changed.\n", kind="memos").records[0]
    assert document.headers == {"from": "Ada"}
    assert [block.text for block in document.blocks] == ["To:", "Date:", "The locks are changed."]


def test_a_letter_after_h_is_a_letter_and_not_a_roman_number(read_file):
    text = "Part\n\n" + "\n\n".join(f"({letter}) Title {letter.upper()}\n\nWords." for letter in "ghi")
    document = read_file("a.txt", text).records[0]
    headings = [block for block in document.blocks if block.number]
    assert {block.locator.heading_path for block in headings} == {("Part",)}


def test_a_bulleted_list_and_an_underlined_title_are_seen(read_file):
    document = read_file("a.txt", "Rules\n=====\n\nBring:\n- a pen\n- paper\n").records[0]
    assert [(block.kind, block.text) for block in document.blocks] == [
        ("heading", "Rules"),
        ("paragraph", "Bring:"),
        ("list_item", "a pen"),
        ("list_item", "paper"),
    ]


@pytest.mark.parametrize(
    ("encoding", "noted"),
    [("utf-8", False), ("utf-8-sig", False), ("utf-16", False), ("utf-16-le", True), ("cp1252", True)],
)
def test_an_encoding_is_read_and_a_guess_is_noted(read_file, encoding, noted):
    words = "Die Prüfung der Anträge läuft über das Büro. Für Rückfragen: Größe und Menge müssen übereinstimmen."
    result = read_file("a.txt", words.encode(encoding))
    assert result.records[0].blocks[0].text == words
    assert bool(result.notes) is noted


def test_equally_likely_encodings_are_decided_for_western_text(read_file):
    words = "El año próximo la compañía publicará información según la región, también para los niños."
    assert read_file("a.txt", words.encode("cp1252")).records[0].blocks[0].text == words


def test_utf8_with_a_broken_byte_is_refused_with_its_line(read_file):
    with pytest.raises(InputError) as caught:
        read_file("a.txt", "äöü\nßéè\n".encode() + b"broken \xff here\n")
    assert (caught.value.code, caught.value.where) == ("read.broken_utf8", "a.txt:3")


def test_random_bytes_are_refused(read_file):
    with pytest.raises(InputError) as caught:
        read_file("a.txt", bytes(range(256)) * 4)
    assert caught.value.code in ("read.binary", "read.unknown_encoding")


TEXT = st.lists(
    st.sampled_from(
        ["Title", "CAPITALS", "(a) In general", "(i) roman", "    (1) deep", "1. item", "- bullet", "words and words.",
         "", "", "-----", "=====", "From: x", "Date: y", "  cont", "§ 3 Law", "Article 4: Text", "3.2 The rule",
         "\u0301accent", "\tTab"]
    ),
    max_size=14,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(TEXT)
def test_every_word_of_any_text_is_in_a_block_or_a_header(lines):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.txt"
        path.write_text("\n".join(lines), encoding="utf-8")
        source = SourceConfig(path="any.txt", kind="rules")
        sha256 = sha256_hex(path.read_bytes())
        result = readers.read(path, relative="any.txt", sha256=sha256, source=source, format="text")
        check_spans(path, "text", result)
    document = result.records[0]
    seen: set[int] = set()
    for place in [block.locator for block in document.blocks] + list(document.header_locators.values()):
        seen.update(range(place.line_from or 0, (place.line_to or 0) + 1))
    assert not [line for n, line in enumerate(lines, 1) if n not in seen and line.strip(" \t-=")]


@pytest.mark.parametrize(
    "text", ["Grüße aus Köln an die Straße, für alle.", "Le café est fermé à midi.", "naïve “quoted”"]
)
def test_short_western_text_is_not_taken_for_chinese(text: str) -> None:
    decoded = decode(text.encode("cp1252"), where="memo.txt")
    assert (decoded.text, decoded.encoding, decoded.guessed) == (text, "cp1252", True)


@pytest.mark.parametrize(
    ("text", "encoding"), [("Zażółć gęślą jaźń na noc.", "cp1250"), ("Привет, вот записка.", "cp1251")]
)
def test_other_single_byte_text_is_left_to_the_detector(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding), where="memo.txt").text == text
