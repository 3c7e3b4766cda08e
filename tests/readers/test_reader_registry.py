"""The ways in: which reader takes a file, what is refused, what a worker process needs."""

from __future__ import annotations

import contextlib
import pickle
import time
from pathlib import Path

import pytest

from hrmbuild import readers
from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.records.locator import Locator

SOURCE = SourceConfig(path="*", kind="rules")


@pytest.mark.parametrize(
    ("name", "head", "format"),
    [
        ("a.MD", b"x", "markdown"),
        ("a.html.md.erb", b"x", "markdown"),
        ("section7", b"Words of law.\n", "text"),
        ("notes.v2", b"Words.\n", "text"),
        ("page", b"---\ntitle: x\n---\nWords\n", "markdown"),
        ("mail", b"Received: by x\nFrom: a\n\nhi\n", "eml"),
        ("rows", b'{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("a.json", b'{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("a.json", b'{"a": 1}', "json"),
        ("a.tsv", b"a\tb\n", "csv"),
        ("a.pl", b"% Text\n", None),
        ("a.msg", b"\xd0\xcf\x11\xe0", None),
        ("a.DOCX", b"PK\x03\x04", "docx"),
        ("a.htm", b"<p>", "html"),
        ("report", b"%PDF-1.7", None),
        ("page", b"<?xml version='1.0'?><a/>", None),
        ("blob", bytes(range(256)), None),
    ],
)
def test_a_format_is_inferred_from_suffix_and_content_or_not_at_all(name, head, format):
    assert readers.infer_format(Path(name), head) == format


def test_an_unknown_format_lists_those_that_are_read(read_file):
    with pytest.raises(InputError) as caught:
        read_file("a.msg", b"\xd0\xcf\x11\xe0")
    assert caught.value.code == "read.unknown_format"
    assert all(name in str(caught.value.why) for name in readers.READERS)


def test_a_declared_format_wins_over_the_suffix(read_file):
    assert len(read_file("rows.txt", '{"a": "1"}\n', format="jsonl").records[0].fields) == 1


def test_a_file_that_changed_after_it_was_hashed_is_refused(tmp_path):
    path = tmp_path / "a.md"
    path.write_text("new words")
    with pytest.raises(InputError) as caught:
        readers.read(path, relative="a.md", sha256=sha256_hex(b"old words"), source=SOURCE, format="markdown")
    assert caught.value.code == "read.changed"


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError) as caught:
        readers.read(tmp_path / "gone.md", relative="gone.md", sha256="0" * 64, source=SOURCE, format="markdown")
    assert caught.value.code == "read.missing"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", " " * 300_000 + "x\n" + "\x0b" * 300_000 + "x"),
        ("a.txt", "-" * 300_000 + "x\n" + ". " * 150_000),
        ("a.md", "[" * 300_000 + "\n\n" + "<!--" * 50_000 + "\n\n" + ">" * 20_000),
        ("a.md", "words\n\n" * 20_000),
        ("a.csv", '"' * 300_000),
        ("a.eml", "From: a\nContent-Type: text/html\n\n" + "<a " * 80_000),
        ("a.eml", "From: a\nContent-Type: text/html\n\n" + "<!-- >" * 80_000),
        ("a.eml", "From: a\nSubject: " + "=?" * 150_000 + "\n\n" + " " * 300_000 + "x"),
        ("a.yaml", "ruleset: a\nx: " + "{a: " * 50_000),
    ],
)
def test_input_made_to_take_quadratic_time_does_not(read_file, name, content):
    started_at_s = time.monotonic()
    with contextlib.suppress(InputError):
        read_file(name, content)
    assert time.monotonic() - started_at_s < 8  # under 1.5 s here; the quadratic forms took minutes


def test_results_travel_between_processes(read_file):
    result = read_file("a.md", "# A\n\nWords.\n")
    assert pickle.loads(pickle.dumps(result)) == result


def test_a_locator_outside_the_file_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("Words.\n")
    for locator in (Locator(char_from=3, char_to=99), Locator(line_from=9), Locator(page=1), Locator(part="1")):
        with pytest.raises(InputError) as caught:
            readers.resolve(path, locator, format="text")
        assert caught.value.code == "read.bad_locator"
