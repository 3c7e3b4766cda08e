"""From what a compiler found to compiled pairs: wordings drawn, distractors drawn, everything else filled in.

Owns the budget of an instruction, the draw of wordings and distractors, content keys and split keys of texts and
tables. It must not know any kind of question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hrmbuild.fingerprint import draw_below, draw_order, hash_value
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.prompt import Passage, open_book_instruction
from hrmbuild.pairs.spans import Quote
from hrmbuild.pairs.splits import side, wording_side
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import Answer, CompiledPair, Derivation, Occurrence, Rejection, Split, SplitKeys

INSTRUCTION_BYTES = 900
"""Largest instruction that the compilers of texts and tables make: `nano` reads 512 tokens and a tokenizer trained on a
small corpus needs one for about 2.5 bytes of its own text: this leaves a quarter of the context to the answer."""


@dataclass(frozen=True)
class Piece:
    """A clause or paragraph that may be shown; `order` is its place in the document."""

    order: int
    text: str
    heading: str | None = None
    """Shown above the text where it differs from the piece before."""


@dataclass(frozen=True)
class Draft:
    """A question with its answer, before wordings."""

    kind: str
    """`prose.duty`; also the folder of its wordings unless `wordings` says otherwise."""
    values: Mapping[str, object]
    """What the wordings may use."""
    title: str | None
    needed: tuple[Piece, ...]
    """Pieces that decide: always shown (for `absent`: what the twin has and this one lacks is simply not here)."""
    distractors: tuple[Piece, ...]
    """Pieces that may be shown beside them."""
    answer: Answer
    response: str
    derivation: Derivation
    content: tuple[str, ...]
    """What makes this question this question: file, span, kind, asked term."""
    evidence: Quote
    query: str | None = None
    wordings: str | None = None
    cell: tuple[str, ...] | None = None
    """Content of the twin that it shares a side with; absent: its own."""
    n_wordings: int = 2
    inputs: dict[str, str] = field(default_factory=dict)
    beside: tuple[tuple[str, Locator], ...] = ()
    """Hash and place of the other files that the answer needs: each is a place of the pair too."""


def draft_pairs(draft: Draft, context: CompileContext) -> Iterator[CompiledPair | Rejection]:
    """One pair a drawn wording, each with its own draw of distractors.

    A question whose deciding pieces alone do not fit the budget yields one rejection, `compile.too_long`.
    """
    content_key = hash_value(list(draft.content))
    names = context.templates.wordings(draft.wordings or draft.kind)
    drawn = draw_order(names, "wording", context.seed, content_key)[: draft.n_wordings]
    for number, name in enumerate(drawn):
        question = context.templates.render(name, **draft.values)
        shown = _shown(draft, question, context.seed, f"{content_key}#{number}")
        if shown is None:
            yield _too_long(draft, context)
            return
        pair = _pair(draft, context, content_key=content_key, name=name, names=names, question=question, shown=shown)
        yield pair
        for sha256, locator in draft.beside:
            also = pair.occurrence.model_copy(update={"source_sha256": sha256, "locator": locator})
            yield pair.model_copy(update={"occurrence": also})


def _too_long(draft: Draft, context: CompileContext) -> Rejection:
    return rejection(
        context,
        code="compile.too_long",
        detail=f"what decides this {draft.kind} question does not fit into {INSTRUCTION_BYTES} bytes",
        locator=draft.evidence.locator,
    )


def _pair(
    draft: Draft,
    context: CompileContext,
    *,
    content_key: str,
    name: str,
    names: list[str],
    question: str,
    shown: Passage,
) -> CompiledPair:
    source = context.source
    return CompiledPair(
        instruction=open_book_instruction(context.templates, passages=[shown], question=question),
        response=draft.response,
        kind=draft.kind,
        stratum=stratum(context),
        derivation=draft.derivation,
        answer=draft.answer,
        content_key=content_key,
        label=source.label,
        valid_from=source.effective_from,
        valid_until=source.effective_until,
        split_keys=split_keys(context, hash_value(list(draft.cell or draft.content)), name, names),
        occurrence=Occurrence(
            source_sha256=source.sha256,
            locator=draft.evidence.locator,
            text=draft.evidence.text,
            template_sha256=context.templates.sha256(name),
            query=draft.query,
            inputs={**(draft.evidence.inputs() or {}), **draft.inputs} or None,
        ),
    )


def _shown(draft: Draft, question: str, seed: int, key: str) -> Passage | None:
    """The needed pieces and one to three distractors in the document's order; None where that does not fit."""
    pieces = list(draft.needed)
    room = INSTRUCTION_BYTES - len(f"{question}{draft.title or ''}".encode()) - _LINES_BYTES
    room -= sum(piece_bytes(piece) for piece in pieces)
    wanted = 1 + draw_below(3, "distractors", seed, key)
    for piece in draw_order(nearby(draft.distractors, seed, key), "distractor", seed, key):
        if wanted and piece_bytes(piece) <= room:
            pieces.append(piece)
            room -= piece_bytes(piece)
            wanted -= 1
    if room < 0 or not pieces:
        return None
    return Passage(draft.title, join_pieces(sorted(pieces, key=lambda p: p.order)))


