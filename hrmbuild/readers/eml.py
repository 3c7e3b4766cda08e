"""A mail (RFC 5322) to a Document: decoded headers, the text that its writer wrote, quotations and signature set
aside.

Owns which lines of a body are the writer's own. A reply's quotation (`> …`, with the line that introduces it, or
everything below a forwarded header) is one block of kind `quoted_reply`, what follows `-- ` one of kind `signature`.
It must not read attachments: each is a skip. Source: RFC 3676 for the signature mark, RFC 5322 and 2045 through
Python's `email`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

from hrmbuild.readers.mail_parts import MailParts, TextPart, header_text, mail_parts, parse_mail
from hrmbuild.readers.prose_lines import pieces
from hrmbuild.readers.result import MAX_TEXT_BYTES, ReadResult, SourceFile, check_size, skip
from hrmbuild.readers.spans import Line, SourceText
from hrmbuild.readers.text import Reading
from hrmbuild.records.document import Block, BlockKind, Document
from hrmbuild.records.locator import Locator
from hrmbuild.records.source import Skip

HEADERS = ("from", "to", "cc", "date", "subject", "reply-to", "sender")
"""Header fields that say something about the memo; the others only carried it."""

_QUOTED = re.compile(r"\s{0,3}>")
_INTRODUCTION = re.compile(
    r"\s*(?:On\s.{4,200}\swrote|Am\s.{4,200}\sschrieb.*|Le\s.{4,200}\sa écrit|El\s.{4,200}\sescribió"
    r"|.{1,120}\swrote)\s?:\s*$"
)
_FORWARDED = re.compile(
    r"\s*(?:-{2,}\s*(?:Original Message|Original-Nachricht|Ursprüngliche Nachricht|Forwarded message|Message d'origine"
    r"|Weitergeleitete Nachricht)\s*-{2,}|_{20,})\s*$",
    re.IGNORECASE,
)
_FORWARDED_FIELD = re.compile(r"\s*\*?(?:From|Von|De|Sent|Gesendet|Date)\s?:", re.IGNORECASE)
_SIGNATURE = re.compile(r"--\s?$")
_MAX_INTRODUCTION_CHARS = 400
_MAX_SIGNATURE_LINES = 15


def read_eml(file: SourceFile) -> ReadResult:
    """One Document; it has no blocks where the mail has no text that is read."""
    check_size(file, MAX_TEXT_BYTES)
    return read_message(file, parse_mail(file.data, where=file.relative))


def read_message(file: SourceFile, message: Message, *, prefix: str = "") -> ReadResult:
    """One Document of one mail; `prefix` goes before the number of each part, for files of many mails."""
    parts = mail_parts(message, where=file.relative)
    headers = {name: value for name in HEADERS if (value := header_text(message, name))}
    document = Document(
        source_sha256=file.sha256,
        path=file.relative,
        title=headers.get("subject"),
        headers=headers,
        header_locators={name: Locator(part=f"{prefix}header:{name.title()}") for name in headers},
        blocks=tuple(block for part in parts.texts for block in body_blocks(SourceText(part.text, prefix + part.part))),
    )
    notes = [f"part {prefix}{part.part}: {note}" for part in parts.texts for note in _notes(part)]
    return ReadResult([document], list(_skips(message, parts, prefix)), notes)


def _notes(part: TextPart) -> Iterator[str]:
    yield from part.notes
    if part.from_html:
        yield "its text is taken from HTML"


def _skips(message: Message, parts: MailParts, prefix: str) -> Iterator[Skip]:
    for other in parts.others:
        yield skip(other.code, other.detail, Locator(part=prefix + other.part))
    for defect in sorted(set(parts.defects)):
        yield skip(
            "read.mail_defect", f"the mail breaks the format: {defect}", Locator(part=prefix.rstrip("/") or None)
        )
    unread = sorted({name.lower() for name in message} - set(HEADERS))
    if unread:
        yield skip(
            "read.other_headers",
            f"header fields that are not read: {', '.join(unread)}",
            Locator(part=f"{prefix}header"),
        )


@dataclass(frozen=True)
class _Stretch:
    """Lines of one sort, in order."""

    kind: BlockKind | None
    """None: the writer's own words."""
    lines: list[Line]


def body_blocks(source: SourceText) -> list[Block]:
    """The blocks of one text part."""
    reading = Reading(source)
    for stretch in _stretches(source):
        if stretch.kind is None:
            reading.add(pieces(source, stretch.lines), is_mail=True)
        else:
            start, end = source.trimmed(stretch.lines[0].start, stretch.lines[-1].end)
            if end > start:
                reading.blocks.append(source.block(stretch.kind, start, end))
    return reading.blocks


def _stretches(source: SourceText) -> Iterator[_Stretch]:
    stretch: _Stretch | None = None
    for kind, line in zip(_kinds(source.lines), source.lines, strict=True):
        if stretch is None or stretch.kind != kind:
            if stretch is not None:
                yield stretch
            stretch = _Stretch(kind, [])
        stretch.lines.append(line)
    if stretch is not None:
        yield stretch


def _kinds(lines: tuple[Line, ...]) -> list[BlockKind | None]:
    """For each line whether it is quoted, signature, or the writer's own."""
    kinds: list[BlockKind | None] = ["quoted_reply" if _QUOTED.match(line.text) else None for line in lines]
    forwarded = next((i for i in range(len(lines)) if _begins_forwarded(lines, i)), len(lines))
    for index in range(forwarded, len(lines)):
        kinds[index] = "quoted_reply"
    for index, line in enumerate(lines):
        introduces = len(line.text) < _MAX_INTRODUCTION_CHARS and _INTRODUCTION.match(line.text)
        if kinds[index] is None and introduces and _quotation_follows(lines, kinds, index):
            kinds[index] = "quoted_reply"
    _mark_blanks(lines, kinds)
    _mark_signature(lines, kinds)
    return kinds


def _begins_forwarded(lines: tuple[Line, ...], index: int) -> bool:
    """A forwarding mark with header lines below it."""
    following = [line.text for line in lines[index + 1 : index + 4] if not line.is_blank]
    return bool(_FORWARDED.match(lines[index].text)) and bool(following) and bool(_FORWARDED_FIELD.match(following[0]))


def _quotation_follows(lines: tuple[Line, ...], kinds: list[BlockKind | None], index: int) -> bool:
    below = next((i for i in range(index + 1, len(lines)) if not lines[i].is_blank), None)
    return below is not None and kinds[below] == "quoted_reply"


def _mark_blanks(lines: tuple[Line, ...], kinds: list[BlockKind | None]) -> None:
    """Blank lines between quoted lines do not cut the quotation in two."""
    for index, line in enumerate(lines):
        if line.is_blank and index and kinds[index - 1] == "quoted_reply" and _quotation_follows(lines, kinds, index):
            kinds[index] = "quoted_reply"


def _mark_signature(lines: tuple[Line, ...], kinds: list[BlockKind | None]) -> None:
    """From the last signature mark to the end, or to the quotation below it."""
    marks = [i for i, line in enumerate(lines) if kinds[i] is None and _SIGNATURE.match(line.text)]
    if not marks:
        return
    end = next((i for i in range(marks[-1], len(lines)) if kinds[i] is not None), len(lines))
    if sum(not line.is_blank for line in lines[marks[-1] : end]) <= _MAX_SIGNATURE_LINES:
        for index in range(marks[-1], end):
            kinds[index] = "signature"
