"""How regulations (RegML) and their interpretations name a paragraph: `§ 1030.4(b)(1)`, `Comment 1030.4(b)-1.i`.

Owns that name and the document's own title. Source: the eregs schema of the CFPB, for labels and markers; the form of
comments is the one that the Bureau cites them in. It must not read text: a paragraph without a marker has no name.
"""

from __future__ import annotations

import re

import lxml.etree as etree

_PARAGRAPHS = ("paragraph", "interpParagraph")
_NO_MARKER = "none"
"""What stands for the marker of words before the first lettered paragraph of a section."""
_PLACE = re.compile(r"(?P<part>\d+)-(?P<section>\d+[a-z]?)(?P<below>(?:-[A-Za-z0-9]+)*)")


def paragraph_name(element: etree._Element) -> str | None:
    """The name of a paragraph of a section or of an interpretation; None where the regulation gives none."""
    label = element.get("label") or ""
    told, is_comment, below = label.partition("-Interp")
    place = _PLACE.fullmatch(told)
    if place is None or _name(element) not in _PARAGRAPHS or not marker(element):
        return None
    if is_comment:
        steps = below.strip("-").split("-")
        cited = "".join(f"({step})" for step in place["below"].split("-")[1:])
        named = f"Comment {place['part']}.{place['section']}{cited}-{'.'.join(steps)}"
        return named if all(_marked(step) for step in steps) else None
    above = [one for one in element.iterancestors("{*}paragraph") if one.get("marker") != _NO_MARKER]
    markers = [marker(one) for one in (*reversed(above), element)]
    return f"§ {place['part']}.{place['section']}{''.join(map(str, markers))}" if all(markers) else None


def marker(element: etree._Element) -> str | None:
    """`(b)`, `1.`, as the regulation prints it before a paragraph; None where it prints nothing."""
    told = (element.get("marker") or "").strip()
    return told if told and told != _NO_MARKER else None


def regulation_title(root: etree._Element) -> str | None:
    """What a regulation or a statute calls itself; its first heading is only its first section's."""
    found = next((one for one in root.iter(etree.Element) if _name(one) in ("fdsys", "meta")), None)
    title = next((one for one in found if _name(one) == "title"), None) if found is not None else None
    return " ".join("".join(map(str, title.itertext())).split()) or None if title is not None else None


def _marked(step: str) -> bool:
    return bool(re.fullmatch(r"\d{1,3}|[ivxlc]+|[A-Z]", step))


def _name(element: etree._Element) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""
