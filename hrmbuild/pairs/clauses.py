"""A document as clauses: what is shown as a whole, numbered and under its heading.

Owns which blocks are shown, and in what form. It must not look for questions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hrmbuild.pairs.draft import Piece
from hrmbuild.pairs.sentences import Sentence, split_sentences
from hrmbuild.pairs.spans import Quote, quote, without_marks
from hrmbuild.records.document import Block, Document

CLAUSE_BYTES = 420
"""A longer paragraph is shown in parts of whole sentences: more would leave no room for a distractor."""
_SHOWN = ("paragraph", "list_item")
_TAGS = re.compile(r"\{[%{]|<[a-zA-Z/!]|^\s*\|")
_ONLY_CITES = re.compile(r"(?=.*[a-zA-Z])(?:(?!\b[a-z]{3,}\b)[\x20-\xff§—–’])+", re.DOTALL)
"""`11 U.S.C. § 343, Fed. R. Bankr. P. 2003(b).`: Latin letters without one plain word."""
_WORDS_OF_ITS_OWN = 6
"""Fewer may stand in a file again and again and mean something else each time."""
_END = re.compile(r"[.!?][\"”’')\]*_]*$")
PARTS = 1000
"""Places in the order that a block's parts may take."""
_NUMBER = re.compile(r"^(?:\d+(?:\.\d+)*|§.+|(?:Section|Article|Clause|Rule|Comment) .+|[A-Z]{1,6}-?\d.*)$")
_CITED = re.compile(r"§ \d|Comment \d")
"""Names of paragraphs of a regulation and of its interpretations: each part of a long one bears it."""
_NAMES_ITSELF = re.compile(
    r"§|(?:Section|Article|Clause|Rule|Part|Chapter|Annex|Appendix|Schedule)\s+(?:\d|[IVXLC]+\b|[A-Z]\b)"
)
_TITLE = re.compile(r"^([A-Z][^.:\n]{2,50})[.:]\s+(?=[A-Z\d])")


@dataclass(frozen=True)
class Clause:
    """A paragraph or list item that may be shown."""

    piece: Piece
    block: Block
    number: str | None
    """`4.2`, `Article 5`, where no other clause has it; `(a)` and the like name nothing."""
    topic: str | None
    """What it is about in its author's words: its run-in title, or the heading that only it stands under."""
    sentences: tuple[Sentence, ...]
    """Their words as shown; offsets into the block's text."""
    names: Mapping[str, str]
    """Masks of names: name -> what is shown."""
    part_of: str | None = None
    """The number of its paragraph, where this is a later part of one that is cited by a name of its own."""

    def quote(self, sentence: Sentence) -> Quote:
        """A sentence with its place."""
        return quote(self.block.text, self.block.locator, start=sentence.start, end=sentence.end, names=self.names)

    def name(self) -> str:
        """`Clause 4.2`, `Article 5`; the number must be there."""
        number = self.number or ""
        return f"Clause {number}" if number[:1].isdigit() else number

    def ground(self) -> str:
        """How a response names it: its number, else its heading, else nothing."""
        if self.number or self.part_of:
            return f"{self.name() if self.number else self.part_of}."
        heading = title_words(self.piece.heading or "")
        if not heading or heading.endswith("?"):
            return ""
        return f"{heading}." if _NAMES_ITSELF.match(heading) else f"Section {heading}."


def title_words(heading: str) -> str:
    """A heading without the signs that only lead from it to its text."""
    plain = heading.strip().rstrip(".:—–- ")
    return plain.lstrip("“‘\"' ") if plain.count("“") > plain.count("”") or plain.count('"') % 2 else plain


@dataclass(frozen=True)
class Refused:
    """A block that is not shown, and why."""

    block: Block
    code: str
    detail: str


def read_clauses(document: Document, *, names: Mapping[str, str] | None = None) -> tuple[list[Clause], list[Refused]]:
    """Clauses in reading order, and the blocks that cannot be shown; `names` are masked in all of them."""
    counts = Counter(_number(block) for block in document.blocks)
    clauses: list[Clause] = []
    refused: list[Refused] = []
    seen: set[str] = set()
    for order, block in enumerate(document.blocks):
        if block.kind not in _SHOWN:
            continue
        if reason := _why_not(block):
            refused.append(Refused(block, *reason))
            continue
        number = _number(block)
        alone = number if number and counts[number] == 1 else None
        found = _clauses(document, order, block, number=alone, names=names or {})
        if _is_repeated(block, seen):
            refused.append(Refused(block, "compile.repeated", "the same words stand above in the same file"))
            found = [replace(one, sentences=()) for one in found]
        clauses.extend(found)
    return clauses, refused


