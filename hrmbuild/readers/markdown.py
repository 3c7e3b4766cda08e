"""Markdown to a Document: front matter, memo headers, headings, clauses, list items, tables, code, each at its exact
span.

Owns the walk over CommonMark's block tokens (markdown-it-py parses; it tells lines, this module finds the
characters). Inline marks (`**`, links, template tags such as `{% … %}` and `{{ … }}`) stay as they are written: they
are text to quote. What is seen and not read (comments, link definitions, pure markup) becomes a Skip; a line that
ends up nowhere is a Skip as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

from hrmbuild.readers.clauses import clause_blocks
from hrmbuild.readers.decoding import decode
from hrmbuild.readers.front_matter import FrontMatter, find_front_matter
from hrmbuild.readers.memo_headers import MemoHeaders, find_memo_headers
from hrmbuild.readers.outline import Outline, clause_number
from hrmbuild.readers.result import MAX_TEXT_BYTES, ReadResult, SourceFile, check_size, skip
from hrmbuild.readers.spans import SourceText, nfc
from hrmbuild.records.document import Block, Document
from hrmbuild.records.source import Skip

_PARSER = MarkdownIt("commonmark").enable("table").disable("inline")
"""Blocks only: inline marks stay as written, and their parser is where hostile Markdown costs time."""

_TITLE_LINE = re.compile(r" {0,3}#{1,6}\s")
_MARKERS_ONLY = re.compile(r"[\s>*+\-\d.)=_]*$")
_LINK_DEFINITION = re.compile(r"\s*\[[^\]]+\]:")
_TAG = re.compile(r"<[^<>]*>")


def read_markdown(file: SourceFile) -> ReadResult:
    """One Document."""
    check_size(file, MAX_TEXT_BYTES)
    decoded = decode(file.data, where=file.relative)
    source = SourceText(decoded.text)
    front = find_front_matter(source)
    memo = find_memo_headers(source, first_line=front.n_lines + 1, is_title=_TITLE_LINE)
    walk = _Walk(source, masked=frozenset(range(1, front.n_lines + 1)) | memo.lines)
    walk.run()
    if front.problem:
        place = source.lines_locator(1, front.n_lines)
        walk.skips.append(skip("read.front_matter", f"front matter is no YAML: {front.problem}", place))
    document = _document(file, walk, front, memo)
    return ReadResult([document], walk.skips, decoded.notes)


def _document(file: SourceFile, walk: _Walk, front: FrontMatter, memo: MemoHeaders) -> Document:
    headers = {**memo.values, **front.values}
    title = front.values.get("title") or memo.values.get("subject") or walk.title
    return Document(
        source_sha256=file.sha256,
        path=file.relative,
        title=title,
        headers=headers,
        header_locators={**memo.locators, **front.locators},
        blocks=tuple(walk.blocks),
    )


@dataclass
class _Walk:
    """One pass over the block tokens; `covered` are the lines that ended up somewhere."""

    source: SourceText
    masked: frozenset[int]
    blocks: list[Block] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    outline: Outline = field(default_factory=Outline)
    covered: set[int] = field(default_factory=set)
    titles: list[tuple[int, str]] = field(default_factory=list)
    """Level and whole words of each heading."""
    _items: list[Token] = field(default_factory=list)
    """Open list items, outermost first."""
    _fresh: bool = False
    """The innermost item has no block yet."""

    @property
    def title(self) -> str | None:
        """The first heading of the first level, else the first heading."""
        return min(self.titles, key=lambda heading: heading[0] != 1)[1] if self.titles else None

    def run(self) -> None:
        """Fill `blocks` and `skips`."""
        lines = ["" if line.number in self.masked else line.text for line in self.source.lines]
        tokens = _PARSER.parse("\n".join(lines))
        for index, token in enumerate(tokens):
            self._take(token, tokens[index + 1] if index + 1 < len(tokens) else None)
        self._skip_uncovered()
        self.skips.sort(key=lambda skipped: skipped.locator.line_from or 0)

    def _take(self, token: Token, following: Token | None) -> None:
        if token.type == "list_item_open":
            self._items.append(token)
            self._fresh = True
        elif token.type == "list_item_close":
            self._items.pop()
        elif token.map and token.type in _HANDLERS:
            self.covered.update(range(token.map[0] + 1, token.map[1] + 1))
            _HANDLERS[token.type](self, token, following)

    def _span(self, token: Token, content: str) -> tuple[int, int]:
        """Characters of a token's words: the content ends its first line, marks of quotes and lists stand before it."""
        begin, stop = token.map or (0, 1)
        first, last = self.source.lines[begin], self.source.lines[stop - 1]
        words = content.split("\n", 1)[0].strip()
        at = first.text.rfind(words)
        start = first.start + (at if at >= 0 else len(first.text) - len(first.text.lstrip()))
        return self.source.trimmed(start, last.end)

    def paragraph(self, token: Token, following: Token | None) -> None:
        """A paragraph, or the first words of a list item."""
        start, end = self._span(token, following.content if following else "")
        if self._items and self._fresh:
            self._fresh = False
            self.blocks.append(self._list_item(start, end))
        elif end > start:
            level = len(self._items) or None
            self.blocks += clause_blocks(self.source, start, end, path=self.outline.path, level=level)

    def _list_item(self, start: int, end: int) -> Block:
        item = self._items[-1]
        number = item.info + (")" if item.markup == ")" else "") if item.info else None
        clause = clause_number(self.source.text[start:end])
        if clause and clause.length < end - start:
            number, start = clause.number, start + clause.length
        path, level = self.outline.path, len(self._items)
        return self.source.block("list_item", start, end, heading_path=path, number=number, level=level)

    def heading(self, token: Token, following: Token | None) -> None:
        """A heading: its words without marks; a clause number stands apart."""
        content = following.content if following else ""
        start, end = self._heading_span(token, content)
        if end <= start:
            return
        level = int(token.tag[1:])
        title = nfc(" ".join(self.source.text[start:end].split()))
        self.titles.append((level, title))
        clause = clause_number(self.source.text[start:end])
        words = start + clause.length if clause and clause.length < end - start else start
        self.outline.open_level(level, title)
        path = self.outline.path[:-1]
        number = clause.number if clause else None
        self.blocks.append(self.source.block("heading", words, end, heading_path=path, number=number, level=level))

    def _heading_span(self, token: Token, content: str) -> tuple[int, int]:
        start, end = self._span(token, content)
        last_words = content.rsplit("\n", 1)[-1].strip()
        at = self.source.text.rfind(last_words, start, end) if last_words else -1
        return (start, at + len(last_words)) if at >= 0 else (start, start)

    def table(self, token: Token, _: Token | None) -> None:
        """Each row of a table as it is written; the second line only draws a rule."""
        for index in range(token.map[0], token.map[1]) if token.map else ():
            line = self.source.lines[index]
            marks = re.match(r"[\s>]*", line.text)
            start, end = self.source.trimmed(line.start + (marks.end() if marks else 0), line.end)
            if index != (token.map or [0])[0] + 1 and end > start:
                self.blocks.append(self.source.block("table_row", start, end, heading_path=self.outline.path))

    def code(self, token: Token, _: Token | None) -> None:
        """A fence or an indented block, without its fence lines."""
        first, last = token.map or (0, 0)
        if token.type == "fence":
            closed = re.match(r"[\s>]*(`{3,}|~{3,})\s*$", self.source.lines[last - 1].text) and last - 1 > first
            first, last = first + 1, last - 1 if closed else last
        if last > first:
            start, end = self.source.trimmed(self.source.lines[first].start, self.source.lines[last - 1].end)
            if end > start:
                self.blocks.append(self.source.block("code", start, end, heading_path=self.outline.path))

    def html(self, token: Token, _: Token | None) -> None:
        """A comment or pure markup is skipped; words between tags are a paragraph, tags and all."""
        first, last = token.map or (0, 1)
        place = self.source.lines_locator(first + 1, last)
        if token.content.lstrip().startswith("<!--") and token.content.rstrip().endswith("-->"):
            self.skips.append(skip("read.comment", "an HTML comment is not shown to readers", place))
        elif not _TAG.sub("", token.content).strip():
            self.skips.append(skip("read.markup", "HTML tags without words", place))
        else:
            start, end = self.source.trimmed(self.source.lines[first].start, self.source.lines[last - 1].end)
            self.blocks.append(self.source.block("paragraph", start, end, heading_path=self.outline.path))

    def rule(self, token: Token, _: Token | None) -> None:
        """A horizontal rule holds no words."""

    def _skip_uncovered(self) -> None:
        accounted = self.covered | self.masked
        for line in self.source.lines:
            if line.is_blank or line.number in accounted or _MARKERS_ONLY.match(line.text):
                continue
            place = self.source.lines_locator(line.number, line.number)
            if _LINK_DEFINITION.match(line.text):
                self.skips.append(skip("read.link_definition", "a link's target holds no words", place))
            else:
                self.skips.append(skip("read.not_parsed", "this line belongs to no block of Markdown", place))


_HANDLERS = {
    "paragraph_open": _Walk.paragraph,
    "heading_open": _Walk.heading,
    "table_open": _Walk.table,
    "fence": _Walk.code,
    "code_block": _Walk.code,
    "html_block": _Walk.html,
    "hr": _Walk.rule,
}
