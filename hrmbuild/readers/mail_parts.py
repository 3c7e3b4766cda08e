"""A mail's bytes to its text parts and header values, both decoded; everything else in it by name.

Owns the walk over MIME parts (numbered as IMAP does: `1`, `1.2`), and how their bytes become text. The reader and
`resolve` both come through here, so a part's text is the same both times. It must not cut text into blocks, and it
must not raise on what senders get wrong: a part that cannot be decoded is named with its reason.
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32

from hrmbuild.errors import InputError
from hrmbuild.readers.decoding import decode, normalise_newlines
from hrmbuild.readers.html_text import html_to_text
from hrmbuild.readers.spans import nfc

_MAX_DEPTH = 20
_REFUSED_CODECS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "utf_7", "undefined", "mbcs"})
"""Text encodings of Python that no mail uses honestly, some of them slow on purpose-made input."""

_ASCII = frozenset({"ascii", "us-ascii", "7bit", "8bit", "binary", "unknown-8bit"})


@dataclass(frozen=True)
class TextPart:
    """A part that is text, and how it became so."""

    part: str
    text: str
    from_html: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class OtherPart:
    """A part that was seen and not read."""

    part: str
    code: str
    detail: str


@dataclass
class MailParts:
    """What a mail holds, in reading order."""

    texts: list[TextPart] = field(default_factory=list)
    others: list[OtherPart] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)
    """What the parser found wrong, by name."""


def parse_mail(data: bytes, *, where: str) -> Message:
    """The mail as a message; a mail in UTF-16 or UTF-32 is read too.

    Raises:
        InputError: `read.not_a_mail`, `read.too_deep`.
    """
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or b"\0" in data[:64]:
        data = decode(data, where=where).text.encode("utf-8")
    data = data.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n")
    try:
        message = BytesParser(policy=compat32).parsebytes(data)
    except RecursionError:
        raise InputError("read.too_deep", "parts of this mail nest too deep to be read", where=where) from None
    if not any(
        message.get(name) for name in ("from", "to", "subject", "date", "received", "message-id", "content-type")
    ):
        raise InputError("read.not_a_mail", "the file has no header field of a mail", where=where,
                         fix="rename it, or name its format in its source")  # fmt: skip
    return message


def header_text(message: Message, name: str) -> str:
    """A header field's value with encoded words decoded and folds undone; NFC; empty where it is absent."""
    value = message.get(name)
    if value is None:
        return ""
    raw = re.sub(r"[\r\n]+[ \t]*", " ", str(value)) if isinstance(value, str) else value
    try:
        pieces = decode_header(raw)
    except (HeaderParseError, binascii.Error, ValueError):
        pieces = [(str(raw), None)]
    return nfc(" ".join("".join(_piece(text, charset) for text, charset in pieces).split()))


def _piece(text: str | bytes, charset: str | None) -> str:
    """One run of a header; what no charset decodes becomes U+FFFD, which a gate refuses to train on."""
    if isinstance(text, str):
        return text.encode("utf-8", "replace").decode("utf-8")
    codec = _codec(charset)
    for candidate in (codec, "utf-8", "cp1252") if codec else ("utf-8", "cp1252"):
        try:
            return text.decode(candidate)
        except UnicodeDecodeError:
            continue
    return text.decode("ascii", "replace")


def mail_parts(message: Message, *, where: str) -> MailParts:
    """Its text parts (of alternatives: plain text before HTML) and the names of all others."""
    found = MailParts()
    _walk(message, "", found, where=where, depth=0)
    return found


def _walk(message: Message, number: str, found: MailParts, *, where: str, depth: int) -> None:
    found.defects += [type(defect).__name__ for defect in message.defects]
    content = message.get_content_type()
    if depth > _MAX_DEPTH:
        found.others.append(OtherPart(number or "1", "read.too_deep", "parts nest too deep"))
    elif content == "message/rfc822":
        found.others.append(OtherPart(number or "1", "read.attached_mail", "a mail attached to this mail is not read"))
    elif content == "multipart/alternative" and message.is_multipart():
        _choose_alternative(message, number, found, where=where, depth=depth)
    elif message.is_multipart():
        for child_number, child in _children(message, number):
            _walk(child, child_number, found, where=where, depth=depth + 1)
    else:
        _leaf(message, number or "1", found, where=where)


