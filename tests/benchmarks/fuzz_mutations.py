"""Damage for files: what disks, editors, exports and hostile people do to them, drawn from one seed.

Owns the mutations. Each takes a `random.Random` and bytes and gives other bytes; the same seed gives the same file.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

import fuzz_tables
import yaml
from fuzz_tables import DATES, NUMBERS, WORDS

_NUMBER = re.compile(r"\d[\d.,]*")
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d\d?/\d\d?/\d{2,4}|\d\d?\.\d\d?\.\d{2,4}")
_WORD = re.compile(r"\w+|[^\w\s]")


def bits(random: Random, data: bytes) -> bytes:
    """Some bits turned."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 3, 30))):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def block(random: Random, data: bytes) -> bytes:
    """A block doubled, removed, moved, blanked, or everything after it."""
    start = random.randrange(len(data) + 1)
    end = min(len(data), start + random.choice((1, 16, 512, 4096, len(data))))
    one, rest = data[start:end], data[:start] + data[end:]
    at = random.randrange(len(rest) + 1)
    return random.choice((
        data[:end] + one + data[end:], rest, rest[:at] + one + rest[at:],
        data[:start] + bytes(end - start) + data[end:],
        data[:start], data[start:],
    ))  # fmt: skip


def rubbish(random: Random, data: bytes) -> bytes:
    """Bytes of no meaning, put in."""
    at = random.randrange(len(data) + 1)
    return data[:at] + random.randbytes(random.choice((1, 4, 100))) + data[at:]


def encoded(random: Random, data: bytes) -> bytes:
    """Another encoding, for all of it or from a line on."""
    text = data.decode("utf-8", "replace")
    at = random.choice((0, random.randrange(len(text) + 1)))
    name = random.choice(
        ("utf-16", "utf-16-be", "utf-32", "latin-1", "cp1252", "utf-8-sig", "shift-jis", "utf-7", "cp037")
    )
    return text[:at].encode() + text[at:].encode(name, "replace")


def line_ends(random: Random, data: bytes) -> bytes:
    """Line ends of other systems, all or some."""
    pieces = data.replace(b"\r\n", b"\n").split(b"\n")
    ends = random.choice(((b"\r\n",), (b"\r",), (b"\n", b"\r", b"\r\n"), (b"\n\n",), (b" ",), (b"\x0c", b"\n")))
    return b"".join(piece + random.choice(ends) for piece in pieces)


