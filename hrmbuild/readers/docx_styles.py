"""Styles of a Word document, as far as they decide what is read: headings, lists, hidden words.

Owns inheritance between styles (`basedOn`). It must not read text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import lxml.etree as etree

from hrmbuild.readers.archive import attribute, child, children, local_name

_HEADING = re.compile(r"heading ([1-9])", re.IGNORECASE)
_OFF = frozenset({"0", "false", "off", "none"})
_MAX_CHAIN = 20
_SMALLEST_HALF_POINTS = 3
"""Words of a point and a half and less are written to be read by nobody."""


@dataclass(frozen=True)
class Style:
    """What a paragraph or run takes from its style."""

    heading_level: int | None = None
    list_id: str | None = None
    list_level: int = 0
    hidden: bool = False


def read_styles(root: etree._Element | None) -> dict[str, Style]:
    """Styles by id; none where the document has no such part."""
    declared = {attribute(one, "styleId") or "": one for one in children(root) if local_name(one) == "style"}
    return {name: _style(_chain(name, declared)) for name in declared}


def _chain(name: str, declared: dict[str, etree._Element]) -> list[etree._Element]:
    """A style and those it is based on."""
    chain: list[etree._Element] = []
    while name in declared and len(chain) < _MAX_CHAIN:
        chain.append(declared[name])
        name = attribute(child(declared[name], "basedOn"), "val") or ""
    return chain


def _style(chain: list[etree._Element]) -> Style:
    list_id = next((found for one in chain if (found := attribute(child(one, "pPr", "numPr", "numId"), "val"))), None)
    written = next((found for one in chain if (found := attribute(child(one, "pPr", "numPr", "ilvl"), "val"))), "0")
    hidden = False
    for one in reversed(chain):
        hidden = is_hidden(child(one, "rPr"), otherwise=hidden)
    level = next((own for one in chain if (own := _level(one)) is not None), None)
    return Style(level, list_id, int(written) if written.isdecimal() and len(written) < 3 else 0, hidden)


def _level(style: etree._Element) -> int | None:
    name = attribute(child(style, "name"), "val") or ""
    if match := _HEADING.fullmatch(name.strip()):
        return int(match[1])
    if name.strip().lower() == "title":
        return 1
    outline = attribute(child(style, "pPr", "outlineLvl"), "val") or ""
    return int(outline) + 1 if outline.isdecimal() and len(outline) == 1 and int(outline) < 9 else None


def is_hidden(properties: etree._Element | None, *, otherwise: bool, on_white: bool = False) -> bool:
    """Whether run properties hide their words: hidden outright, white on white, or too small to be seen."""
    vanish = child(properties, "vanish")
    if vanish is not None:
        return (attribute(vanish, "val") or "true").lower() not in _OFF
    colour = (attribute(child(properties, "color"), "val") or "").upper()
    ground = child(properties, "shd") is not None or child(properties, "highlight") is not None
    size = attribute(child(properties, "sz"), "val") or ""
    too_small = size.isdecimal() and int(size[:6]) <= _SMALLEST_HALF_POINTS
    return otherwise or too_small or (on_white and colour == "FFFFFF" and not ground)
