"""Formats without lines of their own (pages, office documents): paragraphs in reading order, and the text they make.

Owns that text: the paragraphs one below the other, white space collapsed, NFC. A block of such a document stands at
characters of it, and its locator says paragraph (1-based) and page. The reader and `resolve` come through the same
function of a format, so the text is the same both times. It must not know any format.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from hrmbuild.readers.clauses import clause_blocks
from hrmbuild.readers.memo_headers import MemoHeaders, find_memo_headers
from hrmbuild.readers.outline import Outline, clause_number
from hrmbuild.readers.result import ReadResult, SourceFile
from hrmbuild.readers.spans import SourceText, nfc
from hrmbuild.records.document import Block, BlockKind, Document
from hrmbuild.records.locator import Locator
from hrmbuild.records.source import Skip

_MEMO_TITLE = re.compile(r"\s*[A-Z][A-Z \d/&-]{3,}\s*$")
_NEVER = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_MOST_TITLES = 2
"""A title may be set as two lines."""
MAX_DETAIL_CHARS = 200
"""Of words that a skip quotes."""


@dataclass(frozen=True)
class Paragraph:
    """Some words that belong together."""

    text: str
    kind: BlockKind = "paragraph"
    level: int | None = None
    """Of a heading (1 is the outermost) or the depth of a list item."""
    number: str | None = None
    """The number that the program draws before it; one that is typed stands in the text."""
    page: int | None = None


@dataclass
class Flow:
    """What a format's own module finds in a file."""

    paragraphs: list[Paragraph] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    title: str | None = None

    def add(self, paragraph: Paragraph) -> None:
        """Append a paragraph; one without words is none."""
        if paragraph.text:
            self.paragraphs.append(paragraph)

    def skip(self, code: str, detail: str, *, page: int | None = None) -> None:
        """Record what is not read at the place of the next paragraph, or on a page."""
        place = Locator(page=page) if page else Locator(paragraph=len(self.paragraphs) + 1)
        self.skips.append(Skip(code=code, detail=detail, locator=place))


@dataclass(frozen=True)
class FlowText(SourceText):
    """The text of a flow, with the paragraph and page of each character."""

    starts: tuple[int, ...] = ()
    """First character of each paragraph."""
    pages: tuple[int | None, ...] = ()
    """Page of each paragraph."""

    def locator(self, start: int, end: int, *, heading_path: tuple[str, ...] = ()) -> Locator:
        """The place of characters `start` to `end`: their paragraph instead of lines."""
        index = max(0, bisect_right(self.starts, start) - 1)
        return Locator(
            char_from=start,
            char_to=end,
            heading_path=heading_path or None,
            paragraph=index + 1,
            page=self.pages[index] if self.pages else None,
            part=self.part,
        )

    def lines_locator(self, first: int, last: int) -> Locator:
        """The characters of whole lines."""
        return self.locator(self.lines[first - 1].start, self.lines[last - 1].end)


def flow_text(flow: Flow, part: str | None = None) -> FlowText:
    """The text that a flow's paragraphs make, each on lines of its own."""
    starts: list[int] = []
    at = 0
    for paragraph in flow.paragraphs:
        starts.append(at)
        at += len(paragraph.text) + 1
    text = "\n".join(paragraph.text for paragraph in flow.paragraphs)
    return FlowText(text, part, tuple(starts), tuple(paragraph.page for paragraph in flow.paragraphs))


def words(text: str) -> str:
    """A paragraph's text as the flow holds it: lines without blanks around, runs of white space as one space, NFC."""
    lines = (" ".join(line.split()) for line in _NEVER.sub("", text).split("\n"))
    return nfc("\n".join(line for line in lines if line))


def quoted_words(text: str) -> str:
    """Words for a skip's detail, on one line and not too many."""
    line = " ".join(words(text).split())
    return line if len(line) <= MAX_DETAIL_CHARS else f"{line[:MAX_DETAIL_CHARS]} …"


def flow_document(file: SourceFile, flow: Flow) -> ReadResult:
    """One Document of a flow: memo headers at its top, then a block a paragraph (or one a numbered clause)."""
    source = flow_text(flow)
    memo = find_memo_headers(source, is_title=_MEMO_TITLE)
    title = memo.values.get("subject") or _first_title(flow) or flow.title
    document = Document(
        source_sha256=file.sha256,
        path=file.relative,
        title=" ".join(title.split()) if title else None,
        headers=memo.values,
        header_locators=memo.locators,
        blocks=tuple(_blocks(flow, source, memo)),
    )
    return ReadResult([document], flow.skips, flow.notes)


def _first_title(flow: Flow) -> str | None:
    """The first of the outermost headings; where there are three and more they are chapters, and none is the title."""
    headings = [one for one in flow.paragraphs if one.kind == "heading"]
    outermost = [one for one in headings if one.level == 1]
    return None if len(outermost) > _MOST_TITLES or not headings else (outermost or headings)[0].text


def _blocks(flow: Flow, source: FlowText, memo: MemoHeaders) -> Iterator[Block]:
    outline = Outline()
    for paragraph, start in zip(flow.paragraphs, source.starts, strict=True):
        end = start + len(paragraph.text)
        numbers = range(source.line_number(start), source.line_number(end) + 1)
        taken = [number for number in numbers if number in memo.lines]
        if taken:
            start = min(end, source.lines[taken[-1] - 1].end + 1)
        if start < end:
            yield from _paragraph_blocks(paragraph, source, (start, end), outline)


def _paragraph_blocks(
    paragraph: Paragraph, source: FlowText, span: tuple[int, int], outline: Outline
) -> Iterator[Block]:
    start, end = span
    if paragraph.kind == "paragraph" and paragraph.number is None:
        yield from clause_blocks(source, start, end, path=outline.path, level=paragraph.level)
        return
    title = " ".join(source.text[start:end].split())
    clause = clause_number(source.text[start:end]) if paragraph.kind in ("heading", "list_item", "paragraph") else None
    number = paragraph.number
    if clause and clause.length < end - start and number is None:
        number, start = clause.number, start + clause.length
    path = outline.path
    if paragraph.kind == "heading":
        level = paragraph.level or 1
        outline.open_level(level, f"{paragraph.number} {title}" if paragraph.number else title)
        path = outline.path[:-1]
    yield source.block(paragraph.kind, start, end, heading_path=path, number=number, level=paragraph.level)
