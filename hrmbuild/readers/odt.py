"""A text of OpenDocument (`.odt`) to a Document: headings with their level, list items, tables as rows.

Owns which words are read, by the rules of `docx`: a paragraph that a change begins, ends or runs through is not read,
notes, comments, hidden words, headers and pictures are rows. Numbers of lists, which stand in no text, are not drawn.
It must not open embedded files. Source: OASIS OpenDocument 1.3, part 3.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import lxml.etree as etree

from hrmbuild.readers.archive import attribute, children, local_name, open_archive
from hrmbuild.readers.flow import Flow, FlowText, Paragraph, flow_document, flow_text, quoted_words, words
from hrmbuild.readers.result import ReadResult, SourceFile

_MAX_DEPTH = 60
_SIDE = {"note": ("read.footnote", "a note is not read"), "annotation": ("read.comment", "a comment is not read"),
         "hidden-text": ("read.hidden_text", "hidden words are not read"),
         "hidden-paragraph": ("read.hidden_text", "a hidden paragraph is not read")}  # fmt: skip
_CHANGES = frozenset({"change", "change-start", "change-end"})


def read_odt(file: SourceFile) -> ReadResult:
    """One Document."""
    return flow_document(file, odt_flow(file))


def odt_texts(file: SourceFile) -> dict[str | None, FlowText]:
    """The text that locators of an `.odt` count in."""
    return {None: flow_text(odt_flow(file))}


def odt_flow(file: SourceFile) -> Flow:
    """Paragraphs and skips of an `.odt`.

    Raises:
        InputError: `read.encrypted`, `read.broken_archive`, `read.broken_xml`, `read.too_large`, `read.not_a_document`.
    """
    archive = open_archive(file)
    if b"encryption-data" in (archive.read("META-INF/manifest.xml") or b""):
        raise file.error("read.encrypted", "the document is protected by a password",
                         fix="save it without a password")  # fmt: skip
    content, styles = archive.xml("content.xml"), archive.xml("styles.xml")
    body = None if content is None else content.find("{*}body/{*}text")
    if content is None or body is None:
        raise file.error("read.not_a_document", "the archive holds no OpenDocument text",
                         fix="open it in a word processor and save it as .odt")  # fmt: skip
    walk = _Walk(_hidden_styles(content) | (_hidden_styles(styles) if styles is not None else frozenset()))
    walk.blocks(body, 0)
    for one in () if styles is None else styles.iter("{*}header", "{*}footer"):
        if text := _all_words(one):
            walk.flow.skip("read.page_header", f"a header or footer is not read: {text}")
    return walk.flow


def _hidden_styles(root: etree._Element) -> frozenset[str]:
    """Names of styles whose words are not displayed."""
    found: set[str] = set()
    for style in root.iter("{*}style"):
        if any(attribute(one, "display") == "none" for one in style.iter("{*}text-properties")):
            found.add(attribute(style, "name") or "")
    return frozenset(found)


@dataclass
class _Walk:
    hidden: frozenset[str]
    flow: Flow = field(default_factory=Flow)
    _open_changes: set[str] = field(default_factory=set)
    _changed: bool = False
    """The paragraph that is being read has a mark of a change."""

    def blocks(self, parent: etree._Element, depth: int, *, item_level: int = 0) -> None:
        """Paragraphs, lists and tables below an element, in order."""
        for one in children(parent):
            name = local_name(one)
            if name in ("p", "h"):
                self._paragraph(one, depth, item_level)
            elif depth > _MAX_DEPTH:
                self.flow.skip("read.too_deep", "elements nest too deep here to be read")
            elif name == "list":
                self.blocks(one, depth + 1, item_level=item_level + 1)
            elif name == "table":
                self._table(one, depth)
            elif name == "tracked-changes":
                self._deletions(one)
            elif name in ("section", "list-item", "list-header", "index-body", "text-box", "table-cell"):
                self.blocks(one, depth + 1, item_level=item_level)
            elif name in _CHANGES:
                self._mark(one)

    def _deletions(self, changes: etree._Element) -> None:
        for one in changes.iter("{*}deletion"):
            if text := _all_words(one, leaving="change-info"):
                self.flow.skip("read.tracked_change", f"a deletion nobody accepted or rejected: {text}")

    def _mark(self, one: etree._Element) -> None:
        self._changed = True
        if local_name(one) == "change-start":
            self._open_changes.add(attribute(one, "change-id") or "")
        elif local_name(one) == "change-end":
            self._open_changes.discard(attribute(one, "change-id") or "")

    def _paragraph(self, element: etree._Element, depth: int, item_level: int) -> None:
        self._changed = bool(self._open_changes)
        found: list[str] = []
        boxes: list[etree._Element] = []
        if self._is_hidden(element):
            return
        self._inside(element, found, boxes, 0)
        text = words("".join(found))
        if self._changed:
            if text:
                detail = (
                    f"the paragraph has a change nobody accepted or rejected, so it is not read: {quoted_words(text)}"
                )
                self.flow.skip("read.tracked_change", detail)
        elif local_name(element) == "h":
            level = attribute(element, "outline-level") or "1"
            whole = int(level) if level.isdecimal() and len(level) < 3 else 1
            self.flow.add(Paragraph(" ".join(text.split()), "heading", max(1, whole)))
        else:
            self.flow.add(Paragraph(text, "list_item" if item_level else "paragraph", item_level or None))
        for box in boxes:
            self.blocks(box, depth + 1)

    def _is_hidden(self, element: etree._Element) -> bool:
        if attribute(element, "style-name") not in self.hidden:
            return False
        if text := _all_words(element):
            self.flow.skip("read.hidden_text", f"hidden words are not read: {text}")
        return True

    def _inside(self, element: etree._Element, found: list[str], boxes: list[etree._Element], depth: int) -> None:
        found.append(element.text or "")
        for one in element:
            if isinstance(one.tag, str):
                self._inline(one, found, boxes, depth)
            found.append(one.tail or "")

    def _inline(self, one: etree._Element, found: list[str], boxes: list[etree._Element], depth: int) -> None:
        name = local_name(one)
        if name in ("s", "tab"):
            found.append(" ")
        elif name == "line-break":
            found.append("\n")
        elif name in _CHANGES:
            self._mark(one)
        elif name in _SIDE:
            code, sentence = _SIDE[name]
            self.flow.skip(code, f"{sentence}: {_all_words(one)}")
        elif name == "frame":
            self._frame(one, boxes)
        elif name not in ("bookmark", "soft-page-break") and depth < _MAX_DEPTH and not self._is_hidden(one):
            self._inside(one, found, boxes, depth + 1)

    def _frame(self, frame: etree._Element, boxes: list[etree._Element]) -> None:
        for one in children(frame):
            name = local_name(one)
            if name == "text-box":
                boxes.append(one)
            elif name == "image":
                self.flow.skip("read.image", "an image is not read")
            elif name in ("object", "object-ole", "plugin", "applet"):
                self.flow.skip("read.embedded_object", "an embedded object is not read")

    def _table(self, table: etree._Element, depth: int) -> None:
        for row in table.iter("{*}table-row"):
            if next(row.iterancestors("{*}table"), None) is not table:
                continue  # of a table within a cell, which that cell reads
            cells = [one for one in children(row) if local_name(one) == "table-cell"]
            texts = [self._cell(cell, depth) for cell in cells]
            if any(texts):
                self.flow.add(Paragraph(" | ".join(texts), "table_row" if len(texts) > 1 else "paragraph"))

    def _cell(self, cell: etree._Element, depth: int) -> str:
        inner = _Walk(self.hidden, _open_changes=self._open_changes)
        inner.blocks(cell, depth + 1)
        for skipped in inner.flow.skips:
            self.flow.skip(skipped.code, skipped.detail)
        return " ".join(" ".join(one.text.split()) for one in inner.flow.paragraphs)


def _all_words(element: etree._Element, *, leaving: str = "") -> str:
    left = {id(one) for side in element.iter(f"{{*}}{leaving}") for one in side.iter()} if leaving else set()
    return quoted_words(" ".join(one.text or "" for one in element.iter() if id(one) not in left))
