"""Text from documents that imitates control tokens, or that a reader cannot see.

Owns four refusals: a word of Latin and Cyrillic letters that look the same, and a look-alike of `<|im_end|>` and its
kin (full-width and other bars and brackets count, after NFKC), characters of zero width or of text direction, and
control characters. A memo may hold such a character in good faith (a byte-order mark pasted in the middle): its pair
is refused all the same, with the reason, because what is not seen is not reviewed. The tokenizer never turns text
into control tokens; this is the second lock. It must not mend text.
"""

from __future__ import annotations

import re
import unicodedata

from hrmbuild.config.project import GatesConfig
from hrmbuild.gates.finding import Finding, named, texts_of
from hrmbuild.records.pair import CompiledPair

NAME = "control_tokens"

_BARS = "\u2223\u01c0\u2502\u2503\u2758\u23d0\u00a6"
_LEFT = "\u2039\u3008\u2329\u27e8\u276e\u02c2\u1438"
_RIGHT = "\u203a\u3009\u232a\u27e9\u276f\u02c3\u1433"
_LOOKALIKES = str.maketrans({**dict.fromkeys(_BARS, "|"), **dict.fromkeys(_LEFT, "<"), **dict.fromkeys(_RIGHT, ">")})
"""Bars and angle brackets that NFKC leaves apart from ASCII's."""

_CONTROL_TOKEN = re.compile(
    r"<\s?\|\s?[\w.:/-]{1,64}\s?\|\s?>|</?s>|\[/?INST\]|<</?SYS>>|<\s?/?think\s?>", re.IGNORECASE
)
_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\u3164\ufeff\uffa0\U000e0000-\U000e007f]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_JOINERS = "\u200c\u200d"
_FIRST_JOINED = 0x0600
"""Joiners shape letters of Arabic, Indic and later scripts, and join emoji; before those blocks they only hide."""


_LOOKS_LATIN = "аеорсухіјѕһԁԛԝАВЕКМНОРСТУХІЈЅ"
_CYRILLIC = re.compile("[\u0400-\u052f]")
_MIXED = re.compile(rf"(?<!\w)(?=[^\W\d_]*[A-Za-z])(?=[^\W\d_]*[{_LOOKS_LATIN}])[A-Za-z{_LOOKS_LATIN}]{{3,}}(?!\w)")
"""A word of Latin letters among which Cyrillic ones stand that look the same."""


def check(pair: CompiledPair, config: GatesConfig) -> Finding | None:
    """`gate.hidden_character`, `gate.control_character`, `gate.homoglyph`, `gate.control_token`."""
    for name, text in texts_of(pair):
        hidden = _first_hidden(text)
        if hidden is not None:
            return Finding("gate.hidden_character", f"the {name} holds {named(hidden)}, which nobody sees")
        control = _CONTROL.search(text)
        if control:
            return Finding("gate.control_character", f"the {name} holds the control character {named(control.group())}")
        mixed = _MIXED.search(text) if not text.isascii() and _CYRILLIC.search(text) else None
        if mixed:
            return Finding("gate.homoglyph", f"the {name} holds {mixed.group()!a}, a word of two scripts")
        token = _CONTROL_TOKEN.search(unicodedata.normalize("NFKC", text).translate(_LOOKALIKES))
        if token:
            return Finding(
                "gate.control_token", f"the {name} holds {token.group()!r}, which looks like a control token"
            )
    return None


def _first_hidden(text: str) -> str | None:
    for match in _HIDDEN.finditer(text):
        if match.group() not in _JOINERS or not _joins(text, match.start()):
            return match.group()
    return None


def _joins(text: str, at: int) -> bool:
    """A joiner between two characters that it can join."""
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    return bool(before and after) and ord(before) >= _FIRST_JOINED and ord(after) >= _FIRST_JOINED and not (
        _HIDDEN.match(before) or _HIDDEN.match(after)
    )  # fmt: skip
