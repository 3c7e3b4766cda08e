"""Prose rules -> pairs: policies, statutes and regulations as clauses.

Owns which questions a clause gives. Forms come from `prose_patterns`, wordings from `templates/prose/`, wordings and
distractors are drawn in `draft`. Every answer is in the document's own words, or follows from one modal verb.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from hrmbuild.pairs import prose_patterns as patterns
from hrmbuild.pairs.absent import with_twin
from hrmbuild.pairs.clauses import Clause, read_clauses
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.draft import Draft, Piece, draft_pairs, rejection
from hrmbuild.pairs.question_headings import heading_answers
from hrmbuild.pairs.sentences import Sentence
from hrmbuild.pairs.text_lists import read_lists, without_shown
from hrmbuild.pairs.text_questions import Text, text_questions
from hrmbuild.records.document import Document
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import Answer, CompiledPair, Rejection


class Question(NamedTuple):
    """A draft and, where it can have a twin, what the twin must lack and say."""

    draft: Draft
    gone: tuple[str, ...] = ()
    missing: str | None = None


@dataclass(frozen=True)
class _Shelf:
    """The document's clauses, for questions that look beyond one."""

    document: Document
    clauses: tuple[Clause, ...]

    def others(self, clause: Clause, *, unless: Callable[[Clause], bool] = lambda _: False) -> tuple[Piece, ...]:
        return tuple(c.piece for c in self.clauses if c is not clause and not unless(c))


def compile_prose(record: Document, context: CompileContext) -> Iterator[CompiledPair | Rejection]:
    """Pairs of a document, and a rejection for each clause that could not be shown.

    A document of which nothing can be asked yields one rejection, `compile.no_question`.
    """
    clauses, refused = read_clauses(record)
    shelf, lists = _Shelf(record, tuple(clauses)), tuple(read_lists(record))
    text = Text(record.source_sha256, record.title, shelf.clauses, lists)
    n_made = 0
    for question in (*_questions(shelf), *(Question(*asked) for asked in text_questions(text))):
        for compiled in _pairs(question, context):
            n_made += 1
            yield compiled
    for block in without_shown(refused, lists):
        yield rejection(context, code=block.code, detail=block.detail, locator=block.block.locator)
    if not n_made:
        yield _no_question(record, context, clauses)


def _no_question(record: Document, context: CompileContext, clauses: list[Clause]) -> Rejection:
    detail = (
        f"none of its {len(clauses)} clauses states a duty, permission, limit or definition in a form without doubt"
        if clauses
        else "it has no clauses that can be shown"
    )
    locator = record.blocks[0].locator if record.blocks else Locator()
    return rejection(context, code="compile.no_question", detail=detail, locator=locator)


def _pairs(question: Question, context: CompileContext) -> Iterator[CompiledPair | Rejection]:
    if not question.missing:
        yield from draft_pairs(question.draft, context)
        return
    for draft in with_twin(question.draft, gone=question.gone, missing=question.missing, seed=context.seed):
        yield from draft_pairs(draft, context)


def _questions(shelf: _Shelf) -> Iterator[Question]:
    for clause in shelf.clauses:
        yield from _governs(shelf, clause)
        for sentence in clause.sentences:
            for ask in (_norm, _deadline, _condition, _exception, _threshold, _definition, _reference):
                yield from ask(shelf, clause, sentence)
    yield from _headings(shelf)


def _draft(
    shelf: _Shelf, clause: Clause, sentence: Sentence, kind: str, /, *, answer: Answer, said: str, **values: object
) -> Draft:
    """A draft whose one deciding piece is the clause; the response is what is said, then the clause's name."""
    return Draft(
        kind=f"prose.{kind}",
        values=values,
        title=shelf.document.title,
        needed=(clause.piece,),
        distractors=shelf.others(clause),
        answer=answer,
        response=f"{said}. {clause.ground()}".strip(),
        derivation="quoted",
        content=(shelf.document.source_sha256, str(clause.piece.order), str(sentence.start), kind),
        evidence=clause.quote(sentence),
    )


def _text(value: str) -> Answer:
    return Answer(type="text", value=value)


def _governs(shelf: _Shelf, clause: Clause) -> Iterator[Question]:
    """Which clause is about a topic: only where the number names it and no other clause has the topic's name."""
    topic = clause.topic.lower() if clause.topic else None
    if not (topic and clause.number and clause.sentences):
        return
    if sum((c.topic or "").lower() == topic for c in shelf.clauses) > 1:
        return
    said = clause.name()
    draft = _draft(shelf, clause, clause.sentences[0], "governs", answer=_text(said), said=said, topic=topic)
    yield Question(replace(draft, response=f"{said}."), (topic,), f"which clause governs {topic}")


def _norm(shelf: _Shelf, clause: Clause, sentence: Sentence) -> Iterator[Question]:
    """Who must, what must they, and is it required, permitted or forbidden."""
    norm = patterns.find_norm(sentence.text)
    if not norm or norm.condition:
        return
    if not patterns.is_hedged(norm):
        choices = Answer(type="choice", value=norm.force, choices=patterns.FORCES)
        yield Question(
            _draft(
                shelf,
                clause,
                sentence,
                "force",
                answer=choices,
                said=norm.force,
                who=patterns.objective(norm.subject),
                action=norm.action,
            ),
            (norm.action,),
            "whether this is required, permitted or forbidden",
        )
    if patterns.is_duty_of_a_person(norm):
        yield from _duty(shelf, clause, sentence, norm)


