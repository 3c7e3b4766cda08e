"""What lies on the table: the pairs of one visit, what was decided on each, and the way to decide.

Owns the order, the state and the rules of a choice (a rejection and an edit say why; nothing is taken back by
deleting). It must not know HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hrmbuild.errors import AnswerIsNoError, UsageError

Action = Literal["accept", "reject", "edit", "undo"]
ACTIONS: tuple[Action, ...] = ("accept", "reject", "edit", "undo")
_NEED_REASON = frozenset({"reject", "edit"})
MAX_REASON = 2000
"""Letters of a reason."""


@dataclass(frozen=True)
class Evidence:
    """One place that supports a pair, as it may be shown: masked, never with what a mask hides."""

    path: str
    place: str
    text: str
    template: str
    """Name of the template that asked, or the beginning of its hash."""
    query: str | None = None
    inputs: dict[str, str] | None = None


@dataclass(frozen=True)
class Item:
    """A pair and what stands behind it."""

    id: str
    instruction: str
    response: str
    answer: str
    """The typed answer's value."""
    choices: tuple[str, ...]
    """The possible answers of a choice; empty for other types."""
    facts: dict[str, str]
    """What else is said of it: split, label, kind; shown as a list."""
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class Edited:
    """Texts as a person wrote them."""

    instruction: str
    response: str
    answer: str


@dataclass(frozen=True)
class Choice:
    """What a person decided on one pair."""

    item: Item
    action: Action
    reason: str
    edited: Edited | None = None


Record = Callable[[Choice], None]
"""Keeps a choice for good, or raises."""
Check = Callable[[Item, Edited], None]
"""Raises `AnswerIsNoError` where edited texts may not enter the corpus."""


class Desk:
    """The pairs of one visit."""

    def __init__(self, items: Sequence[Item], *, record: Record, check: Check, heading: dict[str, str]) -> None:
        self._items = {item.id: item for item in items}
        self._record, self._check, self._heading = record, check, heading
        self._latest: dict[str, Choice] = {}
        self.made = 0
        """Decisions of this visit, those that undo others included."""

    def counts(self) -> dict[str, int]:
        """Pairs by what stands decided now."""
        stands = [choice.action for choice in self._latest.values()]
        return {action: stands.count(action) for action in ("accept", "reject", "edit")}

    def overview(self) -> dict[str, Any]:
        """Everything that the page needs before it shows a pair."""
        states = [self._state(name) for name in self._items]
        return {"heading": self._heading, "pairs": list(self._items), "states": states, "counts": self.counts()}

    def pair(self, name: str) -> dict[str, Any]:
        """One pair with its evidence and its state.

        Raises:
            UsageError: `review.unknown_pair`.
        """
        item, latest = self._item(name), self._latest.get(name)
        edited = asdict(latest.edited) if latest and latest.edited else None
        return {**asdict(item), "state": self._state(name), "reason": latest.reason if latest else "", "edited": edited}

    def decide(self, name: str, action: str, *, reason: str = "", edited: Edited | None = None) -> dict[str, Any]:
        """Check a choice, keep it, and return the counts.

        Raises:
            UsageError: `review.unknown_pair`, `review.unknown_action`, `review.reason_required`,
                `review.reason_too_long`, `review.nothing_to_undo`, `review.nothing_edited`.
            AnswerIsNoError: a gate refuses the edited texts.
        """
        item, known = self._item(name), _known(action)
        if known is None:
            raise _mistake("unknown_action", f"{action!r} is no choice", f"choices are: {', '.join(ACTIONS)}")
        reason = " ".join(reason.split())
        self._check_choice(item, known, reason, edited)
        choice = Choice(item, known, reason, edited if known == "edit" else None)
        self._record(choice)
        self.made += 1
        self._latest[name] = choice
        return {"state": self._state(name), "counts": self.counts()}

    def _check_choice(self, item: Item, action: Action, reason: str, edited: Edited | None) -> None:
        if action in _NEED_REASON and not reason:
            raise _mistake("reason_required", f"to {action} a pair takes a reason", "say in a few words why")
        if len(reason) > MAX_REASON:
            raise _mistake("reason_too_long", f"a reason has at most {MAX_REASON} letters", "say it shorter")
        if action == "undo" and self._state(item.id) is None:
            raise _mistake("nothing_to_undo", "nothing stands decided on this pair", "decide first")
        if action == "edit":
            if edited is None or edited == Edited(item.instruction, item.response, item.answer):
                raise _mistake("nothing_edited", "the texts are as they were", "change them, or accept the pair")
            self._check(item, edited)

    def _item(self, name: str) -> Item:
        if name not in self._items:
            raise _mistake("unknown_pair", "this pair is not of this visit", "load the page again")
        return self._items[name]

    def _state(self, name: str) -> str | None:
        latest = self._latest.get(name)
        return None if latest is None or latest.action == "undo" else latest.action


def _known(action: str) -> Action | None:
    for known in ACTIONS:
        if known == action:
            return known
    return None


def _mistake(code: str, what: str, fix: str) -> UsageError:
    return UsageError(f"review.{code}", what, fix=fix)


def refused(code: str, what: str) -> AnswerIsNoError:
    """Edited texts that may not enter the corpus, with the gate's own words."""
    return AnswerIsNoError(code, what, where="edited texts", fix="correct the texts, or reject the pair")
