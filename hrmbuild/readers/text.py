"""Plain text to a Document: statutes and policies with numbered clauses, memos with header lines.

Owns what counts as a heading where nothing marks one: a line that is underlined, in capitals, or a short numbered line
that stands alone and does not end like a sentence. Clauses nest by indentation and by the shape of their numbers, and
`heading_path` names the clauses around a block. It must not read mail or Markdown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hrmbuild.readers.decoding import decode
from hrmbuild.readers.memo_headers import find_memo_headers
from hrmbuild.readers.outline import ENUMERATIONS, Outline
from hrmbuild.readers.prose_lines import Piece, pieces
from hrmbuild.readers.result import MAX_TEXT_BYTES, ReadResult, SourceFile, check_size
from hrmbuild.readers.spans import SourceText, nfc
from hrmbuild.records.document import Block, BlockKind, Document

_ENDS_LIKE_A_SENTENCE = re.compile(r"[.,;:!?–—-]$|\b(?:and|or)$")
_MAX_HEADING_CHARS = 100
_MEMO_TITLE = re.compile(r"\s*[A-Z][A-Z \d/&-]{3,}\s*$")
"""`MEMORANDUM` above the header lines."""


def read_text(file: SourceFile) -> ReadResult:
    """One Document."""
    check_size(file, MAX_TEXT_BYTES)
    decoded = decode(file.data, where=file.relative)
    source = SourceText(decoded.text)
    memo = find_memo_headers(source, is_title=_MEMO_TITLE)
    reading = Reading(source)
    reading.add(pieces(source, [line for line in source.lines if line.number not in memo.lines]))
    document = Document(
        source_sha256=file.sha256,
        path=file.relative,
        title=memo.values.get("subject") or reading.title,
        headers=memo.values,
        header_locators=memo.locators,
        blocks=tuple(reading.blocks),
    )
    return ReadResult([document], notes=decoded.notes)


@dataclass
class Reading:
    """Pieces becoming blocks under an outline."""

    source: SourceText
    blocks: list[Block] = field(default_factory=list)
    title: str | None = None
    """The first heading, number and all."""
    outline: Outline = field(default_factory=Outline)
    _is_mail: bool = False

    def add(self, found: list[Piece], *, is_mail: bool = False) -> None:
        """Append the blocks of the pieces; a mail's first line is a salutation, not a title."""
        self._is_mail = is_mail
        for index, piece in enumerate(found):
            following = found[index + 1] if index + 1 < len(found) else None
            self._add(piece, following)

    def _add(self, piece: Piece, following: Piece | None) -> None:
        shape = self._heading_shape(piece, following)
        if shape is not None:
            self._add_heading(piece, shape)
        elif piece.clause is not None and not piece.bullet:
            self._add_clause(piece)
        else:
            self._add_words(piece)

    def _heading_shape(self, piece: Piece, following: Piece | None) -> str | None:
        """What kind of heading a piece is (its number's shape, its underline, `CAPS`, `first`), or None."""
        words = self.source.text[piece.start : piece.end]
        if piece.underline:
            return piece.underline
        if (
            len(piece.lines) > 1
            or piece.bullet
            or len(words) > _MAX_HEADING_CHARS
            or _ENDS_LIKE_A_SENTENCE.search(words)
        ):
            return None
        if piece.clause is not None:
            return self._numbered_heading_shape(piece, words[piece.clause.length :], following)
        if words.isupper() and sum(char.isalpha() for char in words) >= 4:
            return "CAPS"
        first = not self._is_mail and not self.blocks
        return "first" if first and piece.alone and following is not None and words[:1].isupper() else None

    def _numbered_heading_shape(self, piece: Piece, title: str, following: Piece | None) -> str | None:
        """`(a) In general` on a line of its own, with something else than its next sibling below it."""
        if piece.clause is None or not piece.alone or following is None or title[:1].islower():
            return None
        same = following.clause is not None and (following.indent, following.clause.shape) == (
            piece.indent,
            piece.clause.shape,
        )
        return None if same else self.outline.sibling_shape(piece.indent, piece.clause)

    def _add_heading(self, piece: Piece, shape: str) -> None:
        title = nfc(" ".join(self.source.text[piece.start : piece.end].split()))
        self.title = self.title or title
        self.outline.open_clause(piece.indent, shape, title)
        self._append("heading", piece, path=self.outline.path[:-1], level=self.outline.depth())

    def _add_clause(self, piece: Piece) -> None:
        if piece.clause is None:
            return
        shape = self.outline.sibling_shape(piece.indent, piece.clause)
        self.outline.open_clause(piece.indent, shape, piece.clause.number)
        kind = "list_item" if shape in ENUMERATIONS else "paragraph"
        level = self.outline.depth() if kind == "list_item" else None
        self._append(kind, piece, path=self.outline.path[:-1], level=level)

    def _add_words(self, piece: Piece) -> None:
        self.outline.close_deeper(piece.indent)
        self._append("list_item" if piece.bullet else "paragraph", piece, path=self.outline.path, level=None)

    def _append(self, kind: BlockKind, piece: Piece, *, path: tuple[str, ...], level: int | None) -> None:
        start = piece.start + (piece.clause.length if piece.clause else 0)
        number = piece.clause.number if piece.clause else None
        self.blocks.append(self.source.block(kind, start, piece.end, heading_path=path, number=number, level=level))
