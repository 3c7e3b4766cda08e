"""The words of an XML document in reading order: statutes (USLM), regulations (RegML) and any other text.

Owns which elements are headings, numbered provisions, notes and tables of contents. Sources: the USLM user guide of the
Government Publishing Office and the eregs schema of the CFPB, for the names of elements. It must not parse.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

import lxml.etree as etree

from hrmbuild.readers.flow import Flow, Paragraph, words
from hrmbuild.readers.regml import marker, paragraph_name, regulation_title
from hrmbuild.records.locator import Locator
from hrmbuild.records.source import Skip

_NAMESPACE = re.compile(r"\{[^{}]*\}")
_MAX_DEPTH = 200
_LEVELS = ("title", "subtitle", "chapter", "subchapter", "part", "subpart", "section", "subsection", "paragraph",
           "subparagraph", "clause", "subclause", "item", "subitem", "interpretations", "interpSection", 
           "interpParagraph", "appendix", "appendixSection")  # fmt: skip
_LEFT_OUT = {
    "footnote": "footnotes", "editorialNote": "notes of the editor", "sidenote": "notes in the margin",
    "toc": "tables of contents", "tableOfContents": "tables of contents", "meta": "facts about the document",
    "fdsys": "facts about the document", "preamble": "facts about the document", "ref": "",
    "analysis": "analyses that other documents hold", "style": "styles", "script": "scripts",
    "page": "page marks", "notes": "notes", "note": "notes",
}  # fmt: skip
_INLINE = frozenset(
    {"a", "b", "i", "u", "em", "strong", "span", "sub", "sup", "inline", "ref", "term", "shortTitle", "quotedText",
     "headingText", "def", "dfn", "date", "amendingAction", "keyterm", "emph", "br", "entity", "insert", "code", "q",
     "small", "abbr", "cite", "enum", "property", "actionDescription"}
)  # fmt: skip
_TITLES = frozenset({"heading", "title", "subject", "head", "header", "headline", "subtitle", "docTitle",
                     "h1", "h2", "h3", "h4", "h5", "h6"})  # fmt: skip
_LABELS = frozenset({"sectionNum", "num"})


@dataclass
class XmlFlow:
    """Paragraphs with the path of the element that each came from."""

    flow: Flow = field(default_factory=Flow)
    paths: list[str] = field(default_factory=list)
    _left: Counter[str] = field(default_factory=Counter)
    _left_at: dict[str, str] = field(default_factory=dict)

    def add(self, paragraph: Paragraph, element: etree._Element) -> None:
        """A paragraph with words."""
        if paragraph.text:
            self.flow.add(paragraph)
            self.paths.append(element_path(element))

    def leave(self, element: etree._Element) -> None:
        """Count what is not read, by its sort."""
        sort = _LEFT_OUT[local(element)]
        self._left[sort] += 1
        self._left_at.setdefault(sort, element_path(element))

    def finish(self) -> None:
        """Write the counts as skips."""
        self.flow.skips += [
            Skip(code="read.xml_notes", detail=f"{sort} are not read: {count:,}",
                 locator=Locator(pointer=self._left_at[sort]))
            for sort, count in sorted(self._left.items())
        ]  # fmt: skip


def local(element: etree._Element) -> str:
    """The name without its namespace."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def element_path(element: etree._Element) -> str:
    """`/regulation/part/section[2]`: names without namespaces, a number where brothers have the same name."""
    tree = element.getroottree()
    steps = _NAMESPACE.sub("", tree.getelementpath(element))
    root = local(tree.getroot())
    return f"/{root}" if steps == "." else f"/{root}/{steps}"


def xml_flow(root: etree._Element) -> XmlFlow:
    """The document's paragraphs; the vocabulary is known by its namespace."""
    space = etree.QName(root).namespace or ""
    walked = XmlFlow()
    if "uslm" in space or "eregs" in space:
        _provisions(root, walked, level=1, depth=0)
        walked.flow.title = regulation_title(root)
    else:
        _generic(root, walked, level=1, depth=0)
    walked.finish()
    return walked


def _skipped(element: etree._Element) -> bool:
    return bool(_LEFT_OUT.get(local(element)))


def _text(element: etree._Element) -> str:
    """All words of an element but those of notes inside it and of signs that point to notes."""
    pieces: list[str] = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str) and not _skipped(child) and child.get("class") != "footnoteRef":
            pieces.append(_text(child))
        pieces.append(child.tail or "")
    return "".join(pieces)


def _line(element: etree._Element | None) -> str:
    return " ".join(words(_text(element)).split()) if element is not None else ""


def _child(element: etree._Element, *names: str) -> etree._Element | None:
    return next((child for child in element if local(child) in names), None)


def _provisions(element: etree._Element, walked: XmlFlow, *, level: int, depth: int) -> None:
    """A level of law: its number and heading, its own words, then what stands below it."""
    if depth > _MAX_DEPTH:
        return
    label = _child(element, *_LABELS)
    title = _child(element, "heading", "subject", "title") if local(element) in _LEVELS else None
    number = _number(element, label)
    is_keyterm = title is not None and title.get("type") == "keyterm"
    heading = "" if is_keyterm else _line(title)
    if heading and title is not None:
        shown = heading if label is None or local(label) == "sectionNum" else f"{_line(label)} {heading}"
        walked.add(Paragraph(words(shown), "heading", min(level, 9)), title)
    lead = _line(title) if is_keyterm else ""
    used = {id(one) for one in (label, title) if one is not None}
    pending = None if heading and local(element) == "section" else number
    for child in element:
        if not isinstance(child.tag, str) or id(child) in used:
            continue
        if _skipped(child):
            walked.leave(child)
        elif _holds_provisions(child):
            _provisions(child, walked, level=level + bool(heading), depth=depth + 1)
        else:
            text = words(_text(child))
            text = text if text.startswith(lead) else words(f"{lead} {text}")
            walked.add(Paragraph(text, "paragraph", number=pending), child)
            if text:
                lead, pending = "", None


def _number(element: etree._Element, label: etree._Element | None) -> str | None:
    if element.get("marker"):
        return paragraph_name(element) or (None if local(element) == "interpParagraph" else marker(element))
    return (_line(label) or None) if label is not None and local(label) == "num" else None


def _holds_provisions(element: etree._Element) -> bool:
    """It has levels, headings or paragraphs below, so that its words are not one paragraph."""
    if local(element) in _INLINE:
        return False
    return any(isinstance(child.tag, str) and local(child) not in _INLINE and not _skipped(child) for child in element)


def _generic(element: etree._Element, walked: XmlFlow, *, level: int, depth: int) -> None:
    """Elements with words of their own are paragraphs; titles are headings."""
    if depth > _MAX_DEPTH:
        return
    own = (element.text or "").strip() or any((child.tail or "").strip() for child in element)
    if local(element) in _TITLES and not _holds_provisions(element) and len(_line(element)) < 200:
        walked.add(Paragraph(_line(element), "heading", min(level, 9)), element)
    elif own:
        walked.add(Paragraph(words(_text(element))), element)
    else:
        has_title = _child(element, *_TITLES) is not None
        for child in element:
            if not isinstance(child.tag, str):
                continue
            if _skipped(child) and local(child) in ("style", "script"):
                walked.leave(child)
                continue
            at = level if local(child) in _TITLES else level + has_title
            _generic(child, walked, level=at, depth=depth + 1)
