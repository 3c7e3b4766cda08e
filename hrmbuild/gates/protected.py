"""Protected attributes, and what is declared to stand in for them, are no facts, filters or groupings of a question.

Owns the refusal: a pair whose query names such a column, or whose rules were given such a fact. The names are those of
the settings; none is guessed. Tables are compiled without such columns, so that few questions are left to refuse. It
must not decide what is protected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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


def protected_names(names: Iterable[str], config: GatesConfig) -> list[str]:
    """Those of some columns or facts that are protected, or stand in for what is, and that nobody allowed."""
    declared = (one for one in (config.protected or {}).items() if one[1].allowed is None)
    patterns = [_names(name) for attribute, one in declared for name in (attribute, *one.proxies)]
    return [name for name in names if any(pattern.fullmatch(name) for pattern in patterns)]


def is_allowed(name: str, config: GatesConfig) -> bool:
    """Whether somebody allowed an attribute by this name, with basis and approver."""
    return any(_names(one).fullmatch(name) for one, told in (config.protected or {}).items() if told.allowed)


@lru_cache(maxsize=256)
def _names(name: str) -> re.Pattern[str]:
    """A name of a column or fact, whole, in any case; blanks and underscores are one."""
    return re.compile(r"(?<!\w)" + r"[ _]".join(map(re.escape, re.split(r"[ _]", name))) + r"(?!\w)", re.I)
