"""The review page in a real browser, with the keyboard alone: five pairs, a reload, the next visit."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from headless_chromium import Page, chromium, find_chromium
from small_project import write_project

from hrmbuild.audit.decisions import read
from hrmbuild.pipelines.ingest import ingest

pytestmark = pytest.mark.slow

HIDDEN = "\u202e"
ROWS = [
    {"instruction": f"{words} <img src=x onerror=alert(1)>", "response": answer}
    for words, answer in (
        ("Who opens the gate before six?", "the porter"), ("Where do wet umbrellas go?", "into the blue stand"),
        ("Which lift carries pallets?", "the one beside dock four"), ("When is soup served?", "at noon on Thursdays"),
        ("How are parcels weighed?", "on the scale behind reception"),
    )
]  # fmt: skip
SETTINGS = """\
name: small
sources:
  - {path: "*.jsonl", kind: pairs, owner: me, license: internal, label: public, split: train}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    find_chromium()
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    project = write_project(tmp_path / "project", {"hrmbuild.yaml": SETTINGS, "rows.jsonl": lines})
    assert ingest(project).balance.kept == 5
    return project.folder


@contextmanager
def reviewing(folder: Path, report: list[dict[str, object]]) -> Generator[str]:
    """The page's address; what the command printed comes into `report` once Ctrl-C ended it."""
    command = [sys.executable, "-m", "hrmbuild", "review", "--reviewer", "ada", "--json"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        found = re.match(r"review: (http://127\.0\.0\.1:\d+/[\w-]{43}/)$", process.stderr.readline())
        assert found
        yield found[1]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, "Traceback" in err) == (0, False)
        report.append(json.loads(out))
    finally:
        process.kill()
        process.communicate()


def shown(page: Page, title: str) -> None:
    page.wait(f"document.querySelector('#title').innerText === {json.dumps(title)}")


def test_five_pairs_by_keyboard_a_reload_and_the_next_visit(folder: Path, tmp_path: Path) -> None:
    reports: list[dict[str, object]] = []
    with reviewing(folder, reports) as url, chromium(tmp_path / "profile") as page:
        page.open(url)
        shown(page, "Pair 1 of 5")
        assert "<img src=x onerror=alert(1)>" in page.text("#instruction")
        assert page.text("#evidence").startswith("rows.jsonl · line ") and page.run("document.images.length") == 0
        page.press("a")
        shown(page, "Pair 2 of 5")
        assert page.text("#live") == "Accepted. Pair 2 of 5." and page.run("document.activeElement.id") == "pair"

        page.press("r")  # a reason is needed: Enter alone keeps nothing
        page.press("Enter")
        page.wait("document.querySelector('#problem').innerText !== ''")
        page.type("the answer is wrong")
        page.press("Enter")
        shown(page, "Pair 3 of 5")

        page.press("e")  # an edit that a gate refuses stays open with the gate's words
        page.wait("document.activeElement.id === 'edit-response'")
        page.type(f" {HIDDEN}")
        page.run("document.querySelector('#reason').focus()")
        page.type("clearer")
        page.press("Enter", ctrl=True)
        page.wait("document.querySelector('#problem').innerText.includes('gate.')")
        page.run("document.querySelector('#edit-response').select()")
        page.run("document.querySelector('#edit-response').focus()")
        page.type("at noon, on Thursdays and Fridays")
        page.run("document.querySelector('#edit-answer').select(), document.querySelector('#edit-answer').focus()")
        page.type("noon")
        page.press("Enter", ctrl=True)
        shown(page, "Pair 4 of 5")

        page.press("a")
        shown(page, "Pair 5 of 5")
        page.press("k")
        shown(page, "Pair 4 of 5")
        page.press("u")
        page.wait("document.querySelector('#state').innerText === 'not decided'")
        page.run("window.isOld = true")
        page.call("Page.reload")
        page.wait("!window.isOld && document.readyState === 'complete'")
        shown(page, "Pair 4 of 5")  # the first that is not decided
        assert page.text("#counts") == "3/5 · 1 accepted · 1 rejected · 1 edited"
        page.press("ArrowLeft")
        shown(page, "Pair 3 of 5")
        assert page.text("#new-response") == "at noon, on Thursdays and Fridays"
        page.press("?")
        page.wait("document.querySelector('#help').open")
        page.press("a")  # no key decides while the help is open
        page.press("Escape")
        page.wait("!document.querySelector('#help').open")
        assert page.text("#counts").startswith("3/5")
        assert {address.split("/")[2] for address in page.requested()} == {url.split("/")[2]}
        assert [one for one in page.faults() if "422" not in one] == []  # the refused edit, as it was asked for
    assert reports == [{"decisions": 5, "accepted": 1, "rejected": 1, "edited": 1, "left": 2, "before": 0,
                        "reviewer": "ada (unsigned)", "signed_by": None}]  # fmt: skip
    actions = [one.decision.action for one in read(folder / "decisions.jsonl").recorded]
    assert actions == ["review_accept", "review_reject", "review_edit", "review_accept", "review_undo"]

    with reviewing(folder, reports) as url, chromium(tmp_path / "profile-2") as page:
        page.open(url)
        shown(page, "Pair 1 of 2")
        assert "decided before: 3 of 5" in page.text("#heading")
    assert reports[1]["left"] == 2 and reports[1]["before"] == 3


def test_narrow_and_dark_pages_fit_the_window_and_every_control_has_a_name(folder: Path, tmp_path: Path) -> None:
    with reviewing(folder, []) as url, chromium(tmp_path / "profile") as page:
        for width, height in ((1280, 900), (390, 800), (320, 640)):
            page.resize(width, height)
            page.open(url)
            shown(page, "Pair 1 of 5")
            assert page.run("document.documentElement.scrollWidth") <= width
            page.press("e")
            page.wait("!document.querySelector('#form').hidden")
            assert page.run("document.querySelector('#cancel').getBoundingClientRect().bottom") <= height
            page.press("Escape")
        named = (
            "[...document.querySelectorAll('button')].every((one) => one.innerText.trim() || one.offsetParent === null)"
        )
        labelled = "[...document.querySelectorAll('textarea, input')].every((one) => one.labels.length === 1)"
        assert page.run(named) and page.run(labelled)
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)"
