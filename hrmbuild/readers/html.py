"""A page of HTML to a Document: headings, paragraphs, list items, rows of tables.

Owns which words of a page are read: those that somebody who opens it sees. lxml parses without network, entities of
its own or scripts; words that the page hides are rows of what was skipped, as are menus, forms and what is embedded. It
must not fetch anything, and it must not run or apply style sheets beyond what `html_hidden` says.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field

import lxml.etree as etree

from hrmbuild.readers.archive import children, local_name
from hrmbuild.readers.decoding import Decoded, decode, normalise_newlines
from hrmbuild.readers.flow import Flow, FlowText, Paragraph, flow_document, flow_text, quoted_words, words
from hrmbuild.readers.html_hidden import Hiding, read_hiding
from hrmbuild.readers.result import MAX_TEXT_BYTES, ReadResult, SourceFile, check_size
from hrmbuild.records.document import BlockKind

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "div", "dl", "dt",
     "fieldset", "figcaption", "figure", "footer", "header", "hr", "html", "legend", "li", "main", "menu", "ol", "p",
     "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul", *_HEADINGS}
)  # fmt: skip
_SILENT = frozenset({"script", "style", "title", "template", "noscript", "link", "meta", "base"})
"""Nothing that a reader of the page sees. (`head` itself is walked: words after a script end up in it.)"""
_EMBEDDED = {"iframe": "a page within the page", "object": "an embedded object", "embed": "an embedded object",
             "svg": "a drawing", "canvas": "a drawing", "video": "a film", "audio": "a sound", "math": "a formula",
             "applet": "an embedded program"}  # fmt: skip
_FORMS = frozenset({"select", "textarea", "button", "option", "datalist", "input"})
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_XML_DECLARATION = re.compile(r"\s*<\?xml[^>]{0,200}\?>")
_TWO_BREAKS = re.compile(r"\n[ \t]*\n")
"""`<br><br>` ends a paragraph where a page knows no better."""
_MAX_DEPTH = 240


def read_html(file: SourceFile) -> ReadResult:
    """One Document; it has no blocks where the page has no words."""
    return flow_document(file, html_flow(file))


def html_texts(file: SourceFile) -> dict[str | None, FlowText]:
    """The text that locators of a page count in."""
    return {None: flow_text(html_flow(file))}


def html_flow(file: SourceFile) -> Flow:
    """Paragraphs and skips of a page.

    Raises:
        InputError: `read.too_large`, `read.too_deep`, and what `decode` refuses.
    """
    check_size(file, MAX_TEXT_BYTES)
    decoded = _decoded(file)
    parser = etree.HTMLParser(no_network=True, remove_comments=True, remove_pis=True, huge_tree=False, encoding="utf-8")
    markup = _XML_DECLARATION.sub("", decoded.text.replace("\0", ""), count=1)
    try:
        root = etree.fromstring(markup.encode("utf-8", "replace"), parser)
    except (etree.XMLSyntaxError, ValueError):
        root = None
    if any("depth" in problem.message for problem in parser.error_log):
        raise file.error("read.too_deep", "elements nest too deep to be read", fix="leave the page out")
    flow = Flow(notes=decoded.notes)
    if root is None:
        return flow
    walk = _Walk(file, read_hiding(root), flow)
    walk.element(root, depth=0)
    walk.flush()
    title = root.find(".//title")
    flow.title = words("".join(map(str, title.itertext()))) or None if title is not None else None
    return flow


def _decoded(file: SourceFile) -> Decoded:
    """The page's text: by the charset that it declares where that fits, else by detection."""
    declared = _META_CHARSET.search(file.data[:4096])
    if declared and not file.data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            name = codecs.lookup(declared[1].decode("ascii")).name
            if not name.startswith(("utf-16", "utf-32", "utf-7")):
                return Decoded(normalise_newlines(file.data.decode(name)), name, guessed=False)
        except (LookupError, ValueError):
            pass
    return decode(file.data, where=file.relative)


