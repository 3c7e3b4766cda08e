"""Names in a memo's header, and the roles that stand for them.

Owns `persons: role|keep|drop`: which words are names, and what is shown in their place. The default is the role: who
decided as what outlives who it was, and a model should learn nothing about a person. Only names that a header gives are
masked; finding names in running text is a gate's work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from hrmbuild.pairs.spans import Mask

_DROPPED = "[name]"
_UNKNOWN = {"from": "the author", "to": "a recipient", "cc": "a recipient"}
_ROLE_WORDS = re.compile(
    r"\b(?:head|desk|manager|managers|team|office|officer|board|department|council|branch|branches|director|lead|leads|"
    r"employees|staff|all|committee|group|garages|secretary|administrator|service|support|unit|chief|agencies|"
    r"underwriters|customers|members|colleagues)\b",
    re.I,
)
_NAME_WORD = r"[A-Z][\w'’-]*\.?"
_PERSON = re.compile(rf"(?P<name>{_NAME_WORD}(?: {_NAME_WORD}){{1,3}})(?:\s*[,(]\s*(?P<role>[^()<>@]+?)\s*\)?)?$")


@dataclass(frozen=True)
class Person:
    """A sender or recipient as the header names it."""

    name: str | None
    """None where the header gives a role only."""
    role: str | None


def read_person(value: str) -> Person | None:
    """`Ines Kordt, Head of Claims`, `"Ines Kordt (Head of Claims)" <a@b>`, `Purchasing desk`; None where unclear."""
    words = re.sub(r"<[^<>]*>", "", value).replace('"', "").strip(" ,;")
    if not words or "@" in words or ";" in words:
        return None
    if _ROLE_WORDS.search(re.split(r"[,(]", words)[0]):
        return Person(None, words)
    found = _PERSON.match(words)
    return Person(found["name"], found["role"]) if found else None


def role_of(person: Person, header: str) -> str:
    """The role, or `the author`, `a recipient` where the header gives none."""
    return person.role or _UNKNOWN.get(header, "a person")


def name_masks_of(people: dict[str, Person], persons: Literal["role", "keep", "drop"]) -> dict[str, str]:
    """Name -> what is shown instead: full names, and single parts of at least three letters."""
    if persons == "keep":
        return {}
    shown: dict[str, str] = {}
    for header, person in sorted(people.items()):
        if not person.name:
            continue
        instead = role_of(person, header) if persons == "role" else _DROPPED
        for part in (person.name, *person.name.split()):
            if len(part) >= 3:
                shown.setdefault(part, instead)
    return shown


def header_masks(value: str, header: str, person: Person | None, persons: str) -> list[Mask]:
    """Masks that leave of a header's value what may be shown."""
    if persons == "keep":
        return []
    if person is None:
        return [Mask(0, len(value), _UNKNOWN.get(header, _DROPPED) if persons == "role" else _DROPPED)]
    instead = role_of(person, header) if persons == "role" or not person.name else _DROPPED
    return [] if value == instead else [Mask(0, len(value), instead)]