def _children(message: Message, number: str) -> Iterator[tuple[str, Message]]:
    payload = message.get_payload()
    for index, child in enumerate(payload if isinstance(payload, list) else (), start=1):
        if isinstance(child, Message):
            yield (f"{number}.{index}" if number else str(index)), child


def _choose_alternative(message: Message, number: str, found: MailParts, *, where: str, depth: int) -> None:
    """One of several forms of the same words: plain text where it says anything, else the last form that has a text."""
    readings: list[tuple[str, Message, MailParts]] = []
    for child_number, child in _children(message, number):
        reading = MailParts()
        _walk(child, child_number, reading, where=where, depth=depth + 1)
        readings.append((child_number, child, reading))
    worded = [index for index, (_, _, reading) in enumerate(readings) if any(t.text.strip() for t in reading.texts)]
    plain = [index for index in worded if not any(text.from_html for text in readings[index][2].texts)]
    chosen = plain[0] if plain else worded[-1] if worded else None
    for index, (child_number, child, reading) in enumerate(readings):
        found.defects += reading.defects
        found.others += reading.others
        if index == chosen:
            found.texts += reading.texts
        elif reading.texts:
            detail = f"the same words as {child.get_content_type()}, of which another form is read"
            found.others.append(OtherPart(child_number, "read.alternative_part", detail))


def _leaf(message: Message, number: str, found: MailParts, *, where: str) -> None:
    content = message.get_content_type()
    name = _file_name(message)
    if content not in ("text/plain", "text/html") or message.get_content_disposition() == "attachment" or name:
        detail = f"{content} {f'called {name!r} ' if name else ''}is not read"
        code = "read.attachment" if name or not content.startswith("text/") else "read.other_text_part"
        found.others.append(OtherPart(number, code, detail))
        return
    try:
        text, notes = _decoded(message, where=where)
    except InputError as error:
        found.others.append(OtherPart(number, "read.undecodable_part", f"its text cannot be decoded: {error.what}"))
        return
    if content == "text/html":
        page = html_to_text(text)
        found.others += [OtherPart(number, "read.hidden_text", f"hidden in the HTML: {words}") for words in page.hidden]
        found.texts.append(TextPart(number, page.text, from_html=True, notes=notes))
    else:
        found.texts.append(TextPart(number, text, notes=notes))


def _file_name(message: Message) -> str | None:
    """The name of an attached file, decoded; None where there is none or it is unreadable."""
    try:
        name = message.get_filename()
    except (LookupError, UnicodeError, ValueError):
        return "?"
    return nfc("".join(char for char in name if char.isprintable())) if name else None


def _decoded(message: Message, *, where: str) -> tuple[str, tuple[str, ...]]:
    """The text of a leaf: by its charset where that fits, else by detection, which the note says."""
    try:
        payload = message.get_payload(decode=True)
    except (binascii.Error, ValueError, LookupError):
        raise InputError("read.undecodable_part", "its transfer encoding is broken", where=where) from None
    data = payload if isinstance(payload, bytes) else b""
    charset = _charset(message)
    codec = _codec(charset)
    if codec is not None:
        try:
            return normalise_newlines(data.decode(codec)).replace("\0", ""), ()
        except UnicodeDecodeError:
            pass
    decoded = decode(data, where=where)
    wrong = charset if charset and charset.lower() not in _ASCII else None
    note = f"decoded as {decoded.encoding}" + (f", declared as {wrong}" if wrong else "")
    return decoded.text, (note,) if decoded.guessed or wrong else ()


def _charset(message: Message) -> str | None:
    try:
        return message.get_content_charset()
    except (LookupError, UnicodeError, ValueError):
        return None


def _codec(charset: str | None) -> str | None:
    """Python's codec of a declared charset, None where there is none that can be trusted."""
    if not charset or charset.lower() in _ASCII or not charset.isascii() or "\0" in charset:
        return None
    try:
        name = codecs.lookup(charset).name
        b"text".decode(name, "replace")  # a codec that is none of text (`rot13`) raises LookupError only here
    except (LookupError, ValueError):
        return None
    return None if name.replace("-", "_") in _REFUSED_CODECS else name
