"""Canonical bytes, hashes and draws: the only source of identity and of chance.

Owns RFC 8785 canonical JSON (restricted to what our formats hold: no floats) and SHA-256 helpers; the RFC 6962 leaf and
node hashes live in `audit.merkle`. Draws are counters of SHA-256(purpose || seed || key), so their numbers never change
with a library's version. It must not read a clock, an environment variable or a random source.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_CHUNK_BYTES = 1 << 20


def canonical_json(value: object) -> bytes:
    """RFC 8785 bytes of a value made of dict, list, str, int, bool and None.

    Floats are refused (decimals travel as strings), and so are keys beyond U+FFFF: without them the plain sort of
    Python equals the sort by UTF-16 code units that the RFC asks for.

    Raises:
        TypeError: a float, or any other type JSON does not know.
        ValueError: a key beyond U+FFFF, an integer outside +-(2^53 - 1), or text that is not valid Unicode.
    """
    _check_canonical(value)
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8")


def _check_canonical(value: object) -> None:
    if value is None or isinstance(value, str | bool):
        return
    if isinstance(value, int):
        if abs(value) > 2**53 - 1:
            raise ValueError(f"integer {value} is outside what canonical JSON can hold; write it as a string")
        return
    if isinstance(value, dict):
        _check_keys(value)
        for child in value.values():
            if type(child) is not str:  # most are: a call for each took a third of freeze
                _check_canonical(child)
        return
    if isinstance(value, list | tuple):
        for child in value:
            if type(child) is not str:
                _check_canonical(child)
        return
    raise TypeError(f"canonical JSON cannot hold {type(value).__name__}")


def _check_keys(value: dict[object, object]) -> None:
    for key in value:
        if not isinstance(key, str) or not (key.isascii() or max(key) <= "\uffff"):
            raise ValueError(f"canonical JSON wants text keys up to U+FFFF, got {key!r}")


def strict_json(data: bytes | str) -> Any:
    """A JSON value whose keys each stand once: two readers must not find two things in it.

    Raises:
        ValueError: it is no such JSON, or nested too deep to be read.
    """
    try:
        text = (
            data.decode("utf-8") if isinstance(data, bytes) else data
        )  # else Python would guess UTF-16 and take a BOM
        return json.loads(text, object_pairs_hook=_each_key_once)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in it")
    return found


def sha256_hex(data: bytes) -> str:
    """SHA-256 of bytes as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def hash_value(value: object) -> str:
    """SHA-256 of the canonical JSON of a value."""
    return sha256_hex(canonical_json(value))


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def draw_integer(purpose: str, seed: int, key: str) -> int:
    """A 64-bit integer that depends on nothing but its arguments."""
    data = f"{len(purpose)}:{purpose}|{seed}|{key}".encode()
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big")


def draw_below(n: int, purpose: str, seed: int, key: str) -> int:
    """An integer in [0, n). The bias of the modulus is below n / 2^64."""
    if n < 1:
        raise ValueError(f"cannot draw below {n}")
    return draw_integer(purpose, seed, key) % n


def draw_fraction(purpose: str, seed: int, key: str) -> float:
    """A number in [0, 1) with 53 bits."""
    return (draw_integer(purpose, seed, key) >> 11) / (1 << 53)


def draw_one(options: Sequence[T], purpose: str, seed: int, key: str) -> T:
    """One of the options, each with the same chance."""
    return options[draw_below(len(options), purpose, seed, key)]


def draw_order(items: Sequence[T], purpose: str, seed: int, key: str) -> list[T]:
    """The items in a drawn order: sorted by one draw a position."""
    order = sorted(range(len(items)), key=lambda i: (draw_integer(purpose, seed, f"{key}#{i}"), i))
    return [items[i] for i in order]
