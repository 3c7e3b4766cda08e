"""`hrmbuild ask`: one question, one answer; or a stream of questions as JSON lines.

Owns finding the package and the shape of an answer. The rule or table that decides stands in the question itself. It
must not retrieve anything: `sources` is empty.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from hrmbuild.config.loading import Project
from hrmbuild.errors import HrmbuildError, UsageError
from hrmbuild.inference.generate import BATCH_SIZE, MAX_NEW_TOKENS, Limits, Prompt, check_prompt, encode, generate
from hrmbuild.inference.load import LoadedModel, load_package

_MANIFEST = "manifest.json"
_KEYS = {"instruction", "condition", "id"}


@dataclass(frozen=True)
class AskReport:
    """One answer."""

    response: str
    tokens: int
    """Tokens of the answer, the end token included where the model wrote it."""
    prompt_tokens: int
    seconds: float
    """Of the batch that it was answered in; loading the model is not counted."""
    ended: bool
    """The model closed its answer; False: a limit did."""
    sources: tuple[str, ...] = ()
    """Spans that were retrieved: none are."""

    def as_dict(self) -> dict[str, Any]:
        """The keys of `ask --json`."""
        return {**vars(self), "sources": list(self.sources), "seconds": round(self.seconds, 4)}


@dataclass(frozen=True)
class AskedLine:
    """One line of `ask --jsonl`: an answer, or why there is none."""

    number: int
    """Line of the input, 1-based."""
    id: str | None
    """As given."""
    report: AskReport | None
    error: HrmbuildError | None

    def as_dict(self) -> dict[str, Any]:
        """The line's object."""
        own = {"id": self.id} if self.id is not None else {}
        if self.report is not None:
            return own | self.report.as_dict()
        return own | {"line": self.number, "error": self.error.as_dict() if self.error else None}


def newest_package(project: Project) -> Path:
    """The package that was made last.

    Raises:
        UsageError: `ask.no_package`.
    """
    folder = project.packages_folder
    found = [path for path in folder.glob(f"*/{_MANIFEST}") if not path.parent.name.startswith(".")]
    if not found:
        raise UsageError("ask.no_package", "no model has been packaged yet", where=str(folder),
                         fix="run hrmbuild build, or hrmbuild package where a run has finished")  # fmt: skip
    return max(found, key=lambda path: (path.stat().st_mtime_ns, path.parent.name)).parent


def ask(package: Path, question: str, *, condition: str = "direct", max_new_tokens: int = MAX_NEW_TOKENS) -> AskReport:
    """Answer one question, greedily.

    Args:
        question: the whole instruction: the shown text, the case, the question.

    Raises:
        UsageError: `ask.empty`, `ask.not_text`, `ask.prompt_too_long`, `ask.unknown_condition`.
        InputError: the package cannot be loaded.
    """
    _check_question(question)
    loaded = load_package(package)
    return _answers(loaded, [Prompt(question, condition)], Limits(max_new_tokens))[0]


def _check_question(question: str, *, where: str | None = None) -> None:
    if not question.strip():
        raise UsageError("ask.empty", "the question is empty", where=where,
                         fix='hrmbuild ask "the rule … the question?"')  # fmt: skip
    # Bytes that are no UTF-8 reach Python as lone surrogates, and JSON may spell such: no tokenizer takes them.
    if any("\ud800" <= sign <= "\udfff" for sign in question):
        raise UsageError("ask.not_text", "the question is no Unicode text: some of its bytes are no UTF-8",
                         where=where, fix="write it in UTF-8")  # fmt: skip


def ask_lines(
    package: Path, lines: Iterable[str], *, condition: str = "direct", max_new_tokens: int = MAX_NEW_TOKENS
) -> Iterator[AskedLine]:
    """Answer `{"instruction": …, "condition"?: …, "id"?: …}` lines as they come, in batches, in order.

    A line that cannot be answered gives an error of its own and stops nothing. Empty lines are passed over.

    Raises:
        InputError: the package cannot be loaded.
    """
    loaded = load_package(package)
    limits = Limits(max_new_tokens)
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    while batch := list(islice(numbered, BATCH_SIZE)):
        yield from _answer_batch(loaded, batch, condition=condition, limits=limits)


def _answer_batch(
    loaded: LoadedModel, batch: list[tuple[int, str]], *, condition: str, limits: Limits
) -> Iterator[AskedLine]:
    read = [_read_line(loaded, number, line, condition=condition) for number, line in batch]
    prompts = [one for _, _, one in read if isinstance(one, Prompt)]
    reports = iter(_answers(loaded, prompts, limits) if prompts else [])
    for number, own_id, one in read:
        if isinstance(one, Prompt):
            yield AskedLine(number, own_id, next(reports), None)
        else:
            yield AskedLine(number, own_id, None, one)


def _read_line(
    loaded: LoadedModel, number: int, line: str, *, condition: str
) -> tuple[int, str | None, Prompt | HrmbuildError]:
    own_id: str | None = None
    try:
        fields = _fields(line, number)
        own_id = None if fields.get("id") is None else str(fields["id"])
        _check_question(fields["instruction"], where=f"line {number}")
        prompt = Prompt(fields["instruction"], fields.get("condition") or condition)
        n_tokens = len(encode(loaded.tokenizer, prompt))
        check_prompt(n_tokens, context_tokens=loaded.context_tokens, where=f"line {number}")
    except UsageError as error:
        return number, own_id, error
    return number, own_id, prompt


def _fields(line: str, number: int) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _bad_line(number, f"the line is no JSON: {error}") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("instruction"), str):
        raise _bad_line(number, "the line has no text under 'instruction'")
    unknown = sorted(fields.keys() - _KEYS)
    if unknown:
        raise _bad_line(number, f"unknown keys: {', '.join(unknown)}")
    if not isinstance(fields.get("condition") or "", str):
        raise _bad_line(number, "'condition' is no text")
    return fields


def _bad_line(number: int, what: str) -> UsageError:
    fix = 'write {"instruction": "…", "condition": "direct", "id": "…"}; the last two may be left out'
    return UsageError("ask.bad_line", what, where=f"line {number}", fix=fix)


def _answers(loaded: LoadedModel, prompts: list[Prompt], limits: Limits) -> list[AskReport]:
    started_at_s = time.monotonic()
    answers = generate(loaded.model, loaded.tokenizer, prompts, limits=limits)
    seconds = time.monotonic() - started_at_s
    return [
        AskReport(one.text, len(one.token_ids) + one.ended, one.n_prompt_tokens, seconds, one.ended) for one in answers
    ]
