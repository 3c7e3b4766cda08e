"""Personal data: masked where it is quoted or imported, refused where it is the answer itself or part of a computation.

Owns the verdict by kind (`gates.personal_data` of the settings), and the names that are declared (`gates.names`).
Names that nobody declared are not found. It must not mask: it says which words, and who
applies masks keeps the evidence true.
"""

from __future__ import annotations

import re
from functools import lru_cache

from hrmbuild.config.project import GatesConfig
from hrmbuild.gates.detector import Found, find_all
from hrmbuild.gates.finding import Finding, Redaction, shown_text
from hrmbuild.gates.personal_patterns import PERSONAL
from hrmbuild.records.pair import CompiledPair

NAME = "personal_data"
CODE = "gate.personal_data"
_COMPUTED = frozenset({"queried", "evaluated"})
"""Answers that are computed from what is shown: with a mask in it, nobody could compute them again."""


def find_personal(text: str, names: tuple[str, ...] = ()) -> list[Found]:
    """Everything personal in a text, by place."""
    found = find_all(text, PERSONAL)
    if names:
        for match in _names_pattern(names).finditer(text):
            if all(match.end() <= other.start or match.start() >= other.end for other in found):
                found.append(Found("name", *match.span()))
    return sorted(found, key=lambda one: one.start)


@lru_cache(maxsize=8)
def _names_pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    return re.compile(rf"(?<!\w)(?:{'|'.join(re.escape(name) for name in longest_first)})(?!\w)", re.I)


def check(pair: CompiledPair, config: GatesConfig) -> Finding | Redaction | None:
    """`gate.personal_data`, or the words to mask."""
    words = found_words([shown_text(pair)], config)
    if not words:
        return None
    kinds = ", ".join(sorted({kind for kind, _ in words}))
    refused = sorted({kind for kind, _ in words if config.verdict_on(kind) == "reject"})
    if refused:
        return _refusal(f"it shows personal data of a kind that is refused ({', '.join(refused)})")
    if pair.derivation in _COMPUTED:
        return _refusal(f"personal data ({kinds}) stands in what the answer is computed from")
    if _share(pair.answer.value, words) >= config.personal_answer_share:
        return _refusal(f"the answer itself is personal data ({kinds})")
    return Redaction(words)


def found_words(texts: list[str], config: GatesConfig) -> tuple[tuple[str, str], ...]:
    """(kind, words) over several texts, each once; kinds that the settings let pass are left out."""
    found: dict[str, str] = {}
    for text in texts:
        for one in find_personal(text, config.names or ()):
            if config.verdict_on(one.kind) != "pass":
                found.setdefault(text[one.start : one.end], one.kind)
    return tuple((kind, words) for words, kind in found.items())


def _refusal(detail: str) -> Finding:
    return Finding(CODE, f"{detail}; its text is not kept", keeps_text=False)


def _share(answer: str, words: tuple[tuple[str, str], ...]) -> float:
    """How much of an answer's letters and digits would be masked."""
    left = answer
    for _, one in sorted(words, key=lambda word: -len(word[1])):
        left = left.replace(one, " ")
    total = sum(map(str.isalnum, answer))
    return 1 - sum(map(str.isalnum, left)) / total if total else 0.0