@dataclass
class _Walk:
    """One pass over the tree."""

    file: SourceFile
    hiding: Hiding
    flow: Flow
    _text: list[str] = field(default_factory=list)
    _kind: BlockKind = "paragraph"
    _level: int | None = None
    _number: str | None = None
    _lists: int = 0
    """Lists that are open."""

    def flush(self) -> None:
        """End the paragraph."""
        written = "".join(self._text)
        self._text.clear()
        for piece in [written] if self._kind == "code" else _TWO_BREAKS.split(written):
            text = words(piece)
            if text:
                text = " ".join(text.split()) if self._kind == "heading" else text
                self.flow.add(Paragraph(text, self._kind, self._level, self._number))
                if self._kind == "list_item":  # what follows in the same item goes on without its number
                    self._number = None

    def element(self, element: etree._Element, *, depth: int) -> None:
        """The words below an element; the words behind it belong to its parent."""
        self._check_depth(depth)
        name = local_name(element)
        if name in _SILENT or self._is_skipped(element, name):
            return
        if name == "br":
            self._text.append("\n")
        elif name == "table":
            self.flush()
            self._table(element, depth)
        elif name in _BLOCKS:
            self._block(element, name, depth)
        else:
            self._inside(element, depth)

    def _check_depth(self, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise self.file.error("read.too_deep", f"elements nest deeper than {_MAX_DEPTH}", fix="leave the page out")

    def _is_skipped(self, element: etree._Element, name: str) -> bool:
        if self.hiding.hides(element):
            if text := _all_words(element):
                self.flow.skip("read.hidden_text", f"hidden words are not read: {text}")
        elif name == "nav" or element.get("role") in ("navigation", "menu"):
            self.flow.skip("read.navigation", f"a menu is not read: {_all_words(element)}")
        elif name == "img":
            named = quoted_words(element.get("alt") or "")
            self.flow.skip("read.image", f"an image is not read{f': {named}' if named else ''}")
        elif name in _EMBEDDED:
            self.flow.skip("read.embedded_object", f"{_EMBEDDED[name]} is not read")
        elif name in _FORMS:
            if text := _all_words(element):
                self.flow.skip("read.form_field", f"a form's field is not read: {text}")
        else:
            return False
        return True

    def _block(self, element: etree._Element, name: str, depth: int) -> None:
        self.flush()
        before = self._kind, self._level, self._number
        if name in _HEADINGS:
            self._kind, self._level, self._number = "heading", _HEADINGS[name], None
        elif name == "li":
            self._kind, self._level, self._number = "list_item", max(1, self._lists), _item_number(element)
        elif name == "pre":
            self._kind, self._level, self._number = "code", None, None
        is_list = name in ("ul", "ol", "menu", "dl")
        self._lists += is_list
        self._inside(element, depth)
        self.flush()
        self._lists -= is_list
        self._kind, self._level, self._number = before
        if self._kind == "list_item":
            self._number = None

    def _inside(self, element: etree._Element, depth: int) -> None:
        verbatim = self._kind == "code"
        self._say(element.text, verbatim)
        for one in element:
            if isinstance(one.tag, str):
                self.element(one, depth=depth + 1)
            self._say(one.tail, verbatim)

    def _say(self, text: str | None, verbatim: bool) -> None:
        if text:
            self._text.append(text if verbatim else re.sub(r"\s+", " ", text))

    def _table(self, table: etree._Element, depth: int) -> None:
        """A row of cells is a row; a table of one column, or with headings or tables inside, only lays things out."""
        self._check_depth(depth)
        for one in children(table):
            name = local_name(one)
            if name in ("thead", "tbody", "tfoot", "colgroup"):
                self._table(one, depth + 1)
            elif name == "tr" and not self._is_skipped(one, name):
                self._row(one, depth)
            elif name != "tr":
                self.element(one, depth=depth + 1)
                self.flush()

    def _row(self, row: etree._Element, depth: int) -> None:
        cells = [one for one in children(row) if local_name(one) in ("td", "th")]
        lays_out = next(row.iter("table", *_HEADINGS), None) is not None
        if len(cells) <= 1 or lays_out:
            for cell in cells:
                self.element(cell, depth=depth + 2)
                self.flush()
            return
        texts = [self._cell(cell, depth) for cell in cells]
        if any(texts):
            self.flow.add(Paragraph(" | ".join(texts), "table_row"))

    def _cell(self, cell: etree._Element, depth: int) -> str:
        inner = _Walk(self.file, self.hiding, Flow())
        inner.element(cell, depth=depth + 2)
        inner.flush()
        for skipped in inner.flow.skips:
            self.flow.skip(skipped.code, skipped.detail)
        return " ".join(" ".join(one.text.split()) for one in inner.flow.paragraphs)


def _item_number(item: etree._Element) -> str | None:
    """The number that a browser draws before an item of an ordered list."""
    parent = item.getparent()
    if parent is None or local_name(parent) != "ol":
        return None
    items = [one for one in children(parent) if local_name(one) == "li"]
    start = parent.get("start") or "1"
    count = items.index(item) + (int(start) if start.isdecimal() and len(start) < 7 else 1)
    if parent.get("type") in ("a", "A") and 1 <= count <= 26:
        return chr(ord(parent.get("type") or "a") + count - 1)
    return str(count)


def _all_words(element: etree._Element) -> str:
    return quoted_words(" ".join(str(text) for text in element.itertext()))
