"""Texts in a language that nobody asked for, told by lingua (an optional extra).

Owns the refusal. It looks at the words of question and answer together, and only where there are enough of them: short
texts, code, tables and numbers are never refused. A text is refused when the likeliest language is none of those
allowed and the allowed ones together are improbable. It must not be sure of a close call.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from hrmbuild.config.project import GatesConfig
from hrmbuild.errors import ConfigError
from hrmbuild.gates.finding import Finding
from hrmbuild.records.pair import CompiledPair

if TYPE_CHECKING:
    from lingua import LanguageDetector

NAME = "language"
COMMON = ("de", "en", "es", "fr", "it", "nl", "pl", "pt", "sv", "da", "nb", "fi", "cs", "tr", "ru", "uk", "ar", "zh",
          "ja", "ko", "hi", "el", "he", "hu", "ro", "bg", "fa", "th", "vi")  # fmt: skip
"""Languages that a text may be in, beside those allowed: a limited set is faster and errs less."""
_LEAST_LETTERS = 60
_MOST_LETTERS = 2000
_SURE = 0.1
"""A text is refused when all allowed languages together are no more probable than this."""
_NO_PROSE = re.compile(r"```.*?```|https?://\S+|\S*@\S+|[\w./-]*[_/\\{}<>=][^\s]*|\|[^\n]*\|", re.S)
_CODE = re.compile(r"\b(?:SELECT|WITH|INSERT|UPDATE)\b.+\b(?:FROM|AS|INTO|SET)\b", re.S)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def check(pair: CompiledPair, config: GatesConfig) -> Finding | None:
    """`gate.language`."""
    if not config.languages:
        return None
    words = prose(f"{pair.instruction}\n{pair.response}")
    if words is None:
        return None
    found = spoken(words, tuple(sorted(config.languages)))
    return Finding("gate.language", f"it is written in {found}, and the settings let in "
                                    f"{', '.join(config.languages)}") if found else None  # fmt: skip


def prose(text: str) -> str | None:
    """The words of a text; None where there are too few, or where it is code."""
    if _CODE.search(text):
        return None
    words = _WORD.findall(_NO_PROSE.sub(" ", text))
    plain = " ".join(words)[:_MOST_LETTERS]
    return plain if sum(map(len, words)) >= _LEAST_LETTERS or _is_dense(plain) else None


def _is_dense(plain: str) -> bool:
    """A script that needs fewer letters for as much."""
    return sum(one >= "\u3000" for one in plain) >= _LEAST_LETTERS // 3


def spoken(words: str, allowed: tuple[str, ...]) -> str | None:
    """The language of a text that is in none of those allowed, by ISO 639-1; None where it may be."""
    values = _detector(allowed).compute_language_confidence_values(words)
    if not values or values[0].value == 0:
        return None
    codes = [(one.language.iso_code_639_1.name.lower(), one.value) for one in values]
    probable = sum(value for code, value in codes if code in allowed)
    return codes[0][0] if probable <= _SURE else None


@lru_cache(maxsize=4)
def _detector(allowed: tuple[str, ...]) -> LanguageDetector:
    try:
        from lingua import IsoCode639_1, Language, LanguageDetectorBuilder
    except ImportError:
        raise ConfigError("config.no_lingua", "`gates.languages` needs the package lingua", where="gates.languages",
                          why="it tells the language of a text, and is no part of the core installation",
                          fix="pip install 'hrmbuild[language]', or leave the setting out") from None  # fmt: skip
    known = {one.iso_code_639_1.name.lower() for one in Language.all()}
    unknown = sorted(set(allowed) - known)
    if unknown:
        raise ConfigError("config.unknown_language", f"{', '.join(unknown)} is no language that lingua knows",
                          where="gates.languages", why="what is never found would refuse every text",
                          fix="use codes of ISO 639-1, as `en`")  # fmt: skip
    codes = sorted({*allowed, *COMMON})
    wanted = [IsoCode639_1.from_str(code.upper()) for code in codes]
    return LanguageDetectorBuilder.from_iso_codes_639_1(*wanted).build()
