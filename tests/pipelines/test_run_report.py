"""The page of a run: one file that needs nothing else, escaped, bounded, the same numbers as a table."""

from __future__ import annotations

import datetime as dt
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from test_status import a_record, a_run

from hrmbuild.pipelines.report_svg import axis, short
from hrmbuild.pipelines.run_report import render, write_run_report
from hrmbuild.training.events import Events
from hrmbuild.training.history import History, read_history

NOW = dt.datetime(2026, 5, 4, 12, 0, tzinfo=dt.UTC)
VOID = {"meta", "br", "link", "img", "input"}


class Page(HTMLParser):
    """Elements with their attributes, and that each is closed in its order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(path: Path, **how: Any) -> Page:
    folder = a_run(path, **how)
    return Page(render(folder, a_record(), read_history(folder.metrics), now=NOW))


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    page = page_of(tmp_path / "run")
    assert page.open == []
    used = {name for name, _ in page.elements}
    assert not used & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "image", "use"}
    names = {key for _, attributes in page.elements for key in attributes}
    assert not names & {"src", "href", "xlink:href", "action", "srcset"} and not [
        n for n in names if n.startswith("on")
    ]
    policy = next(one["content"] for one in page.of("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_nothing_of_it_names_another_place(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    text = render(folder, a_record(), read_history(folder.metrics), now=NOW)
    assert re.findall(r"(?:https?:)?//\w|url\(|@import|@font-face", text) == []
    assert str(tmp_path) not in text


def test_every_figure_has_a_title_a_description_and_its_numbers_as_a_table(tmp_path: Path) -> None:
    page = page_of(tmp_path / "run")
    figures = page.of("svg")
    assert len(figures) == 5 and all(one["role"] == "img" for one in figures)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    labels = [label for one in figures for label in str(one["aria-labelledby"]).split()]
    assert sorted(labels) == sorted(ids)
    assert len(page.of("details")) == len(figures) == len(page.of("caption"))
    assert "20 held out" in page.words and "4.0000" in page.words and {"html", "title"} <= {n for n, _ in page.elements}
    assert page.of("html") == [{"lang": "en"}]


def test_what_a_document_is_called_is_text_and_nothing_else(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    Events(folder.events).told('<img src=x onerror="alert(1)"> & {{ 7 * 7 }}')
    text = render(folder, a_record(), read_history(folder.metrics), now=NOW)
    page = Page(text)
    assert page.of("script") == [] and page.of("img") == []
    told = [word for word in page.words if "onerror" in word]
    assert len(told) == 1 and '<img src=x onerror="alert(1)"> & {{ 7 * 7 }}' in told[0]
    assert [word for word in page.words if "<script>alert(1)</script>" in word]


def refreshes(page: Page) -> bool:
    return any(one.get("http-equiv") == "refresh" for one in page.of("meta"))


@pytest.mark.parametrize(
    ("how", "words"),
    [(None, "Running"), ("finished", "Finished"), ("failed", "Stopped by an error"), ("interrupted", "Interrupted")],
)
def test_it_renews_itself_only_while_the_run_goes_on(tmp_path: Path, how: str | None, words: str) -> None:
    page = page_of(tmp_path / "run", how=how)
    assert refreshes(page) == (how is None)
    assert [word for word in page.words if word.startswith(words)]


def test_sessions_kills_and_their_cost_stand_in_a_table(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    Events(folder.events).killed(20, last_seen=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
    Events(folder.events).began(15, device="cpu", ranks=1, usd_per_hour=7.2)
    page = Page(render(folder, a_record(), read_history(folder.metrics), now=dt.datetime.now(dt.UTC)))
    assert [word for word in page.words if word.startswith("without a word, last seen ")]
    assert page.words.count("$7.20") >= 1 and "15" in page.words


def test_before_the_first_step_there_is_a_page_without_curves(tmp_path: Path) -> None:
    page = page_of(tmp_path / "run", steps=0)
    assert page.of("svg") == [] and "No step was made yet." in page.words


def test_a_single_step_and_one_value_throughout_can_be_drawn(tmp_path: Path) -> None:
    assert len(page_of(tmp_path / "one", steps=1).of("svg")) == 5
    assert page_of(tmp_path / "two", steps=2).of("circle") == []


def test_a_long_run_takes_no_more_room_and_time_than_a_middling_one(tmp_path: Path) -> None:
    def history(steps: int) -> History:
        made = History()
        for n in range(1, steps + 1):
            dev = {"dev": {"loss": 1, "n_tokens": 1}} if n % 9 == 0 else {}
            values = {"step": n, "loss": n % 7, "grad_norm": n % 5, "lr": 0.1, "k": 5, "tokens_per_s": n % 11}
            made.add(values | {"elapsed_s": n, "peak_mib": 9.0} | dev)
        return made

    folder = a_run(tmp_path / "run")
    middling, long = history(2_000), history(20_000)
    began_at_s = time.process_time()
    size = len(render(folder, a_record(), long, now=NOW))
    assert time.process_time() - began_at_s < 5
    assert size < 2.5 * len(render(folder, a_record(), middling, now=NOW)) and size < 500_000


def test_the_page_is_written_whole(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    write_run_report(folder, a_record(), read_history(folder.metrics))
    assert Page(folder.report_html.read_text("utf-8")).open == []
    assert [path.name for path in (tmp_path / "run").iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 10, (0, 2, 4, 6, 8, 10)), (0, 3, (0, 1, 2, 3)), (0, 120, (0, 25, 50, 75, 100, 125)), (2, 2, None)],
)
def test_axes_have_round_ticks_around_the_values(low: float, high: float, ticks: tuple[float, ...] | None) -> None:
    found = axis(low, high)
    assert found.low <= low and found.high >= high and found.low < found.high
    assert ticks is None or found.ticks == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.25, "0.25"), (5e-4, "0.0005"), (2e-5, "2e-05"), (1500, "1,500"), (3e5, "300k")]
)
def test_numbers_on_axes_are_short(value: float, text: str) -> None:
    assert short(value) == text
