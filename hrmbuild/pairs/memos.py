"""Memos and mails -> pairs: who wrote when about what, decisions, actions, reasons, questions with answers, figures.

Owns which questions a memo gives. Quoted replies and signatures are never used: the readers mark them, and only
paragraphs and list items are looked at. Names from headers are shown as `persons` asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from hrmbuild.pairs import memo_patterns as patterns
from hrmbuild.pairs.absent import with_twin
from hrmbuild.pairs.clauses import Clause, Refused, read_clauses
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.draft import Draft, Piece, draft_pairs, rejection
from hrmbuild.pairs.memo_exceptions import exception_pairs
from hrmbuild.pairs.memo_headers import HEADERS, Header, header_piece, name_masks, read_headers
from hrmbuild.pairs.question_headings import heading_answers, written_answers
from hrmbuild.pairs.sentences import Sentence
from hrmbuild.pairs.text_lists import read_lists, without_shown
from hrmbuild.pairs.text_questions import Asked, Text, text_questions
from hrmbuild.records.document import Document
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import Answer, CompiledPair, Rejection

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")


@dataclass(frozen=True)
class _Memo:
    document: Document
    headers: dict[str, Header]
    head: Piece | None
    clauses: tuple[Clause, ...]

    def others(self, *used: Clause, unless: Callable[[Piece], bool] = lambda _: False) -> tuple[Piece, ...]:
        pieces = [clause.piece for clause in self.clauses if clause not in used]
        head = [self.head] if self.head else []
        return tuple(piece for piece in (*head, *pieces) if not unless(piece))


def compile_memo(record: Document, context: CompileContext) -> Iterator[CompiledPair | Rejection]:
    """Pairs of a memo, a rejection for each block that cannot be shown, and one for a memo that gives nothing."""
    headers = read_headers(record, context.settings.persons)
    names = name_masks(record, context.settings.persons)
    clauses, refused = read_clauses(record, names=names)
    lists = tuple(read_lists(record, names=names))
    memo = _Memo(record, headers, header_piece(headers), tuple(clauses))
    n_made = 0
    text = Text(record.source_sha256, None if "subject" in headers else record.title, memo.clauses, lists)
    for draft, gone, missing in (*_asked(memo), *text_questions(text)):
        drafts = with_twin(draft, gone=gone, missing=missing, seed=context.seed) if missing else (draft,)
        for each in drafts:
            for compiled in draft_pairs(each, context):
                n_made += 1
                yield compiled
    for compiled in exception_pairs(record, memo.clauses, context):
        n_made += 1
        yield compiled
    yield from _refused(without_shown(refused, lists), context)
    if not n_made:
        yield _no_question(record, context)


def _refused(refused: list[Refused], context: CompileContext) -> Iterator[Rejection]:
    for block in refused:
        yield rejection(context, code=block.code, detail=block.detail, locator=block.block.locator)


def _no_question(record: Document, context: CompileContext) -> Rejection:
    return rejection(
        context,
        code="compile.no_question",
        detail="no header, decision, action, reason or answered question in a form without doubt",
        locator=record.blocks[0].locator if record.blocks else Locator(),
    )


def _asked(memo: _Memo) -> Iterator[Asked]:
    yield from _header_questions(memo)
    yield from _decisions(memo)
    for clause in memo.clauses:
        for sentence in clause.sentences:
            yield from _action(memo, clause, sentence)
            yield from _reason(memo, clause, sentence)
            yield from _figure(memo, clause, sentence)
    yield from _answers(memo)


def _draft(
    memo: _Memo, clause: Clause, sentence: Sentence, kind: str, /, *, answer: Answer, said: str, **values: object
) -> Draft:
    return Draft(
        kind=f"memos.{kind}",
        values=values,
        title=memo.document.title if "subject" not in memo.headers else None,
        needed=(clause.piece,),
        distractors=memo.others(clause),
        answer=answer,
        response=f"{said}.",
        derivation="quoted",
        content=(memo.document.source_sha256, str(clause.piece.order), str(sentence.start), kind),
        evidence=clause.quote(sentence),
    )


def _text(value: str) -> Answer:
    return Answer(type="text", value=value)


def _header_questions(memo: _Memo) -> Iterator[Asked]:
    """Who wrote, to whom, when, about what; the header is shown, or for the twin it is not."""
    if memo.head is None or not memo.clauses:
        return
    for name, kind in HEADERS.items():
        header = memo.headers.get(name)
        if header is None or not header.asked:
            continue
        day = patterns.read_day(header.quote.text) if kind == "date" else None
        answer = Answer(type="date", value=day) if day else _text(header.quote.text)
        draft = Draft(
            kind=f"memos.{kind}",
            values={},
            title=None,
            needed=(memo.head,),
            distractors=tuple(clause.piece for clause in memo.clauses),
            answer=answer,
            response=f"{header.quote.text}.",
            derivation="quoted",
            content=(memo.document.source_sha256, "header", name, kind),
            evidence=header.quote,
        )
        yield draft, (header.quote.text,), header.missing


def _decisions(memo: _Memo) -> Iterator[Asked]:
    """The one decision of a memo, or each of several by its place in the list."""
    found: list[tuple[Clause, Sentence, str]] = []
    for clause in memo.clauses:
        under = (clause.piece.heading or "").lower() in ("decision", "decisions", "decided", "resolutions")
        for sentence in clause.sentences:
            said = patterns.find_decision(sentence.text) or (sentence.text.rstrip(".") if under else None)
            if said:
                found.append((clause, sentence, said))
    if len(found) == 1:
        clause, sentence, said = found[0]
        draft = _draft(memo, clause, sentence, "decision", answer=_text(said), said=said)
        yield draft, (said,), "what was decided"
        return
    everything = tuple(dict.fromkeys(clause.piece for clause, _, _ in found))
    for ordinal, (clause, sentence, said) in zip(_ORDINALS, found, strict=False):
        draft = _draft(memo, clause, sentence, "decision_nth", answer=_text(said), said=said, ordinal=ordinal)
        used = tuple(c for c, _, _ in found)
        yield replace(draft, needed=everything, distractors=memo.others(*used)), (), None


def _action(memo: _Memo, clause: Clause, sentence: Sentence) -> Iterator[Asked]:
    found = patterns.find_action(sentence.text)
    if found is None:
        return
    who, what, when = found
    yield (
        _draft(memo, clause, sentence, "action_who", answer=_text(who), said=who, what=what, when=when),
        (what,),
        f"who will {what}",
    )
    yield (
        _draft(memo, clause, sentence, "action_when", answer=_day(when), said=when, who=who, what=what),
        (what, when),
        f"by when {who} will {what}",
    )
    draft = _draft(memo, clause, sentence, "action_what", answer=_text(what), said=what, who=who, when=when)
    alone = memo.others(clause, unless=lambda piece: who.lower() in piece.text.lower())
    if sum(who.lower() in s.text.lower() for s in clause.sentences) == 1:
        yield replace(draft, distractors=alone), (what, who), f"what {who} will do"


def _day(when: str) -> Answer:
    day = patterns.read_day(when.removeprefix("by ").removeprefix("on "))
    return Answer(type="date", value=day) if day else _text(when)


def _reason(memo: _Memo, clause: Clause, sentence: Sentence) -> Iterator[Asked]:
    found = patterns.find_reason(sentence.text)
    if found:
        draft = _draft(
            memo, clause, sentence, "reason", answer=_text(found.reason), said=found.reason, statement=found.statement
        )
        yield draft, (found.reason, found.statement), "the reason for this"


def _figure(memo: _Memo, clause: Clause, sentence: Sentence) -> Iterator[Asked]:
    found = patterns.find_figure(sentence.text)
    if found:
        answer = Answer(type="number", value=found.number, unit=found.unit, scale=found.scale)
        draft = _draft(memo, clause, sentence, "figure", answer=answer, said=found.figure, gap=found.gap)
        yield draft, (found.figure,), "this figure"


def _answers(memo: _Memo) -> Iterator[Asked]:
    """Questions that the memo asks and answers: under a heading, or as `Q:` and `A:`."""
    under_headings = [(c, s, q, s.text) for c, s, q in heading_answers(memo.document, memo.clauses)]
    for clause, sentence, question, said in (*under_headings, *written_answers(memo.clauses)):
        draft = _draft(
            memo, clause, sentence, "question", answer=_text(said.rstrip(".")), said=said.rstrip("."), question=question
        )
        yield draft, (said, question), "this"
