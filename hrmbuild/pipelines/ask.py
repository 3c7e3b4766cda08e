"""`hrmbuild ask`: one question, one answer; or a stream of questions as JSON lines.

Owns finding the package, how answers are chosen, and the shape of an answer. The rule or table that decides stands in
the question itself, or, with a corpus, the desk puts passages before it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from hrmbuild.config.loading import Project
from hrmbuild.errors import AnswerIsNoError, HrmbuildError, UsageError
from hrmbuild.fingerprint import hash_value
from hrmbuild.inference.generate import (
    BATCH_SIZE,
    MAX_NEW_TOKENS,
    Limits,
    OnToken,
    Prompt,
    check_prompt,
    encode,
    generate,
)
from hrmbuild.inference.load import LoadedModel
from hrmbuild.inference.sampling import Choose, Sampling, greedy
from hrmbuild.inference.streaming import TextStream
from hrmbuild.pipelines.desk import Asked, Desk

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
    sources: tuple[dict[str, Any], ...] = ()
    """Passages that were shown with the question, best first; none without a corpus."""
    withdrawn: tuple[str, ...] = ()
    """Withdrawn sources that the model was built on, as far as the project at hand knows."""

    def as_dict(self) -> dict[str, Any]:
        """The keys of `ask --json`."""
        known = {name: value for name, value in vars(self).items() if name != "withdrawn"}
        told = {"withdrawn": list(self.withdrawn)} if self.withdrawn else {}
        return {**known, "sources": list(self.sources), "seconds": round(self.seconds, 4), **told}


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


@dataclass(frozen=True)
class AskSettings:
    """How questions are answered."""

    condition: str = "direct"
    """Of lines that name none."""
    max_new_tokens: int = MAX_NEW_TOKENS
    sampling: Sampling | None = None
    """None: greedy, the most likely token each time."""
    role: str | None = None
    """Who asks; None: the package's default role, where it has one."""
    corpus: Path | None = None
    """Passages of this corpus are shown with the question, as far as the role may read them."""
    withdrawn: tuple[str, ...] = ()
    """Withdrawn sources that the model was built on: each answer says so."""

    def choose(self, prompts: Sequence[Prompt]) -> Choose:
        """How tokens are chosen; draws hang on a prompt's text, so that it is answered alike alone and in a file."""
        if self.sampling is None:
            return greedy
        return replace(self.sampling, keys=tuple(hash_value([one.condition, one.instruction]) for one in prompts))


def sampling_settings(
    *, temperature: float | None, top_k: int | None, top_p: float | None, seed: int | None
) -> Sampling | None:
    """Greedy without a temperature.

    Raises:
        UsageError: `ask.sampling`: a number out of its range, or one that greedy answers would not heed.
    """
    given = {"--top-k": top_k, "--top-p": top_p, "--seed": seed}
    unheeded = [name for name, value in given.items() if value is not None]
    if temperature is None:
        if unheeded:
            raise _sampling(f"{' and '.join(unheeded)} without --temperature", "greedy answers draw nothing")
        return None
    if not 0 < temperature < float("inf"):
        raise _sampling(f"--temperature {temperature:g}", "it is a number above 0; without it answers are greedy")
    if top_k is not None and top_k < 1:
        raise _sampling(f"--top-k {top_k}", "at least one token is drawn from")
    if top_p is not None and not 0 < top_p <= 1:
        raise _sampling(f"--top-p {top_p:g}", "it is a probability above 0")
    return Sampling(temperature, top_k=top_k, top_p=1.0 if top_p is None else top_p, seed=seed or 0)


def _sampling(where: str, why: str) -> UsageError:
    return UsageError("ask.sampling", "nothing can be sampled like this", where=where, why=why,
                      fix="for example --temperature 0.7 --top-p 0.9 --seed 1")  # fmt: skip


