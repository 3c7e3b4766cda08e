"""Questions that every text answers, rule or memo: where something stands, what a short form means, lists, days.

Owns which of them a document gives. What a rule or a memo alone can be asked is in `prose` and `memos`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hrmbuild.fingerprint import draw_below, draw_integer
from hrmbuild.pairs.clauses import Clause, title_words
from hrmbuild.pairs.draft import Draft, Piece
from hrmbuild.pairs.sentences import Sentence
from hrmbuild.pairs.spans import Quote
from hrmbuild.pairs.text_lists import ShownList
from hrmbuild.pairs.text_patterns import find_abbreviation, find_day
from hrmbuild.records.pair import Answer

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
_PLACED = range(40, 161)
"""Letters of a sentence whose place is asked for."""
_HEADING = 5
"""Letters of a heading that names a place: `None` and `Yes`, which forms have, do not."""

Asked = tuple[Draft, tuple[str, ...], str | None]
"""A draft, the words that its twin must lack, and what the twin says is missing (None: it has no twin)."""


@dataclass(frozen=True)
class Text:
    """A document as it can be shown."""

    source_sha256: str
    title: str | None
    clauses: tuple[Clause, ...]
    lists: tuple[ShownList, ...]

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Everything that may stand beside a question's own piece."""
        return (*(clause.piece for clause in self.clauses), *(one.piece for one in self.lists))

    def beside(self, shown: ShownList) -> tuple[Piece, ...]:
        """All but a list and its own points, which may be clauses too."""
        own = {id(block) for block in shown.blocks}
        clauses = (clause.piece for clause in self.clauses if id(clause.block) not in own)
        return (*clauses, *(one.piece for one in self.lists if one is not shown))


def text_questions(text: Text) -> Iterator[Asked]:
    """All of a document."""
    yield from _places(text)
    known: set[str] = set()
    for clause in text.clauses:
        for sentence in clause.sentences:
            yield from _abbreviation(text, clause, sentence, known)
            yield from _day(text, clause, sentence)
    for one in text.lists:
        yield from _list(text, one)


def _draft(
    text: Text, piece: Piece, kind: str, *, answer: Answer, said: str, evidence: Quote, values: dict[str, object]
) -> Draft:
    """A quoted answer of one piece, beside any others; what the wordings are given is what makes it this question."""
    return Draft(
        kind=f"texts.{kind}",
        values=values,
        title=text.title,
        needed=(piece,),
        distractors=tuple(other for other in text.pieces if other is not piece),
        answer=answer,
        response=said if said.endswith((".", "!", "?")) else f"{said}.",
        derivation="quoted",
        content=(text.source_sha256, str(piece.order), *(str(value) for value in values.values()), kind),
        evidence=evidence,
    )


def _text(value: str) -> Answer:
    return Answer(type="text", value=value)


def _places(text: Text) -> Iterator[Asked]:
    """Under which heading a sentence stands: one sentence a heading, drawn; a document needs two headings for it."""
    headings = {clause.piece.heading for clause in text.clauses} - {None}
    by_heading: dict[str, list[tuple[Clause, Sentence]]] = {}
    for clause in text.clauses:
        heading = clause.piece.heading
        if heading and not heading.endswith("?") and len(heading) >= _HEADING and len(headings) > 1:
            usable = [(clause, one) for one in clause.sentences if _has_one_place(text, one.text)]
            by_heading.setdefault(heading, []).extend(usable)
    for heading, options in by_heading.items():
        if options:
            yield _place(text, heading, min(options, key=lambda one: _drawn(text, *one)))


def _has_one_place(text: Text, sentence: str) -> bool:
    whole = len(sentence) in _PLACED and sentence.endswith(".")
    return whole and sum(sentence in piece.text for piece in text.pieces) == 1


def _drawn(text: Text, clause: Clause, sentence: Sentence) -> tuple[int, int, int]:
    place = (clause.piece.order, sentence.start)
    return (draw_integer("text_place", 0, f"{text.source_sha256}/{place}"), *place)


def _place(text: Text, heading: str, chosen: tuple[Clause, Sentence]) -> Asked:
    clause, sentence = chosen
    said = title_words(heading)
    draft = _draft(
        text, clause.piece, "where", answer=_text(said), said=said, evidence=clause.quote(sentence),
        values={"sentence": sentence.text},
    )  # fmt: skip
    elsewhere = tuple(piece for piece in draft.distractors if piece.heading not in (heading, None))
    return replace(draft, distractors=elsewhere), (sentence.text, heading), "where this stands"


def _abbreviation(text: Text, clause: Clause, sentence: Sentence, known: set[str]) -> Iterator[Asked]:
    """A short form is asked about where it is first spelt out."""
    found = find_abbreviation(sentence.text)
    if found is None or found.short in known:
        return
    known.add(found.short)
    draft = _draft(
        text, clause.piece, "abbreviation", answer=_text(found.long), said=found.long, evidence=clause.quote(sentence),
        values={"short": found.short},
    )  # fmt: skip
    yield draft, (found.long, found.short), f"what {found.short} stands for"


def _day(text: Text, clause: Clause, sentence: Sentence) -> Iterator[Asked]:
    found = find_day(sentence.text)
    if found is None or sum(found.says_as(one.text) for c in text.clauses for one in c.sentences) > 1:
        return
    day = Answer(type="date", value=found.iso)
    draft = _draft(
        text, clause.piece, "day", answer=day, said=found.words, evidence=clause.quote(sentence),
        values={"gap": found.gap},
    )  # fmt: skip
    yield draft, (found.words,), "this day"


def _list(text: Text, one: ShownList) -> Iterator[Asked]:
    """One point by its place, drawn, and how many there are; a list with the same introduction is never beside it."""
    others = tuple(piece for piece in text.beside(one) if one.topic not in piece.text)
    n_points = len(one.points)
    number = draw_below(n_points, "text_point", 0, f"{text.source_sha256}/{one.piece.order}")
    ordinal = "last" if number and number == n_points - 1 else ORDINALS[number]
    said = one.point(number)
    point = _draft(
        text, one.piece, "list_nth", answer=_text(said), said=said, evidence=one.points[number],
        values={"topic": one.topic, "ordinal": ordinal},
    )  # fmt: skip
    yield replace(point, distractors=others), (one.topic, said), "this point"
    n = Answer(type="number", value=str(n_points))
    count = _draft(
        text, one.piece, "list_count", answer=n, said=str(n_points), evidence=one.lead, values={"topic": one.topic}
    )
    yield replace(count, derivation="evaluated", distractors=others), (one.topic,), "how many points there are"
