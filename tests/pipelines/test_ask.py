"""`ask`: one question, many lines, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from packaged_project import Packaged
from small_project import write_project

from hrmbuild.errors import InputError, UsageError
from hrmbuild.pipelines.ask import ask, ask_lines, newest_package

QUESTION = "Parking\n1. If night shift: granted.\n\ndistance 10 km, day shift.\nIs the request granted or refused?"


def test_one_question_has_one_answer_with_its_figures(packaged_once: Packaged) -> None:
    report = ask(packaged_once.package, QUESTION, max_new_tokens=5)
    assert report.as_dict().keys() >= {"response", "tokens", "seconds", "sources"}
    assert 1 <= report.tokens <= 5 and report.prompt_tokens > 10 and report.sources == ()
    assert ask(packaged_once.package, QUESTION, max_new_tokens=5).response == report.response


def test_lines_are_answered_in_order_as_alone(packaged_once: Packaged) -> None:
    lines = [json.dumps({"instruction": f"{QUESTION} {n}", "id": str(n)}) for n in range(20)]
    answered = list(ask_lines(packaged_once.package, [*lines[:3], "\n", *lines[3:]], max_new_tokens=4))
    assert [one.id for one in answered] == [str(n) for n in range(20)]
    assert [one.number for one in answered] == [1, 2, 3, *range(5, 22)]
    alone = ask(packaged_once.package, f"{QUESTION} 7", max_new_tokens=4)
    assert answered[7].as_dict()["response"] == alone.response


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{", "ask.bad_line"),
        ('["a"]', "ask.bad_line"),
        ('{"question": "a"}', "ask.bad_line"),
        ('{"instruction": "a", "colour": 1}', "ask.bad_line"),
        ('{"instruction": "a", "condition": 3}', "ask.bad_line"),
        ('{"instruction": "a", "condition": "fast"}', "ask.unknown_condition"),
        (json.dumps({"instruction": "word " * 3000}), "ask.prompt_too_long"),
        ('{"instruction": " "}', "ask.empty"),
        (r'{"instruction": "a \ud800"}', "ask.not_text"),
        ("[" * 100_000, "ask.bad_line"),
    ],
)
def test_a_bad_line_says_so_and_stops_nothing(packaged_once: Packaged, line: str, code: str) -> None:
    good = json.dumps({"instruction": QUESTION})
    first, bad, last = ask_lines(packaged_once.package, [good, line, good], max_new_tokens=2)
    assert bad.error is not None and bad.error.code == code
    assert bad.as_dict()["line"] == 2
    assert first.report is not None and last.report is not None
    assert first.report.response == last.report.response


def test_a_question_that_does_not_fit_is_refused_not_cut(packaged_once: Packaged) -> None:
    with pytest.raises(UsageError) as caught:
        ask(packaged_once.package, "word " * 3000)
    assert caught.value.code == "ask.prompt_too_long" and caught.value.exit_status == 2
    with pytest.raises(UsageError, match="empty"):
        ask(packaged_once.package, " \n")
    with pytest.raises(UsageError, match="UTF-8"):
        ask(packaged_once.package, b"\xff".decode("utf-8", "surrogateescape"))


def test_the_newest_package_is_taken_and_none_is_an_error(packaged_once: Packaged, tmp_path: Path) -> None:
    assert newest_package(packaged_once.project) == packaged_once.package
    with pytest.raises(UsageError, match="no model has been packaged"):
        newest_package(write_project(tmp_path))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_torn_package_is_one_clear_error(packaged: Packaged, name: str) -> None:
    path = packaged.package / name
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError):
        ask(packaged.package, QUESTION)
    path.unlink()
    with pytest.raises(InputError):
        ask(packaged.package, QUESTION)