_NEARBY = 512


def nearby(pieces: tuple[Piece, ...], seed: int, key: str) -> tuple[Piece, ...]:
    """All pieces, or a drawn run of `_NEARBY` of them: looking at each for each question would make the work on a long
    document grow with the square of its length."""
    if len(pieces) <= _NEARBY:
        return pieces
    start = draw_below(len(pieces) - _NEARBY + 1, "distractors_from", seed, key)
    return pieces[start : start + _NEARBY]


_LINES_BYTES = 4
"""Line breaks that the prompt puts around passages and question."""


def piece_bytes(piece: Piece) -> int:
    """UTF-8 bytes that a piece takes, its heading and line breaks included."""
    return len(piece.text.encode()) + len((piece.heading or "").encode()) + 2


def join_pieces(pieces: Sequence[Piece]) -> str:
    """One line a piece, a heading's line where it changes."""
    lines: list[str] = []
    heading: str | None = None
    for piece in pieces:
        if piece.heading and piece.heading != heading:
            lines.append(piece.heading)
        heading = piece.heading
        lines.append(piece.text)
    return "\n".join(lines)


def stratum(context: CompileContext) -> str:
    """The stratum declared for the source, else its kind."""
    return context.source.stratum or context.settings.stratum or context.settings.kind


def document_key(context: CompileContext) -> str:
    """What stays on one side: the first group of the entry's `group` expression, else the file."""
    path = context.source.path
    match = re.search(context.settings.group, path) if context.settings.group else None
    if match is None:
        return path
    # A first group that took no part in the match names no group of files.
    return (match.group(1) or path) if match.groups() else match.group()


def document_side(context: CompileContext) -> Split | None:
    """The declared side, or the drawn one where `group` asks that files stay together; else none."""
    if context.settings.split or not context.settings.group:
        return context.settings.split
    return side(document_key(context), context.seed)


def split_keys(context: CompileContext, cell: str | None, name: str, names: list[str]) -> SplitKeys:
    """The keys that the draw of the split looks at."""
    return SplitKeys(
        document=document_key(context),
        document_side=document_side(context),
        wording=name,
        wording_side=wording_side(name, names, context.seed),
        cell=cell,
    )


def rejection(
    context: CompileContext, *, code: str, detail: str, locator: Locator, text: str | None = None
) -> Rejection:
    """A rejection of this file at a place."""
    return Rejection(
        stage="compile",
        code=code,
        detail=detail,
        path=context.source.path,
        source_sha256=context.source.sha256,
        locator=locator,
        text=text,
    )
