"""`ask`: one question, many lines, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from packaged_project import Packaged
from small_project import write_project

from hrmbuild.errors import InputError, UsageError
from hrmbuild.inference.sampling import Sampling
from hrmbuild.pipelines.ask import AskSettings, ask, ask_lines, newest_package, sampling_settings

QUESTION = "Parking\n1. If night shift: granted.\n\ndistance 10 km, day shift.\nIs the request granted or refused?"


def test_one_question_has_one_answer_with_its_figures(packaged_once: Packaged) -> None:
    report = ask(packaged_once.package, QUESTION, settings=AskSettings(max_new_tokens=5))
    assert report.as_dict().keys() >= {"response", "tokens", "seconds", "sources"}
    assert 1 <= report.tokens <= 5 and report.prompt_tokens > 10 and report.sources == ()
    assert ask(packaged_once.package, QUESTION, settings=AskSettings(max_new_tokens=5)).response == report.response


def test_lines_are_answered_in_order_as_alone(packaged_once: Packaged) -> None:
    lines = [json.dumps({"instruction": f"{QUESTION} {n}", "id": str(n)}) for n in range(20)]
    answered = list(
        ask_lines(packaged_once.package, [*lines[:3], "\n", *lines[3:]], settings=AskSettings(max_new_tokens=4))
    )
    assert [one.id for one in answered] == [str(n) for n in range(20)]
    assert [one.number for one in answered] == [1, 2, 3, *range(5, 22)]
    alone = ask(packaged_once.package, f"{QUESTION} 7", settings=AskSettings(max_new_tokens=4))
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
    first, bad, last = ask_lines(packaged_once.package, [good, line, good], settings=AskSettings(max_new_tokens=2))
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


@pytest.mark.parametrize("sampling", [None, Sampling(1.5, top_k=50, seed=2)])
def test_pieces_of_a_streamed_answer_join_to_the_answer(packaged_once: Packaged, sampling: Sampling | None) -> None:
    settings, pieces = AskSettings(max_new_tokens=12, sampling=sampling), list[str]()
    report = ask(packaged_once.package, QUESTION, settings=settings, tell=pieces.append)
    assert "".join(pieces) == report.response == ask(packaged_once.package, QUESTION, settings=settings).response
    assert len(pieces) == report.tokens + 1


def test_a_drawn_answer_is_the_same_alone_and_among_others_and_hangs_on_the_seed(packaged_once: Packaged) -> None:
    lines = [json.dumps({"instruction": f"{QUESTION} {n}"}) for n in range(5)]
    drawn = AskSettings(max_new_tokens=8, sampling=Sampling(1.5, seed=1))
    together = [one.as_dict()["response"] for one in ask_lines(packaged_once.package, lines, settings=drawn)]
    by_two = ask_lines(packaged_once.package, lines, settings=drawn, batch_size=2)
    assert [one.as_dict()["response"] for one in by_two] == together
    assert ask(packaged_once.package, f"{QUESTION} 3", settings=drawn).response == together[3]
    other = AskSettings(max_new_tokens=8, sampling=Sampling(1.5, seed=2))
    assert [one.as_dict()["response"] for one in ask_lines(packaged_once.package, lines, settings=other)] != together


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"seed": 1, "top_k": 3}, "--top-k and --seed without --temperature"),
        ({"temperature": 0.0}, "--temperature 0"),
        ({"temperature": float("nan")}, "--temperature nan"),
        ({"temperature": 1.0, "top_k": 0}, "--top-k 0"),
        ({"temperature": 1.0, "top_p": 1.5}, "--top-p 1.5"),
    ],
)
def test_numbers_that_cannot_sample_are_refused(given: dict[str, float], where: str) -> None:
    numbers: dict[str, Any] = {"temperature": None, "top_k": None, "top_p": None, "seed": None} | given
    with pytest.raises(UsageError) as caught:
        sampling_settings(**numbers)
    assert caught.value.code == "ask.sampling" and caught.value.where == where


def test_an_altered_package_never_answers(packaged: Packaged) -> None:
    (packaged.package / ".planted").write_text("x", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        ask(packaged.package, QUESTION)
    assert caught.value.code == "package.altered" and caught.value.exit_status == 3
    with pytest.raises(InputError):
        list(ask_lines(packaged.package, ["{}"]))
