"""Twins without the deciding text: declining is an answer.

Owns which drafts get a twin and the proof that nothing left over answers it. It must not know any kind of question: the
compiler says which words must be gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from hrmbuild.fingerprint import draw_fraction, hash_value
from hrmbuild.pairs.draft import Draft, Piece, nearby
from hrmbuild.records.pair import Answer

ABSENT_FRACTION = 0.2
"""Of the drafts that can have a twin; about one in seven of all, as some cannot."""
NOT_STATED = "not stated"


def with_twin(draft: Draft, *, gone: Sequence[str], missing: str, seed: int) -> Iterator[Draft]:
    """The draft, and for a drawn share of them its twin.

    Args:
        gone: words that must not occur in what the twin shows: the answer and what was asked for.
        missing: what the response says is missing, as in `the text shown does not say <missing>`.
    """
    yield draft
    key = hash_value(list(draft.content))
    if draw_fraction("absent", seed, key) >= ABSENT_FRACTION:
        return
    left = tuple(piece for piece in nearby(draft.distractors, seed, key) if not _mentions(piece, gone))
    if left:
        yield _twin(draft, left, missing)


def _twin(draft: Draft, left: tuple[Piece, ...], missing: str) -> Draft:
    family = draft.kind.split(".", 1)[0]
    return replace(
        draft,
        kind=f"{family}.absent",
        wordings=draft.wordings or draft.kind,
        needed=(),
        distractors=left,
        answer=Answer(type="absent", value=NOT_STATED),
        response=f"{NOT_STATED}: the text shown does not say {missing}.",
        derivation="absent",
        content=(*draft.content, "absent"),
        cell=draft.cell or draft.content,
    )


def _mentions(piece: Piece, gone: Sequence[str]) -> bool:
    text = _plain(f"{piece.heading or ''} {piece.text}")
    return any(re.search(rf"(?<!\w){re.escape(_plain(words))}(?!\w)", text) for words in gone if words)


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip(" .").lower()