def why_never_shown(block: Block) -> tuple[str, str] | None:
    """Why a block may not even be shown beside others."""
    return ("compile.markup", "it holds template tags, HTML or a table") if _TAGS.search(block.text.strip()) else None


def _why_not(block: Block) -> tuple[str, str] | None:
    text = block.text.strip()
    never = why_never_shown(block)
    if never:
        return never
    lower = text[:1].islower() and not block.number
    if not _END.search(text) or lower or len(text.split()) < 4 or _ONLY_CITES.fullmatch(text):
        return "compile.fragment", "a part of a list or sentence: shown alone it would say something else"
    return None


def _is_repeated(block: Block, seen: set[str]) -> bool:
    """Some files hold a text twice: asked about again, it would have two answers. It may still be shown."""
    words = " ".join(block.text.split())
    if words in seen:
        return True
    if len(words.split()) >= _WORDS_OF_ITS_OWN:
        seen.add(words)
    return False


def _number(block: Block) -> str | None:
    number = (block.number or "").rstrip(".")
    return number if block.kind in _SHOWN and _NUMBER.match(number) else None


def _clauses(
    document: Document, order: int, block: Block, *, number: str | None, names: Mapping[str, str]
) -> list[Clause]:
    """The block as one clause, or in parts of whole sentences where it is long."""

    def words(start: int, end: int) -> str:
        return quote(block.text, block.locator, start=start, end=end, names=names).text

    parts: list[list[Sentence]] = [[]]
    for sentence in split_sentences(block.text):
        if parts[-1] and sentence.end - parts[-1][0].start > CLAUSE_BYTES:
            parts.append([])
        parts[-1].append(sentence._replace(text=words(sentence.start, sentence.end)))
    heading = heading_of(document, block)
    cited = number if number and _CITED.match(number) else None
    return [
        Clause(
            piece=Piece(order=order * PARTS + i, text=_numbered(number if i == 0 else cited, shown), heading=heading),
            block=block,
            number=number if i == 0 else None,
            topic=_topic(document, block, heading) if i == 0 else None,
            sentences=tuple(part),
            names=names,
            part_of=cited if i else None,
        )
        for i, part in enumerate(parts)
        if part and _may_stand_alone(shown := words(part[0].start, part[-1].end))
    ]


def _may_stand_alone(part: str) -> bool:
    return len(part.encode()) <= CLAUSE_BYTES and not _ONLY_CITES.fullmatch(part)


def _numbered(number: str | None, text: str) -> str:
    return f"{number} {text}" if number and not text.startswith(number) else text


def heading_of(document: Document, block: Block) -> str | None:
    """The innermost heading above that is words: numbers of enclosing clauses and the document's title are not."""
    words = [title for title in block.locator.heading_path or () if re.search(r"[^\W\d_]{3}", title)]
    useless = not words or words[-1] == document.title or re.fullmatch(r"memo(?:randum)?", words[-1], re.I)
    return None if useless or _TAGS.search(words[-1]) else without_marks(words[-1])


def _topic(document: Document, block: Block, heading: str | None) -> str | None:
    run_in = _TITLE.match(_without_number(block))
    if run_in:
        return None if _NO_TOPIC.search(run_in.group(1)) else run_in.group(1)
    under = [b for b in document.blocks if b.kind in _SHOWN and b.locator.heading_path == block.locator.heading_path]
    usable = heading and len(under) == 1 and not heading.endswith("?")
    topic = _NUMBERED_HEADING.sub("", heading).rstrip(".:") if heading and usable else ""
    return topic if topic and not _NO_TOPIC.search(topic) else None


_NO_TOPIC = re.compile(
    r"\b(?:is|are|was|were|must|shall|may|should|can|will|has|have|does|do|did)\b"
    r"|^(?:for )?(?:examples?|(?:in )?general|notes?|other)$", re.IGNORECASE
)  # fmt: skip
"""A short sentence at the beginning of a clause is no title of it, and some titles say nothing."""
_NUMBERED_HEADING = re.compile(r"^(?:§\s*)?\d+(?:\.\d+)*[.)]?\s+")


def _without_number(block: Block) -> str:
    number = block.number or ""
    text = without_marks(block.text)
    return text[len(number) :].lstrip(" .)") if number and text.startswith(number) else text