def lines(random: Random, data: bytes) -> bytes:
    """Lines doubled, dropped, swapped, joined to a long one, or repeated very often."""
    pieces = data.split(b"\n")
    at, other = random.randrange(len(pieces)), random.randrange(len(pieces))
    match random.randrange(6):
        case 0:
            pieces[at], pieces[other] = pieces[other], pieces[at]
        case 1:
            pieces.insert(at, pieces[other])
        case 2:
            del pieces[at]
        case 3:
            pieces[at] = b" ".join([pieces[at]] * (200_000 // (len(pieces[at]) + 1)))
        case 4:
            pieces[at:at] = [pieces[at]] * (40_000 // (len(pieces[at]) + 8))
        case _:
            random.shuffle(pieces)
    return b"\n".join(pieces)


def _replaced(random: Random, text: str, pattern: re.Pattern[str], others: tuple[str, ...], often: int) -> str:
    found = list(pattern.finditer(text))
    for match in sorted(random.sample(found, min(often, len(found))), key=lambda one: -one.start()):
        text = text[: match.start()] + random.choice(others) + text[match.end() :]
    return text


def numbers(random: Random, data: bytes) -> bytes:
    """Numbers that are none, or hard to bear."""
    return _as_text(data, lambda text: _replaced(random, text, _NUMBER, NUMBERS, random.choice((1, 5, 50))))


def dates(random: Random, data: bytes) -> bytes:
    """Days that no calendar has."""
    return _as_text(data, lambda text: _replaced(random, text, _DATE, DATES, random.choice((1, 5, 50))))


def words(random: Random, data: bytes) -> bytes:
    """Words and marks exchanged for hostile ones, or for others of the same file."""

    def change(text: str) -> str:
        others = tuple(_WORD.findall(text)) if random.random() < 0.5 else ()
        return _replaced(random, text, _WORD, others or WORDS, random.choice((1, 5, 50)))

    return _as_text(data, change)


def marks(random: Random, data: bytes) -> bytes:
    """One kind of mark for another, everywhere or half of the time."""

    def change(text: str) -> str:
        one, other = (
            random.choice(tuple(",;\t|:\"'<>/=-#*(){}[].\n ")),
            random.choice(tuple(",;\t|:\"'<>/=-#*(){}[].\n \\")),
        )
        share = random.choice((0.01, 0.5, 1.0))
        return "".join(other if letter == one and random.random() < share else letter for letter in text)

    return _as_text(data, change)


def planted(random: Random, data: bytes) -> bytes:
    """Hostile words between the others."""

    def change(text: str) -> str:
        for _ in range(random.choice((1, 4, 20))):
            at = random.randrange(len(text) + 1)
            text = text[:at] + random.choice(WORDS + NUMBERS + DATES) + text[at:]
        return text

    return _as_text(data, change)


def nested(random: Random, data: bytes) -> bytes:
    """Something deep in the middle."""
    depth = random.choice((20, 200, 20_000))
    opened, closed = random.choice((
        ("[", "]"), ("{", "}"), ("(", ")"), ("<b>", "</b>"), ("<div>", ""), ("> ", ""), ("not ", ""), ('{"a":', "}"),
        ("*", "*"), ("((", "))"), ("- ", ""), ("\n#", ""),
    ))  # fmt: skip
    at = random.randrange(len(data) + 1)
    return data[:at] + (opened * depth + "1" + closed * depth).encode() + data[at:]


def markup(random: Random, data: bytes) -> bytes:
    """Entities, declarations, attributes of XML and HTML."""
    bomb = (
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY bomb "&a;&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]>'
    )
    at = data.find(b"<", random.randrange(len(data) + 1))
    close = data.find(b">", at)
    put = random.choice(
        (bomb, b"&bomb;", b"&#0;", b"&#xD800;", b"<![CDATA[", b"<?x ?>", b"<x:y>", b"</p>", b"<table><td>")
    )
    inside = random.choice(
        (b' id="', b' colspan="99999999"', b' rowspan="-1"', b" xmlns=''", b' hidden=""', b' r="ZZZ9999999"')
    )
    if at < 0 or close < 0:
        return put + data
    return random.choice((data[:at] + put + data[at:], data[:close] + inside + data[close:], put + data))


def texts_of_markup(random: Random, data: bytes) -> bytes:
    """Words between the tags, or values of attributes: what stays is well-formed, mostly."""
    parts = _BETWEEN.split(data)
    for at in random.sample(range(0, len(parts), 2), min(len(parts) // 2, random.choice((1, 3, 20)))):
        change = random.choice((numbers, dates, words, planted, lines))
        parts[at] = change(random, parts[at]).translate(None, b"<>&\0") if parts[at].strip() else parts[at]
    return b"".join(parts)


def attributes(random: Random, data: bytes) -> bytes:
    """Values of attributes: counts, references, styles."""
    others = [b"-1", b"0", b"1", b"99999999", b"2147483648", b"", b"x", b"A1:XFD1048576", b"1e9", b"true", b"9" * 50]
    found = list(_ATTRIBUTE.finditer(data))
    chosen = random.sample(found, min(len(found), random.choice((1, 3, 20))))
    for match in sorted(chosen, key=lambda one: -one.start()):
        other = random.choice([*others, random.choice(found).group(1)])
        data = data[: match.start(1)] + other + data[match.end(1) :]
    return data


_BETWEEN = re.compile(rb"(<[^>]*>)")
_ATTRIBUTE = re.compile(rb'="([^"<>]*)"')


def tree(random: Random, data: bytes) -> bytes:
    """A JSON or YAML tree with values exchanged, keys doubled, references and merge keys."""
    text = data.decode("utf-8", "replace")
    try:
        value, is_json = json.loads(text), True
    except (ValueError, RecursionError):
        try:
            value, is_json = yaml.safe_load(text), False
        except (yaml.YAMLError, ValueError, RecursionError, TypeError):
            return words(random, data)
    if not isinstance(value, dict | list):
        return words(random, data)
    for _ in range(random.choice((1, 1, 3, 10))):
        _change_node(random, value)
    if is_json:
        written = json.dumps(value, ensure_ascii=random.random() < 0.5)
        return (
            written[:-1] + ', "a": 1, "a": 2}' if random.random() < 0.2 and isinstance(value, dict) else written
        ).encode("utf-8", "surrogatepass")
    written = yaml.safe_dump(value, allow_unicode=True, sort_keys=False)
    head = random.choice((*[""] * 20, *_YAML_HEADS))
    return (head + written).encode("utf-8", "surrogatepass")


def _change_node(random: Random, value: Any) -> None:
    """One place somewhere in the tree gets another value, goes, or is shown twice."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = random.choice(keys)
        below = value[key]
        if isinstance(below, dict | list) and below and random.random() < 0.8:
            value = below
            continue
        break
    other = value[random.choice(keys)]
    match random.randrange(6):
        case 0:
            del value[key]
        case 1:
            value[key] = other
        case 2 if isinstance(below, str):
            value[key] = _replaced(random, below, _WORD, (*_WORD.findall(below), *NUMBERS, *WORDS, *_OPERATORS), 2)
        case 3 if isinstance(value, dict):
            value[random.choice(WORDS)] = below
        case 4:
            value[key] = [below, below] if random.random() < 0.5 else {"a": below}
        case _:
            value[key] = random.choice(
                (None, True, 0, -1, 1.5, 1e300, 10**30, "", "x", [], {}, [[]], *NUMBERS, *DATES, *WORDS)
            )


_YAML_HEADS = ("x: &a [1, *a]\n", "l: &l {a: 1}\nm: {<<: *l}\n", "b: &b [x,x,x,x]\nc: [*b,*b,*b]\n", "%YAML 9\n---\n")
_OPERATORS = (
    "and",
    "or",
    "not",
    "=",
    "!=",
    "<",
    ">=",
    "in",
    "between",
    "is null",
    "+",
    "/",
    "0",
    "case when",
    "(",
    ")",
    "'x'",
    "||",
)
_ON_BYTES = (bits, block, rubbish, encoded, line_ends)
_ON_TEXT = (lines, numbers, dates, words, marks, planted, nested)
_DATABASES = (b"SQLi", b"PAR1")
_TREES = frozenset({"json", "yaml", "yml", "jsonl"})
_MARKUP = frozenset({"xml", "html", "htm", "dmn", "xhtml", "rels"})


def zipped(random: Random, data: bytes) -> bytes:
    """A container with a member damaged as text or bytes, renamed, doubled, dropped."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(one.filename, archive.read(one)) for one in archive.infolist()]
    except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError, ValueError, EOFError):
        return bits(random, data)
    for _ in range(random.choice((1, 1, 3))):
        at = random.randrange(len(members)) if members else 0
        match random.randrange(9) if members else 9:
            case 0:
                members.insert(at, members[at])
            case 1:
                del members[at]
            case 2:
                members[at] = (
                    random.choice(("../../x.xml", "/etc/x", "a\\b", "x" * 300, members[0][0])),
                    members[at][1],
                )
            case 3:
                members[at] = (members[at][0], random.choice(members)[1])
            case 9:
                break
            case _:
                members[at] = (members[at][0], once(random, members[at][1], "xml"))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def once(random: Random, data: bytes, suffix: str) -> bytes:
    """One mutation that fits files of this suffix."""
    if data[:4] == b"PK\x03\x04" and random.random() < 0.85:
        return zipped(random, data)
    is_text = b"\0" not in data[:4096]
    if data[:4] in _DATABASES and random.random() < 0.8:
        return fuzz_tables.made(random, "sqlite" if data[:4] == b"SQLi" else "parquet")
    if is_text and suffix in {"csv", "tsv"} and random.random() < 0.3:
        return fuzz_tables.made(random, "csv")
    fitting: list[Callable[[Random, bytes], bytes]] = [random.choice(_ON_BYTES)]
    if is_text:
        fitting += [random.choice(_ON_TEXT)] * 4
    if suffix in _TREES:
        fitting += [tree] * 5
    if suffix in _MARKUP:
        fitting += [markup, texts_of_markup, texts_of_markup, texts_of_markup, attributes, attributes, attributes]
    return random.choice(fitting)(random, data)


def mutated(random: Random, data: bytes, suffix: str) -> bytes:
    """A few mutations, one after the other; at most four times as many bytes, and 200 KiB."""
    most = 4 * len(data) + 200_000
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        data = once(random, data, suffix)[:most]
    return data


def _as_text(data: bytes, change: Callable[[str], str]) -> bytes:
    """Bytes that are no UTF-8 stay as they are."""
    return change(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
