"""Text that every later step must be able to encode, hash and compare: NFC, no half surrogates, no sign of a bad
decoding.

Owns these three refusals. It must not normalise: a compiler that hands over text in another form has a bug to be
seen.
"""

from __future__ import annotations

import re
import unicodedata

from hrmbuild.config.project import GatesConfig
from hrmbuild.gates.finding import Finding, named, texts_of
from hrmbuild.records.pair import CompiledPair

NAME = "unicode"

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_LOST = re.compile("[\ufffd\ufffe\uffff\ufdd0-\ufdef]")


def check(pair: CompiledPair, config: GatesConfig) -> Finding | None:
    """`gate.lone_surrogate`, `gate.lost_character`, `gate.not_nfc`."""
    for name, text in texts_of(pair):
        if _SURROGATE.search(text):
            return Finding(
                "gate.lone_surrogate", f"the {name} holds half of a surrogate pair, which UTF-8 cannot write"
            )
        lost = _LOST.search(text)
        if lost:
            return Finding(
                "gate.lost_character",
                f"the {name} holds {named(lost.group())}, the sign of a character lost in decoding",
            )
        if not unicodedata.is_normalized("NFC", text):
            return Finding("gate.not_nfc", f"the {name} is not in Unicode's composed form (NFC)")
    return None
