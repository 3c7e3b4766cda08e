"""A Word document to a Document: headings by style, the numbers that Word draws, tables as rows.

Owns which words of a `.docx` are read: those that everybody who opens the file sees in its running text. A paragraph
with a change that nobody has accepted or rejected is not read at all, for neither wording is settled; headers,
footers, notes, comments, hidden words and pictures are rows of what was skipped. Word keeps no pages: places are
paragraphs. It must not follow links or open embedded files. Source: ECMA-376 part 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import lxml.etree as etree

from hrmbuild.readers.archive import Archive, attribute, child, children, local_name, open_archive
from hrmbuild.readers.docx_numbering import Numbering, read_numbering
from hrmbuild.readers.docx_styles import Style, is_hidden, read_styles
from hrmbuild.readers.flow import Flow, FlowText, Paragraph, flow_document, flow_text, quoted_words, words
from hrmbuild.readers.result import ReadResult, SourceFile

_SIDE_PARTS = (
    (re.compile(r"word/(header|footer)\d*\.xml"), "read.page_header", "header or footer"),
    (re.compile(r"word/comments\.xml"), "read.comment", "comment"),
    (re.compile(r"word/(footnotes|endnotes)\.xml"), "read.footnote", "note"),
)
_CHANGES = {"ins": "inserted", "moveTo": "moved here", "del": "deleted", "moveFrom": "moved away"}
_SIGNS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_PASSED = frozenset({"hyperlink", "smartTag", "sdt", "sdtContent", "fldSimple", "Choice", "customXml", "dir", "bdo"})
_NO_NOTE = frozenset({"separator", "continuationSeparator", "continuationNotice"})
_MAX_DEPTH = 60


def read_docx(file: SourceFile) -> ReadResult:
    """One Document."""
    return flow_document(file, docx_flow(file))


def docx_texts(file: SourceFile) -> dict[str | None, FlowText]:
    """The text that locators of a `.docx` count in."""
    return {None: flow_text(docx_flow(file))}


def docx_flow(file: SourceFile) -> Flow:
    """Paragraphs and skips of a `.docx`.

    Raises:
        InputError: `read.encrypted`, `read.broken_archive`, `read.broken_xml`, `read.too_large`, `read.not_a_document`.
    """
    archive = open_archive(file)
    root = archive.xml("word/document.xml")
    body = child(root, "body")
    if body is None:
        raise file.error("read.not_a_document", "the archive holds no Word document",
                         fix="open it in a word processor and save it as .docx")  # fmt: skip
    walk = _Walk(read_styles(archive.xml("word/styles.xml")), read_numbering(archive.xml("word/numbering.xml")))
    walk.blocks(body)
    _side_parts(archive, walk)
    return walk.flow


def _side_parts(archive: Archive, walk: _Walk) -> None:
    """Parts beside the running text: each piece of them that has words is a skip."""
    for name in archive.names:
        for pattern, code, sort in _SIDE_PARTS:
            if pattern.fullmatch(name):
                for piece in _pieces(archive.xml(name), code):
                    if text := quoted_words("\n".join(_all_text(piece))):
                        walk.flow.skip(code, f"a {sort} is not read: {text}")
        if name.startswith("word/embeddings/") and not name.endswith("/"):
            walk.flow.skip("read.embedded_object", f"an embedded file is not read: {quoted_words(name)}")


def _pieces(root: etree._Element | None, code: str) -> Iterator[etree._Element]:
    if root is not None and code == "read.page_header":
        yield root
        return
    yield from (one for one in children(root) if attribute(one, "type") not in _NO_NOTE)


def _all_text(element: etree._Element) -> Iterator[str]:
    for one in element.iter("{*}t", "{*}delText", "{*}tab", "{*}p"):
        yield (one.text or "") if local_name(one) in ("t", "delText") else " "


@dataclass
class _Line:
    """A paragraph that is being read."""

    on_white: bool
    """Nothing around it has a ground of its own; cells of tables often do, by their style."""
    text: list[str] = field(default_factory=list)
    changes: list[tuple[str, str]] = field(default_factory=list)
    boxes: list[etree._Element] = field(default_factory=list)
    """Text boxes anchored in it; they follow it."""
    hidden: list[str] = field(default_factory=list)


@dataclass
class _Walk:
    styles: dict[str, Style]
    numbering: Numbering
    flow: Flow = field(default_factory=Flow)
    in_table: bool = False

    def blocks(self, parent: etree._Element, depth: int = 0) -> None:
        """Paragraphs and tables below an element, in order."""
        for one in children(parent):
            name = local_name(one)
            if name == "p":
                self._paragraph(one, depth)
            elif name == "tbl" and depth < _MAX_DEPTH:
                self._table(one, depth)
            elif name in ("sdt", "sdtContent", "customXml", *_CHANGES) and depth < _MAX_DEPTH:
                self.blocks(one, depth + 1)
            elif name == "altChunk":
                self.flow.skip("read.embedded_object", "a document that is embedded as a chunk is not read")

    def _paragraph(self, element: etree._Element, depth: int) -> None:
        properties = child(element, "pPr")
        style = self.styles.get(attribute(child(properties, "pStyle"), "val") or "", Style())
        line = _Line(on_white=not self.in_table and child(properties, "shd") is None)
        self._runs(element, line, style, depth=0)
        number, is_listed, list_level = self._number(properties, style)
        self._skips_of(line)
        level = _outline_level(properties, style)
        text = words("".join(line.text))
        if not line.changes and level is not None:
            self.flow.add(Paragraph(" ".join(text.split()), "heading", level, number))
        elif not line.changes:
            kind = "list_item" if is_listed else "paragraph"
            self.flow.add(Paragraph(text, kind, list_level + 1 if is_listed else None, number))
        for box in line.boxes:
            if depth < _MAX_DEPTH:
                self.blocks(box, depth + 1)

    def _skips_of(self, line: _Line) -> None:
        for hidden in line.hidden:
            self.flow.skip("read.hidden_text", f"hidden words are not read: {quoted_words(hidden)}")
        for sort, text in line.changes:
            detail = f"the paragraph has a change nobody accepted or rejected, so it is not read; {sort}: {text}"
            self.flow.skip("read.tracked_change", detail)
        if line.changes and (rest := quoted_words("".join(line.text))):
            self.flow.skip("read.unsettled_paragraph", f"the words around unsettled changes are not read: {rest}")

    def _number(self, properties: etree._Element | None, style: Style) -> tuple[str | None, bool, int]:
        """The number drawn before a paragraph, whether it is in a list, and its level there."""
        direct = child(properties, "numPr")
        list_id = attribute(child(direct, "numId"), "val") or style.list_id
        if not list_id or list_id == "0":
            return None, False, 0
        written = attribute(child(direct, "ilvl"), "val")
        level = int(written) if written and written.isdecimal() and len(written) < 3 else style.list_level
        number, known = self.numbering.next(list_id, level)
        return number.rstrip(".") if number else None, known, level

    def _runs(self, parent: etree._Element, line: _Line, style: Style, *, depth: int) -> None:
        for one in children(parent):
            name = local_name(one)
            if name == "r":
                self._run(one, line, style)
            elif name in _CHANGES:
                changed = quoted_words("".join(_all_text(one)))
                if changed:
                    line.changes.append((_CHANGES[name], changed))
            elif name in _PASSED and depth < _MAX_DEPTH:
                self._runs(one, line, style, depth=depth + 1)
            elif name in ("oMath", "oMathPara"):
                formula = quoted_words("".join(_all_text(one)))
                self.flow.skip("read.formula", f"a formula is not read: {formula}")

    def _run(self, run: etree._Element, line: _Line, style: Style) -> None:
        own = child(run, "rPr")
        character = self.styles.get(attribute(child(own, "rStyle"), "val") or "", Style())
        if is_hidden(own, otherwise=style.hidden or character.hidden, on_white=line.on_white):
            if hidden := "".join(_all_text(run)).strip():
                line.hidden.append(hidden)
            return
        for one in children(run):
            self._run_part(one, line)

    def _run_part(self, one: etree._Element, line: _Line) -> None:
        name = local_name(one)
        if name == "t":
            line.text.append(one.text or "")
        elif name in _SIGNS:
            line.text.append(_SIGNS[name])
        elif name == "AlternateContent":
            for part in children(child(one, "Choice")):
                self._run_part(part, line)
        elif name in ("drawing", "pict", "object"):
            self._picture(one, line)
        elif name == "sym":
            self.flow.skip("read.symbol", f"a sign of the font {attribute(one, 'font') or '?'} is not read")

    def _picture(self, element: etree._Element, line: _Line) -> None:
        boxes = list(element.iter("{*}txbxContent"))
        line.boxes.extend(boxes)
        if boxes:
            return
        if local_name(element) == "object":
            self.flow.skip("read.embedded_object", "an embedded object is not read")
            return
        named = next((attribute(one, "descr") for one in element.iter("{*}docPr") if attribute(one, "descr")), None)
        self.flow.skip("read.image", f"an image is not read{f': {quoted_words(named)}' if named else ''}")

    def _table(self, table: etree._Element, depth: int) -> None:
        rows = [list(_unwrapped(row, "tc")) for row in _unwrapped(table, "tr")]
        if max((len(cells) for cells in rows), default=0) <= 1:
            for cells in rows:
                for cell in cells:
                    self.blocks(cell, depth + 1)
            return
        for cells in rows:
            texts = [self._cell(cell, depth) for cell in cells]
            if any(texts):
                self.flow.add(Paragraph(" | ".join(texts), "table_row"))

    def _cell(self, cell: etree._Element, depth: int) -> str:
        inner = _Walk(self.styles, self.numbering, in_table=True)
        inner.blocks(cell, depth + 1)
        for skipped in inner.flow.skips:
            self.flow.skip(skipped.code, skipped.detail)
        return " ".join(" ".join(f"{one.number or ''} {one.text}".split()) for one in inner.flow.paragraphs)


def _unwrapped(parent: etree._Element, wanted: str) -> Iterator[etree._Element]:
    """Rows of a table or cells of a row, also inside content controls."""
    for one in children(parent):
        if local_name(one) == wanted:
            yield one
        elif local_name(one) in ("sdt", "sdtContent", "customXml"):
            yield from _unwrapped(one, wanted)


def _outline_level(properties: etree._Element | None, style: Style) -> int | None:
    """Heading level 1 to 9, None for running text."""
    written = attribute(child(properties, "outlineLvl"), "val")
    if written and written.isdecimal() and len(written) == 1:
        return int(written) + 1 if int(written) < 9 else None
    return style.heading_level
