"""A PDF to a Document: lines joined to paragraphs, headings by the size of their font, places with their page.

Owns what a line of a page is: running title, heading, beginning or continuation of a paragraph. A PDF knows none of
this, so it is inferred from sizes and gaps and the note says so; tables are read as lines. A page without text is a
row (`read.needs_ocr`); a file without any is refused. It must not call PDFium.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from hrmbuild.readers.flow import Flow, FlowText, Paragraph, flow_document, flow_text, quoted_words, words
from hrmbuild.readers.outline import clause_number
from hrmbuild.readers.pdf_lines import PageLine, PdfPage, PdfPages, read_pages
from hrmbuild.readers.result import ReadResult, SourceFile

_HEADING_RATIO = 1.12
"""A heading's font is this much higher than that of the running text."""
_MAX_HEADING_CHARS = 200
_MAX_LEVELS = 6
_GAP_RATIO = 1.45
"""A gap between two lines, in line heights, that ends a paragraph."""
_SAME_HEIGHT = 0.08
_BULLET = re.compile(r"[•·▪‣●○■◦–*-]\s+(?=\S)")
_ENDS_SENTENCE = re.compile(r"[.:;!?][\"”’)\]]*\s*$")
_DIGITS = re.compile(r"\d+")
_EDGE = 0.1
"""Running titles stand in the uppermost or lowest tenth of a page."""
_MIN_RUNNING_PAGES = 3


def read_pdf(file: SourceFile) -> ReadResult:
    """One Document."""
    return flow_document(file, pdf_flow(file))


def pdf_texts(file: SourceFile) -> dict[str | None, FlowText]:
    """The text that locators of a PDF count in."""
    return {None: flow_text(pdf_flow(file))}


def pdf_flow(file: SourceFile) -> Flow:
    """Paragraphs and skips of a PDF.

    Raises:
        InputError: `read.needs_ocr`, `read.encrypted`, `read.broken_pdf`, `read.too_large`.
    """
    pdf = read_pages(file)
    lines = [line for page in pdf.pages for line in page.lines]
    if not lines:
        raise file.error("read.needs_ocr", f"none of its {len(pdf.pages)} pages holds text: pictures, or nothing",
                         fix="run text recognition (OCR) over it and bring the result")  # fmt: skip
    flow = Flow(title=words(pdf.title or "").replace("\n", " ") or None)
    flow.notes.append("headings and paragraphs are inferred from the sizes and gaps of lines")
    running = _running(pdf)
    for page in pdf.pages:
        _page_skips(flow, page)
    for (page_number, sample), n_pages in sorted(running.shown.items()):
        flow.skip("read.page_header", f"a running title on {n_pages} pages is not read: {sample}", page=page_number)
    if pdf.n_attachments:
        flow.skip("read.embedded_object", f"{pdf.n_attachments} attached files are not read")
    layout = _Layout(_body_height(lines), _heading_heights(lines), flow)
    for line in lines:
        if id(line) not in running.lines:
            layout.add(line)
    layout.flush()
    return flow


def _page_skips(flow: Flow, page: PdfPage) -> None:
    if not page.lines and page.has_objects:
        flow.skip("read.needs_ocr", "the page holds no text: it is a picture or a drawing", page=page.number)
    elif page.n_images:
        flow.skip("read.image", f"{page.n_images} images on the page are not read", page=page.number)
    if page.n_notes:
        flow.skip("read.comment", f"{page.n_notes} notes or form fields on the page are not read", page=page.number)


@dataclass
class _Running:
    """Lines that stand on page after page."""

    lines: set[int] = field(default_factory=set)
    shown: dict[tuple[int, str], int] = field(default_factory=dict)
    """First page and words -> number of pages."""


def _running(pdf: PdfPages) -> _Running:
    """Titles and page numbers that are repeated at the top or bottom of at least half of the pages."""
    found: dict[str, list[PageLine]] = {}
    highest = _HEADING_RATIO * _body_height([line for page in pdf.pages for line in page.lines])
    for page in pdf.pages:
        edge = _EDGE * page.height
        for line in page.lines:
            if edge < line.bottom < page.height - edge or line.height > highest:
                continue
            found.setdefault(_DIGITS.sub("#", " ".join(line.text.split())), []).append(line)
    running = _Running()
    for lines in found.values():
        n_pages = len({line.page for line in lines})
        if n_pages >= max(_MIN_RUNNING_PAGES, len(pdf.pages) / 2):
            running.lines.update(id(line) for line in lines)
            running.shown[lines[0].page, quoted_words(lines[0].text)] = n_pages
    n_lines = sum(len(page.lines) for page in pdf.pages)
    return running if len(running.lines) < n_lines else _Running()


def _body_height(lines: list[PageLine]) -> float:
    """The font height in which most characters are set."""
    chars: Counter[float] = Counter()
    for line in lines:
        chars[round(line.height, 1)] += len(line.text)
    return max(chars, key=lambda height: (chars[height], -height))


def _heading_heights(lines: list[PageLine]) -> list[float]:
    """Heights of headings, highest first; the place in this list is the level."""
    body = _body_height(lines)
    return sorted({round(line.height) for line in lines if line.height > body * _HEADING_RATIO}, reverse=True)


@dataclass
class _Layout:
    """Lines becoming paragraphs."""

    body: float
    headings: list[float]
    flow: Flow
    _lines: list[PageLine] = field(default_factory=list)

    def add(self, line: PageLine) -> None:
        """Take the next line."""
        if self._lines and self._begins(line):
            self.flush()
        self._lines.append(line)

    def flush(self) -> None:
        """End the paragraph."""
        if not self._lines:
            return
        first = self._lines[0]
        text = words(_joined([line.text for line in self._lines]))
        self._lines = []
        bullet = _BULLET.match(text)
        if self._level(first) is not None and len(text) <= _MAX_HEADING_CHARS and not bullet:
            self.flow.add(Paragraph(text, "heading", self._level(first), page=first.page))
        elif bullet:
            self.flow.add(Paragraph(text[bullet.end() :], "list_item", 1, page=first.page))
        else:
            self.flow.add(Paragraph(text, page=first.page))

    def _level(self, line: PageLine) -> int | None:
        if line.height <= self.body * _HEADING_RATIO:
            return None
        return min(_MAX_LEVELS, 1 + self.headings.index(round(line.height)))

    def _begins(self, line: PageLine) -> bool:
        """Whether a line begins another paragraph than that of the lines before."""
        before = self._lines[-1]
        if abs(line.height - before.height) > _SAME_HEIGHT * before.height:
            return True
        if _BULLET.match(line.text.lstrip()) or _is_numbered(line.text):
            return True
        ended = bool(_ENDS_SENTENCE.search(before.text))
        if line.page != before.page or line.bottom > before.bottom + before.height:  # the next page or column
            return ended or not line.text.lstrip()[:1].islower()
        if before.bottom - line.bottom > _GAP_RATIO * before.height:
            return True
        widest = max(one.right for one in self._lines)
        is_short = before.right < widest - 0.15 * max(1.0, widest - before.left)
        is_indented = line.left > before.left + line.height and len(self._lines) > 1
        return ended and (is_short or is_indented)


def _is_numbered(text: str) -> bool:
    clause = clause_number(text.lstrip())
    return clause is not None and clause.length < len(text.lstrip())


def _joined(lines: list[str]) -> str:
    """Lines with a space between, without one where a word is divided."""
    text = ""
    for line in lines:
        text = text[:-1] + line.lstrip() if text.endswith("\x02") else f"{text} {line.strip(' ')}"
    return text.replace("\x02", "-")