def ask(
    package: Path, question: str, *, settings: AskSettings = AskSettings(), tell: Callable[[str], None] | None = None
) -> AskReport:
    """Answer one question.

    Args:
        question: the whole instruction: the shown text, the case, the question.
        tell: is given the answer's text piece by piece while it comes.

    Raises:
        UsageError: `ask.empty`, `ask.not_text`, `ask.prompt_too_long`, `ask.unknown_condition`.
        InputError: the package cannot be loaded, or a file of it was altered.
    """
    _check_question(question)
    desk = Desk.open(package, role=settings.role, corpus=settings.corpus)
    asked = desk.ask(question, settings.condition)
    if tell is None:
        return _answers(desk.loaded, [asked], settings)[0]
    stream = TextStream(desk.loaded.tokenizer)
    report = _answers(desk.loaded, [asked], settings, on_token=lambda _, token: tell(stream.add(token)))[0]
    tell(stream.rest(report.response))
    return report


def _check_question(question: str, *, where: str | None = None) -> None:
    if not question.strip():
        raise UsageError("ask.empty", "the question is empty", where=where,
                         fix='hrmbuild ask "the rule … the question?"')  # fmt: skip
    # Bytes that are no UTF-8 reach Python as lone surrogates, and JSON may spell such: no tokenizer takes them.
    if any("\ud800" <= sign <= "\udfff" for sign in question):
        raise UsageError("ask.not_text", "the question is no Unicode text: some of its bytes are no UTF-8",
                         where=where, fix="write it in UTF-8")  # fmt: skip


def ask_lines(
    package: Path, lines: Iterable[str], *, settings: AskSettings = AskSettings(), batch_size: int = BATCH_SIZE
) -> Iterator[AskedLine]:
    """Answer `{"instruction": …, "condition"?: …, "id"?: …}` lines as they come, in batches, in order.

    A line that cannot be answered gives an error of its own and stops nothing. Empty lines are passed over.

    Raises:
        InputError: the package cannot be loaded, or a file of it was altered.
    """
    desk = Desk.open(package, role=settings.role, corpus=settings.corpus)
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    while batch := list(islice(numbered, batch_size)):
        yield from _answer_batch(desk, batch, settings)


def _answer_batch(desk: Desk, batch: list[tuple[int, str]], settings: AskSettings) -> Iterator[AskedLine]:
    read = [_read_line(desk, number, line, condition=settings.condition) for number, line in batch]
    asked = [one for _, _, one in read if isinstance(one, Asked)]
    reports = iter(_answers(desk.loaded, asked, settings) if asked else [])
    for number, own_id, one in read:
        if isinstance(one, Asked):
            yield AskedLine(number, own_id, next(reports), None)
        else:
            yield AskedLine(number, own_id, None, one)


def _read_line(desk: Desk, number: int, line: str, *, condition: str) -> tuple[int, str | None, Asked | HrmbuildError]:
    own_id: str | None = None
    try:
        fields = _fields(line, number)
        own_id = None if fields.get("id") is None else str(fields["id"])
        _check_question(fields["instruction"], where=f"line {number}")
        asked = desk.ask(fields["instruction"], fields.get("condition") or condition)
        n_tokens = len(encode(desk.loaded.tokenizer, asked.prompt))
        check_prompt(n_tokens, context_tokens=desk.loaded.context_tokens, where=f"line {number}")
    except (UsageError, AnswerIsNoError) as error:
        return number, own_id, error
    return number, own_id, asked


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


def _answers(
    loaded: LoadedModel, asked: list[Asked], settings: AskSettings, *, on_token: OnToken | None = None
) -> list[AskReport]:
    started_at_s = time.monotonic()
    prompts = [one.prompt for one in asked]
    limits, choose = Limits(settings.max_new_tokens, len(prompts)), settings.choose(prompts)
    answers = generate(loaded.model, loaded.tokenizer, prompts, limits=limits, choose=choose, on_token=on_token)
    seconds = time.monotonic() - started_at_s
    return [
        AskReport(
            one.text,
            len(one.token_ids) + one.ended,
            one.n_prompt_tokens,
            seconds,
            one.ended,
            shown.sources,
            settings.withdrawn,
        )
        for one, shown in zip(answers, asked, strict=True)
    ]
