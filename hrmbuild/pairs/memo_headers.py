"""The header of a memo or mail as it may be shown and asked about.

Owns the four fields that are used, and their text after `persons` masks. It must not read files: readers found the
fields and their places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hrmbuild.pairs.draft import Piece
from hrmbuild.pairs.memo_people import Person, header_masks, name_masks_of, read_person
from hrmbuild.pairs.spans import Quote, apply_masks, line_masks, merge_masks
from hrmbuild.pairs.spans import name_masks as masks_of_names
from hrmbuild.records.document import Document
from hrmbuild.records.locator import Locator

Persons = Literal["role", "keep", "drop"]
HEADERS = {"from": "author", "to": "recipient", "date": "date", "subject": "subject"}
"""Header field -> kind of question, in the order shown."""
_MISSING = {
    "from": "who wrote it",
    "to": "to whom it is addressed",
    "date": "when it was written",
    "subject": "what its subject is",
}
_PEOPLE = ("from", "to", "cc")
_LONGEST_BYTES = 120


@dataclass(frozen=True)
class Header:
    """One field as shown."""

    name: str
    quote: Quote
    asked: bool
    """False where nothing is left to ask: an address only, or a dropped name."""
    missing: str


def read_headers(document: Document, persons: Persons) -> dict[str, Header]:
    """The fields that may be shown, in the order of `HEADERS`; long ones are left out."""
    names = name_masks(document, persons)
    found: dict[str, Header] = {}
    for name in HEADERS:
        value = document.headers.get(name, "").strip()
        if value and len(value.encode()) <= _LONGEST_BYTES:
            found[name] = _header(document, name, value, persons, names)
    return found


def _header(document: Document, name: str, value: str, persons: Persons, names: dict[str, str]) -> Header:
    raw = document.headers[name]
    locator = document.header_locators.get(name, Locator())
    if name not in _PEOPLE:
        masks = merge_masks(masks_of_names(raw, names), line_masks(raw))
        return Header(name, Quote(apply_masks(raw, masks), locator, masks), True, _MISSING[name])
    person = read_person(value)
    masks = tuple(header_masks(raw, name, person, persons))
    known = person is not None and (persons == "keep" or person.role is not None)
    asked = known and (persons != "drop" or (person is not None and person.name is None))
    return Header(name, Quote(apply_masks(raw, masks), locator, masks), asked, _MISSING[name])


def name_masks(document: Document, persons: Persons) -> dict[str, str]:
    """Name -> what is shown instead, for all names in the header."""
    people: dict[str, Person] = {}
    for header in _PEOPLE:
        person = read_person(document.headers.get(header, ""))
        if person is not None:
            people[header] = person
    return name_masks_of(people, persons)


def header_piece(headers: dict[str, Header]) -> Piece | None:
    """The header as the first piece of a memo; None without any field."""
    lines = [f"{name.capitalize()}: {header.quote.text}" for name, header in headers.items()]
    return Piece(order=-1, text="\n".join(lines)) if lines else None
