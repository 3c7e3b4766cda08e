"""The provision that a question cites, out of the documents of its context: `section 151(d)(2)`, and what leads to it.

Owns finding the citation and cutting the text: the cited part with everything below it, and the lines that lead to it.
Its siblings are left out, since a question names the part that decides it. Without a citation all documents are shown
whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hrmbuild.pairs.prompt import Passage
from hrmbuild.records.document import Block, Document

_CITATION = re.compile(r"(?:\b[Ss]ection|§)\s*(?P<section>\d+[A-Za-z]?)(?P<parts>(?:\([A-Za-z0-9]+\))*)")
_PART = re.compile(r"\([A-Za-z0-9]+\)")


def cited_passages(question: str, documents: Sequence[Document]) -> list[tuple[Document, Passage]]:
    """The cited provisions as passages, one a document, beside it; all documents whole where nothing is cited."""
    cited: dict[str, list[tuple[str, ...]]] = {}
    by_section = {_section(document): document for document in documents}
    for match in _CITATION.finditer(question):
        if match["section"] in by_section:
            cited.setdefault(match["section"], []).append(tuple(_PART.findall(match["parts"])))
    if not cited:
        return [(one, _passage(one, [()])) for one in sorted(documents, key=lambda d: d.path)]
    return [(by_section[section], _passage(by_section[section], parts)) for section, parts in sorted(cited.items())]


def _section(document: Document) -> str | None:
    """`151` of a document whose title or first heading's number is `§151`."""
    number = next((block.number for block in document.blocks if block.number), None) or document.title or ""
    found = re.match(r"(?:§+|[Ss]ection)\s*(\d+[A-Za-z]?)\b", number)
    return found.group(1) if found else None


def _passage(document: Document, parts: Sequence[tuple[str, ...]]) -> Passage:
    wanted = [_deepest(document, part) for part in parts]
    lines = [_line(block) for block in document.blocks[1:] if any(_shown(_path(block), part) for part in wanted)]
    return Passage(document.title, "\n".join(lines))


def _path(block: Block) -> tuple[str, ...]:
    above = [found.group() for title in block.locator.heading_path or () if (found := _PART.match(title))]
    return (*above, block.number) if block.number and _PART.fullmatch(block.number) else tuple(above)


def _deepest(document: Document, part: tuple[str, ...]) -> tuple[str, ...]:
    """The citation, shortened to the deepest part that the document has."""
    paths = {_path(block) for block in document.blocks}
    while part and part not in paths:
        part = part[:-1]
    return part


def _shown(path: tuple[str, ...], part: tuple[str, ...]) -> bool:
    return path[: len(part)] == part or part[: len(path)] == path


def _line(block: Block) -> str:
    text = re.sub(r"\s+", " ", block.text)
    return f"{block.number} {text}" if block.number and not text.startswith(block.number) else text
