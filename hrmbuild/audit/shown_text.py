"""What a reader of an output may be shown, and signs that nobody sees made visible.

Owns the rule: a text is shown up to one label, what is above it is told by its count. It must not format anything.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

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

    def highest(self, labels: set[str]) -> str:
        """The strictest of these labels; the lowest declared one where there are none."""
        known = [self.labels.index(one) for one in labels if one in self.labels]
        return self.labels[max(known, default=0)]


def clearance(labels: tuple[str, ...] | None, show_label: str | None) -> Clearance:
    """Texts up to `show_label`; absent: up to the lowest declared label.

    Raises:
        UsageError: `audit.unknown_label`.
    """
    known = labels or LABELS
    if show_label is not None and show_label not in known:
        raise UsageError("audit.unknown_label", f"{show_label!r} is no label", where="--show-label",
                         fix=f"the labels are, lowest first: {', '.join(known)}")  # fmt: skip
    return Clearance(known, show_label or known[0])


def visible(text: str) -> str:
    """The text with control, format and bidirectional signs written out (`[U+202E]`), so that it reads as it is stored.

    Line breaks and tabs stay; so do all letters, those written from right to left included.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char in _KEPT or unicodedata.category(char) not in _HIDDEN else f"[U+{ord(char):04X}]" for char in text
    )
