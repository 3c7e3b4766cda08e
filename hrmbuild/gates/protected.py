"""Protected attributes, and what is declared to stand in for them, are no facts, filters or groupings of a question.

Owns the refusal: a pair whose query names such a column, or whose rules were given such a fact. The names are those of
the settings; none is guessed. A table may still show the column. It must not decide what is protected.
"""

from __future__ import annotations

import re
from functools import lru_cache

from hrmbuild.config.project import GatesConfig
from hrmbuild.gates.finding import Finding
from hrmbuild.records.pair import CompiledPair

NAME = "protected"
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_VIEW = re.compile(r"^WITH [^()]*\([^()]*\) AS \(VALUES .*?\)\)\s*(?=SELECT\b)", re.S)
"""The rows that are shown, before the statement that asks: naming a column there turns on nothing."""


def check(pair: CompiledPair, config: GatesConfig) -> Finding | None:
    """`gate.protected`."""
    if not config.protected:
        return None
    occurrence = pair.occurrence
    asked = _VIEW.sub("", _LITERAL.sub("''", occurrence.query or ""), count=1)
    facts = [name.removeprefix("fact.") for name in occurrence.inputs or {}]
    for attribute, declared in sorted(config.protected.items()):
        if declared.allowed is not None:
            continue
        for name in (attribute, *declared.proxies):
            if _names(name).search(asked) or any(map(_names(name).fullmatch, facts)):
                why = "it is protected" if name == attribute else f"it stands in for {attribute}, which is protected"
                return Finding("gate.protected", f"the answer turns on {name}: {why}")
    return None


@lru_cache(maxsize=256)
def _names(name: str) -> re.Pattern[str]:
    """A name of a column or fact, whole, in any case; blanks and underscores are one."""
    return re.compile(r"(?<!\w)" + r"[ _]".join(map(re.escape, re.split(r"[ _]", name))) + r"(?!\w)", re.I)