def _duty(shelf: _Shelf, clause: Clause, sentence: Sentence, norm: patterns.Norm) -> Iterator[Question]:
    yield Question(
        _draft(shelf, clause, sentence, "who", answer=_text(norm.subject), said=norm.subject, action=norm.action),
        (norm.action,),
        f"who must {norm.action}",
    )
    draft = _draft(shelf, clause, sentence, "duty", answer=_text(norm.action), said=norm.action, who=norm.subject)
    alone = shelf.others(clause, unless=lambda c: norm.subject.lower() in c.piece.text.lower())
    duties = sum(bool(patterns.find_norm(s.text)) for s in clause.sentences)
    if duties == 1:
        yield Question(replace(draft, distractors=alone), (norm.action, norm.subject), f"what {norm.subject} must do")


def _deadline(shelf: _Shelf, clause: Clause, sentence: Sentence) -> Iterator[Question]:
    norm = patterns.find_norm(sentence.text)
    deadline = patterns.find_deadline(norm) if norm else None
    if not norm or not deadline:
        return
    draft = _draft(
        shelf,
        clause,
        sentence,
        "deadline",
        answer=_text(deadline.time),
        said=deadline.time,
        who=norm.subject,
        whom=patterns.objective(norm.subject),
        action=deadline.action,
        condition=norm.condition,
    )
    yield Question(draft, (deadline.time, deadline.action), f"by when {norm.subject} must {deadline.action}")


def _condition(shelf: _Shelf, clause: Clause, sentence: Sentence) -> Iterator[Question]:
    """What is to be done in a case: `If C, S must V`."""
    norm = patterns.find_norm(sentence.text)
    if not norm or not norm.condition or patterns.is_hedged(norm):
        return
    said = f"{norm.subject} {norm.modal} {norm.action}"
    draft = _draft(shelf, clause, sentence, "case", answer=_text(said), said=said, condition=norm.condition)
    if norm.condition.startswith(("if", "when", "where", "once")):
        yield Question(draft, (norm.condition, norm.action), f"what applies {norm.condition}")


def _exception(shelf: _Shelf, clause: Clause, sentence: Sentence) -> Iterator[Question]:
    found = patterns.find_exception(sentence.text)
    if found:
        draft = _draft(
            shelf, clause, sentence, "exception", answer=_text(found.exception), said=found.exception, rule=found.rule
        )
        yield Question(draft, (found.rule, found.exception), "which exception there is to this")


def _threshold(shelf: _Shelf, clause: Clause, sentence: Sentence) -> Iterator[Question]:
    found = patterns.find_threshold(sentence.text)
    if found:
        answer = Answer(type="number", value=found.number, unit=found.unit, scale=found.scale)
        draft = _draft(shelf, clause, sentence, "threshold", answer=answer, said=found.figure, gap=found.gap)
        yield Question(draft, (found.figure,), "this figure")


def _definition(shelf: _Shelf, clause: Clause, sentence: Sentence) -> Iterator[Question]:
    found = patterns.find_definition(sentence.text)
    if found:
        draft = _draft(
            shelf, clause, sentence, "definition", answer=_text(found.meaning), said=found.meaning, term=found.term
        )
        yield Question(draft, (found.term, found.meaning), f'what "{found.term}" means')


def _reference(shelf: _Shelf, clause: Clause, sentence: Sentence) -> Iterator[Question]:
    """What the clause says that another clause points to: two hops, both shown."""
    numbers = set(patterns.find_references(sentence.text)) - {clause.number}
    targets = [c for c in shelf.clauses if c.number in numbers]
    if not clause.number or len(numbers) != 1 or len(targets) != 1:
        return
    target = targets[0]
    first = next((s for s in target.sentences if len(s.text.split()) >= 5), None)
    if first is None:
        return
    said = _sentence_of(target, first).rstrip(".")
    draft = _draft(shelf, target, first, "reference", answer=_text(said), said=said, clause=clause.name())
    yield Question(
        replace(
            draft,
            needed=(clause.piece, target.piece),
            distractors=shelf.others(clause, unless=lambda c: c is target),
            content=(*draft.content, str(clause.piece.order)),
        )
    )


def _sentence_of(clause: Clause, sentence: Sentence) -> str:
    """The sentence without the clause's number."""
    text = sentence.text
    return text[len(clause.number) :].lstrip(" .)") if clause.number and text.startswith(clause.number) else text


def _headings(shelf: _Shelf) -> Iterator[Question]:
    """A heading that asks, answered by the first words under it."""
    for clause, sentence, question in heading_answers(shelf.document, shelf.clauses):
        said = sentence.text
        draft = _draft(
            shelf,
            clause,
            sentence,
            "question",
            answer=_text(said.rstrip(".")),
            said=said.rstrip("."),
            question=question,
        )
        others = tuple(c.piece for c in shelf.clauses if c.piece.heading != clause.piece.heading)
        yield Question(replace(draft, distractors=others, response=said), (said, question), "this")
