"""The report in a real browser: it renders without a fault, asks for nothing, fits a telephone, prints whole on A4."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pypdfium2
import pytest
from audited_company import HEBREW, build_company, company
from headless_chromium import Page, chromium

from hrmbuild.pipelines.audit_report import ReportRequest, audit_report
from hrmbuild.pipelines.audit_sample import SampleRequest

pytestmark = pytest.mark.slow

A4_POINTS = (595, 842)
MARGIN = 38
CUT = """
[...document.querySelectorAll('main *')].filter(one => {
  const box = one.getBoundingClientRect(), scroller = one.closest('.wide');
  return box.width > 0 && !scroller && (box.right > innerWidth + 1 || box.left < -1);
}).map(one => one.outerHTML.slice(0, 80))
"""
CONTRAST = """
(() => {
  const light = c => { const v = c.match(/[\\d.]+/g).slice(0, 3).map(x => x / 255)
      .map(x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
      return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
  const behind = one => { for (; one; one = one.parentElement) { const c = getComputedStyle(one).backgroundColor;
      if (c !== 'rgba(0, 0, 0, 0)') return c; } return 'rgb(255, 255, 255)'; };
  let least = 21;
  for (const one of document.querySelectorAll('body *')) {
    if (![...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())) continue;
    const [a, b] = [light(getComputedStyle(one).color), light(behind(one))].sort((x, y) => y - x);
    least = Math.min(least, (a + 0.05) / (b + 0.05));
  }
  return least;
})()
"""


@pytest.fixture(scope="module")
def page(make_once: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("browser") / "report.html"
    request = ReportRequest(SampleRequest("three dice: 4 1 6", 60), show_label="confidential")
    audit_report(None, request, project=company(make_once("audited", build_company)), out=out)
    return out


@pytest.fixture(scope="module")
def browser(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        opened.resize(1200, 900)
        opened.open(page.as_uri())
        yield opened


def test_it_opens_without_a_fault_and_asks_for_nothing(browser: Page, page: Path) -> None:
    assert browser.faults() == []
    assert browser.requested() == [page.as_uri()]
    assert browser.run("document.title") == "Audit report of audited (confidential)"
    assert browser.run("getComputedStyle(document.querySelector('main h2')).borderTopWidth") == "2px"


def test_a_reader_program_finds_landmarks_headings_and_named_tables(browser: Page) -> None:
    browser.call("Accessibility.enable")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in nodes if not node["ignored"]]
    assert {"banner", "navigation", "main", "contentinfo"} <= set(roles)
    tables = [node for node in nodes if not node["ignored"] and node["role"]["value"] == "table"]
    assert len(tables) > 15
    assert all(node["name"]["value"] for node in tables)
    assert browser.run("document.querySelectorAll('h1').length") == 1


def test_nothing_is_cut_on_a_desk_or_a_telephone_and_all_words_stand_out(browser: Page) -> None:
    for width in (1200, 390, 320):
        browser.resize(width, 900)
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run(CUT) == [], width
    browser.resize(1200, 900)
    assert browser.run(CONTRAST) >= 4.5


def test_it_prints_whole_on_a4(browser: Page, tmp_path: Path) -> None:
    data = browser.call("Page.printToPDF", preferCSSPageSize=True)["data"]
    (tmp_path / "report.pdf").write_bytes(base64.b64decode(data))
    with pypdfium2.PdfDocument(tmp_path / "report.pdf") as pdf:
        assert len(pdf) > 5
        texts = []
        for number, sheet in enumerate(pdf, start=1):
            assert tuple(round(side) for side in sheet.get_size()) == A4_POINTS
            words = sheet.get_textpage()
            texts.append(words.get_text_range())
            assert f"{number} / {len(pdf)}" in texts[-1]
            assert "confidential" in texts[-1]
            boxes = [words.get_charbox(i) for i in range(words.count_chars())]
            assert max(box[2] for box in boxes) <= A4_POINTS[0] - MARGIN
            assert min(box[0] for box in boxes if box[2] > box[0]) >= MARGIN
    whole = "".join("\n".join(texts).split())
    shown = browser.run("document.querySelector('main').innerText")
    missing = [line for line in shown.splitlines() if _plain(line) and _plain(line) not in whole]
    assert [line for line in missing if HEBREW not in line][:5] == []


def _plain(line: str) -> str:
    """Words of a line without blanks; long lines break in cells, so only their first words are looked for."""
    return re.sub(r"\s", "", line.split("\t")[0])[:12]
