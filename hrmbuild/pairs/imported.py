"""Pairs that exist already -> pairs: mapped, cleaned of foreign marks, typed where the answer's form is plain.

Owns what is stripped (`<think>` blocks, `<<calc>>` marks) and the rule of `####`: what follows is the answer under
`direct`, the text before it is trained only under `cot`. Rows come one by one; nothing here holds a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import get_args

from hrmbuild.fingerprint import hash_value
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.draft import document_key, document_side, rejection, stratum
from hrmbuild.pairs.imported_shapes import Shaped, ShapeError, shape_rows
from hrmbuild.pairs.prompt import OPEN_BOOK, Passage, open_book_instruction
from hrmbuild.pairs.provisions import cited_passages
from hrmbuild.records.document import Document, Fields
from hrmbuild.records.pair import Answer, CompiledPair, Condition, Occurrence, Rejection, SplitKeys

CONTEXT_BYTES = 16384
"""Largest instruction with the documents of a case: the default of the gate on length; more is rejected here, with the
name of what was too long."""
_THINK = re.compile(r"<(think|thinking|reasoning|reflection)>.*?</\1>\s*", re.S | re.I)
_CALCULATION = re.compile(r"<<[^<>]*>>")
END_MARKS = ("<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "</s>")
"""What data that was made for other models writes behind a response. There it means the end and is taken away;
anywhere else it imitates a control token, and the gate refuses it."""
_HASHES = re.compile(r"\n?####\s*(?P<answer>[^\n]+)\s*$")
_AMOUNT = re.compile(r"^(?P<currency>[$€£])?(?P<number>-?\d+(?:,\d{3})*(?:\.\d+)?)(?P<percent>\s?%)?$")
_CURRENCIES = {"$": "USD", "€": "EUR", "£": "GBP"}


@dataclass(frozen=True)
class _Version:
    """What is trained on of a row, under one condition."""

    condition: Condition
    response: str
    answer: str


def compile_fields(record: Fields, context: CompileContext) -> Iterator[CompiledPair | Rejection]:
    """The pairs of one row, or one rejection with its reason."""
    try:
        shaped_rows = list(shape_rows(record.fields, context.settings.mapping))
    except ShapeError as error:
        yield rejection(context, code=error.code, detail=error.detail, locator=record.locator)
        return
    for number, shaped in enumerate(shaped_rows):
        yield from _compiled(record, shaped, number, context)


def _compiled(
    record: Fields, shaped: Shaped, number: int, context: CompileContext
) -> Iterator[CompiledPair | Rejection]:
    question, stripped = _strip(shaped.instruction)
    shaped, ended = _without_end(shaped)
    stripped += ended
    shown = _shown(shaped.question or question, context)
    passages = [one for _, one in shown]
    instruction = open_book_instruction(context.templates, passages=passages, question=question)
    if not question or not shaped.response.strip():
        yield rejection(
            context, code="compile.empty", detail="instruction or response is empty", locator=record.locator
        )
        return
    if len(instruction.encode()) > CONTEXT_BYTES:
        detail = (
            f"with its context the instruction has {len(instruction.encode()):,} bytes, more than {CONTEXT_BYTES:,}"
        )
        yield rejection(context, code="compile.too_long", detail=detail, locator=record.locator, text=question)
        return
    try:
        versions = list(_versions(shaped, context))
    except ShapeError as error:
        yield rejection(context, code=error.code, detail=error.detail, locator=record.locator, text=shaped.response)
        return
    for version in versions:
        pair = _pair(record, instruction, version, number=number, stripped=stripped, context=context)
        yield pair
        yield from (_by_document(pair, *one, context) for one in shown)


def _by_document(pair: CompiledPair, document: Document, passage: Passage, context: CompileContext) -> CompiledPair:
    """The same pair with the shown document as its place: whoever withdraws the document finds it."""
    place = document.blocks[0].locator if document.blocks else pair.occurrence.locator
    occurrence = pair.occurrence.model_copy(update={
        "source_sha256": document.source_sha256, "text": passage.text, "inputs": None,
        "locator": place.model_copy(update={"char_from": None, "char_to": None}),
    })  # fmt: skip
    label = context.shown_labels.get(document.source_sha256, context.source.label)
    return pair.model_copy(update={"occurrence": occurrence, "label": label})


def _shown(question: str, context: CompileContext) -> Sequence[tuple[Document, Passage]]:
    mapping = context.settings.mapping
    if mapping is None or mapping.context is None:
        return []
    return cited_passages(question, [record for record in context.siblings if isinstance(record, Document)])


def _strip(text: str) -> tuple[str, tuple[str, ...]]:
    """The text without visible reasoning and calculator marks, and the names of what was taken away."""
    without_think = _THINK.sub("", text)
    clean = _CALCULATION.sub("", without_think)
    names = [n for n, changed in (("think", without_think != text), ("calc", clean != without_think)) if changed]
    return clean.strip(), tuple(names)


def _without_end(shaped: Shaped) -> tuple[Shaped, tuple[str, ...]]:
    """The row without one mark of the end behind its response."""
    response = shaped.response.rstrip()
    for mark in END_MARKS:
        if response.endswith(mark):
            return replace(shaped, response=response.removesuffix(mark)), ("end",)
    return shaped, ()


def _versions(shaped: Shaped, context: CompileContext) -> Iterator[_Version]:
    """The response as it is, or by the rule of `####` both ways.

    Raises:
        ShapeError: the condition is none of those known, or nothing is left of the response.
    """
    condition = shaped.condition or "direct"
    if condition not in get_args(Condition):
        known = ", ".join(get_args(Condition))
        raise ShapeError("compile.unknown_condition", f"the condition {condition!r} is none of {known}")
    response, _ = _strip(shaped.response)
    if not response:
        raise ShapeError("compile.empty", "nothing is left of the response once visible reasoning is stripped")
    mapping = context.settings.mapping
    hashes = _HASHES.search(response)
    if mapping is not None and mapping.answer_rule == "after_hashes" and not hashes:
        raise ShapeError("compile.no_answer", "the response has no '####' with the answer behind it")
    if not hashes or (mapping is not None and mapping.answer_rule == "whole" and mapping.response):
        yield _Version(_known(condition), response, response)
        return
    answer = hashes["answer"].strip()
    reasoning = response[: hashes.start()].strip()
    yield _Version("direct", answer, answer)
    if reasoning:
        yield _Version("cot", f"{reasoning}\nAnswer: {answer}", answer)


def _known(condition: str) -> Condition:
    return next(known for known in get_args(Condition) if known == condition)


def _pair(
    record: Fields,
    instruction: str,
    version: _Version,
    *,
    number: int,
    stripped: tuple[str, ...],
    context: CompileContext,
) -> CompiledPair:
    answer = _typed(version.answer, context)
    family = "cases" if context.settings.cases else "pairs"
    content = hash_value(["imported", instruction, version.answer])
    source = context.source
    return CompiledPair(
        instruction=instruction,
        response=version.response,
        condition=version.condition,
        kind=f"{family}.{answer.type}" if version.condition == "direct" else f"{family}.{version.condition}",
        stratum=stratum(context),
        derivation="imported",
        answer=answer,
        content_key=content,
        label=source.label,
        valid_from=source.effective_from,
        valid_until=source.effective_until,
        split_keys=SplitKeys(
            document=document_key(context), document_side=document_side(context), cell=hash_value([instruction])
        ),
        occurrence=Occurrence(
            source_sha256=source.sha256,
            locator=record.locator,
            text=version.response,
            template_sha256=context.templates.sha256(OPEN_BOOK),
            inputs=_inputs(number, stripped),
        ),
    )


def _inputs(number: int, stripped: tuple[str, ...]) -> dict[str, str] | None:
    inputs = {"stripped": ", ".join(stripped)} if stripped else {}
    return {**inputs, "instance": str(number)} if number else inputs or None


def _typed(words: str, context: CompileContext) -> Answer:
    """A number or a declared choice where the whole answer is one, else text."""
    choices = _choices(context)
    if words in choices:
        return Answer(type="choice", value=words, choices=choices)
    found = _AMOUNT.match(words)
    if found:
        unit = _CURRENCIES.get(found["currency"] or "", "percent" if found["percent"] else None)
        return Answer(type="number", value=_plain_number(found["number"]), unit=unit)
    return Answer(type="text", value=words)


def _plain_number(digits: str) -> str:
    try:
        return f"{Decimal(digits.replace(',', '')):f}"
    except InvalidOperation as error:
        raise AssertionError(f"{digits!r} passed the pattern of numbers") from error


def _choices(context: CompileContext) -> tuple[str, ...]:
    """Plain words among the alternatives of `response_pattern`: `(Entailment|Contradiction|...)`."""
    mapping = context.settings.mapping
    group = re.search(r"\(([^()]*)\)", mapping.response_pattern or "") if mapping else None
    return tuple(word for word in group.group(1).split("|") if re.fullmatch(r"[\w -]+", word)) if group else ()
