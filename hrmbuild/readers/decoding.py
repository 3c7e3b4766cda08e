"""Bytes to text, honestly: a byte-order mark, then UTF-8, then a detector whose guess is named, then refusal.

Owns the decoded text that locators count in: newlines are `\\n`, a byte-order mark is gone, nothing else is changed
(NFC is applied to each quoted span, after it was cut out). It must not repair text: broken UTF-8 is refused with its
line.

Source: the detector is charset-normalizer, which measures how little a text looks like a mistake under each code
page.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from itertools import pairwise

from charset_normalizer import CharsetMatch, CharsetMatches, from_bytes

from hrmbuild.errors import InputError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with that of UTF-16-LE
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DETECT_BYTES = 256 << 10
"""The detector looks at this much: a MiB would take seconds and tell no more."""

_MAX_CHAOS = 0.2
"""charset-normalizer's own limit: above this share of odd characters a decoding is not believed."""


@dataclass(frozen=True)
class Decoded:
    """A file's text and how it came to be."""

    text: str
    encoding: str
    guessed: bool = False

    @property
    def notes(self) -> list[str]:
        """What a user should see of it."""
        return [f"decoded as {self.encoding} (detected, not declared)"] if self.guessed else []


def normalise_newlines(text: str) -> str:
    """`\\r\\n` and a lone `\\r` become `\\n`."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def decode(data: bytes, *, where: str) -> Decoded:
    """Decode the bytes of a text file called `where` in messages.

    Raises:
        InputError: `read.binary`, `read.broken_utf8`, `read.broken_encoding` or `read.unknown_encoding`.
    """
    decoded = _by_mark(data, where) or _utf16_without_mark(data) or _as_utf8(data, where) or _detected(data, where)
    if "\0" in decoded.text:
        raise InputError("read.binary", "the file holds NUL characters and is no text", where=where,
                         fix="give a text file, or leave it out")  # fmt: skip
    return Decoded(normalise_newlines(decoded.text), decoded.encoding, decoded.guessed)


def _by_mark(data: bytes, where: str) -> Decoded | None:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return Decoded(data[len(mark) :].decode(encoding), encoding)
            except UnicodeDecodeError as error:
                raise _broken(error, f"its byte-order mark says {encoding}", where) from None
    return None


def _as_utf8(data: bytes, where: str) -> Decoded | None:
    try:
        return Decoded(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError as error:
        if _is_mostly_utf8(data):
            line = data.count(b"\n", 0, error.start) + 1
            raise InputError(
                "read.broken_utf8",
                f"the text is UTF-8 but for byte {data[error.start]:#04x} at offset {error.start}",
                where=f"{where}:{line}",
                why="reading it in another encoding would garble every other accented letter",
                fix="mend the bytes, or save the file as UTF-8",
            ) from None
        return None


def _utf16_without_mark(data: bytes) -> Decoded | None:
    """Zeros that stand on one side of the byte pairs only are the high bytes of Latin letters."""
    head = data[:_DETECT_BYTES]
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) * 4 <= len(head) // 2 or min(even, odd) * 20 >= max(even, odd):
        return None
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    try:
        return Decoded(data.decode(encoding), encoding, guessed=True)
    except UnicodeDecodeError:
        return None


_UTF8_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


def _is_mostly_utf8(data: bytes) -> bool:
    """At least three, and nine in ten, of the bytes above 0x7f stand in whole UTF-8 sequences."""
    inside = [len(match.group()) for match in _UTF8_SEQUENCE.finditer(data)]
    n_high = sum(1 for byte in data if byte > 0x7F)
    return len(inside) >= 3 and sum(inside) >= 0.9 * n_high


def _detected(data: bytes, where: str) -> Decoded:
    head = data[:_DETECT_BYTES]
    if (western := _sparse_western(head)) is not None and (decoded := _as_western(data, western)) is not None:
        return decoded
    best = None if b"\0" in head else _best(from_bytes(head))
    if best is None or best.percent_chaos > 100 * _MAX_CHAOS:
        raise InputError(
            "read.unknown_encoding",
            "the bytes are no UTF-8 and fit no other encoding well",
            where=where,
            fix="save the file as UTF-8; a binary format needs its usual suffix",
        )
    try:
        return _in_usual_name(data, Decoded(data.decode(best.encoding), best.encoding, guessed=True))
    except UnicodeDecodeError as error:
        raise _broken(error, f"its beginning looks like {best.encoding}", where) from None


_WESTERN_MARKS = frozenset("“”‘’„‚–—…•§°€£«»·©®™²³½¼¾µ¿¡ªº\xa0")
_FEW_HIGH_BYTES = 0.1
"""Share of bytes above 0x7f below which they cannot be the letters of a non-Latin script."""


def _sparse_western(head: bytes) -> str | None:
    """`cp1252` where few bytes are above 0x7f, each stands alone, and all are Western letters or marks.

    The detector takes short Western texts for Big5: `Grü` + `ß` is one Chinese character there. In a multibyte text
    bytes above 0x7f are dense, and in another single-byte code page some of them are no Western letters.
    """
    high = [i for i, byte in enumerate(head) if byte > 0x7F]
    if not high or len(high) > _FEW_HIGH_BYTES * len(head):
        return None
    n_adjacent = sum(1 for one, other in pairwise(high) if other == one + 1)
    try:
        letters = bytes(head[i] for i in high).decode("cp1252")
    except UnicodeDecodeError:
        return None
    western = all(letter.isalpha() or letter in _WESTERN_MARKS for letter in letters)
    return "cp1252" if western and n_adjacent <= len(high) // 4 else None


def _as_western(data: bytes, encoding: str) -> Decoded | None:
    try:
        return Decoded(data.decode(encoding), encoding, guessed=True)
    except UnicodeDecodeError:
        return None


def _best(matches: CharsetMatches) -> CharsetMatch | None:
    """The detector's best match; among equals Western Windows text, by far the commonest, wins over its neighbours."""
    best = matches.best()
    for match in matches if best is not None else ():
        equal = best and (match.percent_chaos, match.percent_coherence) == (best.percent_chaos, best.percent_coherence)
        if equal and "cp1252" in (match.encoding, *match.could_be_from_charset):
            return match
    return best


def _in_usual_name(data: bytes, decoded: Decoded) -> Decoded:
    """Where Western Windows text gives the same letters, say so: `cp1250` for German umlauts would only puzzle."""
    try:
        same = data.decode("cp1252") == decoded.text
    except UnicodeDecodeError:
        return decoded
    return Decoded(decoded.text, "cp1252", guessed=True) if same else decoded


def _broken(error: UnicodeDecodeError, reason: str, where: str) -> InputError:
    return InputError(
        "read.broken_encoding",
        f"{reason}, but byte {error.start} does not fit",
        where=where,
        fix="save the file as UTF-8",
    )
