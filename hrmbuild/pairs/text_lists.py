"""Lists of a document: what introduces one and its points, shown together; alone a point says something else.

Owns which lists can be shown as a whole. It must not ask anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hrmbuild.pairs.clauses import CLAUSE_BYTES, PARTS, Refused, heading_of, why_never_shown
from hrmbuild.pairs.draft import Piece
from hrmbuild.pairs.spans import Quote, quote
from hrmbuild.records.document import Block, Document

FEWEST, MOST = 2, 8
"""Points of a list that is asked about: one point is no list, and of many a small model counts none."""
_ENDS = re.compile(r"[\s;,.]*(?:[;,]\s*(?:and|or))?[\s;,.]*$")
_TOPIC = re.compile(r"^[A-Z0-9“\"'(].{7,140}$", re.S)


@dataclass(frozen=True)
class ShownList:
    """A list under the words that introduce it."""

    piece: Piece
    topic: str
    """The introducing words, without the colon."""
    lead: Quote
    points: tuple[Quote, ...]
    blocks: tuple[Block, ...]
    """Everything that the piece shows."""

    def point(self, number: int) -> str:
        """A point's words, without the signs that join it to the next."""
        return _ENDS.sub("", self.points[number].text)


def read_lists(document: Document, *, names: Mapping[str, str] | None = None) -> list[ShownList]:
    """Lists in reading order: a paragraph that ends in a colon, and the points that follow it at once."""
    found: list[ShownList] = []
    blocks = document.blocks
    for order, block in enumerate(blocks):
        points = list(_points_after(blocks, order)) if _introduces(block) else []
        if FEWEST <= len(points) <= MOST and (made := _shown(document, order, points, names or {})):
            found.append(made)
    return found


def _introduces(block: Block) -> bool:
    return block.kind == "paragraph" and block.text.rstrip().endswith(":") and why_never_shown(block) is None


def _points_after(blocks: tuple[Block, ...], order: int) -> Iterator[Block]:
    """The points that follow; none where one of them has points of its own."""
    following = blocks[order + 1 :]
    end = next((i for i, block in enumerate(following) if block.kind != "list_item"), len(following))
    points = following[:end]
    if len({block.level for block in points}) == 1 and all(why_never_shown(block) is None for block in points):
        yield from points


def _shown(document: Document, order: int, points: list[Block], names: Mapping[str, str]) -> ShownList | None:
    lead_block = document.blocks[order]
    lead = quote(lead_block.text, lead_block.locator, names=names)
    quotes = tuple(quote(block.text, block.locator, names=names) for block in points)
    text = "\n".join([lead.text, *(f"- {one.text}" for one in quotes)])
    topic = _last_sentence(lead.text)
    plain = [_ENDS.sub("", one.text).lower() for one in quotes]
    if not _TOPIC.match(topic) or len(text.encode()) > CLAUSE_BYTES or len(set(plain)) < len(plain) or "" in plain:
        return None
    piece = Piece(order=order * PARTS, text=text, heading=heading_of(document, lead_block))
    return ShownList(piece, topic, lead, quotes, (lead_block, *points))


def _last_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?])\s+", text)[-1].rstrip(": ")


def without_shown(refused: Sequence[Refused], lists: Sequence[ShownList]) -> list[Refused]:
    """What is refused alone and stands in no list that is shown as a whole."""
    shown = {id(block) for one in lists for block in one.blocks}
    return [one for one in refused if id(one.block) not in shown]
