"""What a reader of an output may be shown, and signs that nobody sees made visible.

Owns the rule: a text is shown up to one label, what is above it is told by its count. It must not format anything.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hrmbuild.errors import UsageError

LABELS = ("public", "internal", "confidential", "restricted")
"""Those of a manifest that names none: the first ones did not."""
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
_KEPT = frozenset("\n\t")


@dataclass(frozen=True)
class Clearance:
    """Up to which label texts are shown."""

    labels: tuple[str, ...]
    """All labels, lowest first."""
    up_to: str

    def allows(self, label: str | None) -> bool:
        """Whether a text of this label is shown; an unknown label never is."""
        return label in self.labels and self.labels.index(label) <= self.labels.index(self.up_to)

    @property
    def shown(self) -> frozenset[str]:
        """The labels that are shown."""
        return frozenset(self.labels[: self.labels.index(self.up_to) + 1])

    def highest(self, labels: set[str]) -> str:
        """The strictest of these labels; the lowest declared one where there are none."""
        return highest(self.labels, labels)


def highest(labels: Sequence[str], found: Collection[str]) -> str:
    """The strictest of `found`; the lowest of `labels` where none of them is declared."""
    return labels[max((labels.index(one) for one in found if one in labels), default=0)]


def clearance(
    labels: Sequence[str] | None,
    show_label: str | None,
    *,
    role: str | None = None,
    roles: Mapping[str, str] | None = None,
    flag: str = "--show-label",
) -> Clearance:
    """Texts up to `show_label` and up to what `role` reads; with neither, up to the lowest declared label.

    Args:
        roles: the declared ones, with the label up to which each reads.
        flag: how the user named the label.

    Raises:
        UsageError: `audit.unknown_label`, `audit.unknown_role`.
    """
    known = tuple(labels or LABELS)
    if role is not None and role not in (roles or {}):
        told = ", ".join(sorted(roles or {})) or "none; declare them under roles:"
        raise UsageError("audit.unknown_role", f"no role {role!r} is declared", where="--role",
                         fix=f"the roles are: {told}")  # fmt: skip
    asked = [one for one in (show_label, (roles or {})[role] if role is not None else None) if one is not None]
    for one in asked:
        if one not in known:
            raise UsageError("audit.unknown_label", f"{one!r} is no label here", where=flag,
                             fix=f"the labels are, lowest first: {', '.join(known)}")  # fmt: skip
    return Clearance(known, min(asked, key=known.index, default=known[0]))


def numbers_of(locator: str | Mapping[str, Any]) -> dict[str, Any]:
    """Of a place what holds no word of its file: lines, pages, rows; headings and names of sheets are words.

    Args:
        locator: as JSON, or its fields.
    """
    value: Mapping[str, Any] = json.loads(locator) if isinstance(locator, str) else locator
    return {name: part for name, part in value.items() if isinstance(part, int)}


def visible(text: str) -> str:
    """The text with control, format and bidirectional signs written out (`[U+202E]`), so that it reads as it is stored.

    Line breaks and tabs stay; so do all letters, those written from right to left included.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char in _KEPT or unicodedata.category(char) not in _HIDDEN else f"[U+{ord(char):04X}]" for char in text
    )
