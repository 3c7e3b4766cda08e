"""From prompts to answers: one prefill a batch, then one token a step for every sequence that has not ended.

Owns batching, stopping, telling tokens as they come, and the refusal of prompts that do not fit the context: nothing is
ever cut. It must not load files nor score answers.

Batches take prompts of similar length, so that few cache positions are idle; a sequence that has ended leaves its
batch at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch

from hrmbuild.errors import UsageError
from hrmbuild.inference.decoding import Decoder
from hrmbuild.inference.sampling import Choose, greedy
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.tokens.control import CONTROL_IDS, END
from hrmbuild.tokens.encode import encode_prompt
from hrmbuild.tokens.tokenizer import TextTokenizer

MAX_NEW_TOKENS = 256
"""Default bound of an answer: several times the longest response of the kinds that compilers write."""
BATCH_SIZE = 16
SINGLE_THREAD_WIDTH = 128
"""Up to this width a decoding step is too small to be shared: on a busy machine a second thread mostly waits for the
first (measured: 300 answers of nano took 9 CPU-seconds with one thread and 50 with two)."""


OnToken = Callable[[int, int], None]
"""(number of the prompt, token) as soon as the token is chosen, the end token included."""


@dataclass(frozen=True)
class Limits:
    """How far generation goes."""

    max_new_tokens: int = MAX_NEW_TOKENS
    """Bound of each answer, the end token included; the context bounds it too."""
    batch_size: int = BATCH_SIZE
    """Sequences that are decoded together."""


class Prompt(NamedTuple):
    """What is asked."""

    instruction: str
    condition: str = "direct"


@dataclass(frozen=True)
class Generated:
    """What was answered."""

    text: str
    token_ids: tuple[int, ...]
    """Content tokens, the end token left out."""
    ended: bool
    """The model closed its answer; False: a limit did."""
    n_prompt_tokens: int


def generate(
    model: LanguageModel,
    tokenizer: TextTokenizer,
    prompts: Sequence[Prompt],
    *,
    limits: Limits = Limits(),
    choose: Choose = greedy,
    on_token: OnToken | None = None,
) -> list[Generated]:
    """Answer every prompt, in the order given.

    Raises:
        UsageError: an unknown condition (`ask.unknown_condition`), or a prompt fills the context; nothing is answered
            then.
    """
    prefixes = [encode(tokenizer, prompt) for prompt in prompts]
    end_id = CONTROL_IDS[END]
    answers = generate_ids(model, prefixes, end_id=end_id, limits=limits, choose=choose, on_token=on_token)
    return [
        _generated(tokenizer, ids, end_id=end_id, n_prompt_tokens=len(prefix))
        for ids, prefix in zip(answers, prefixes, strict=True)
    ]


def encode(tokenizer: TextTokenizer, prompt: Prompt) -> list[int]:
    """Token ids of a prompt, framed.

    Raises:
        UsageError: an unknown condition.
    """
    try:
        return encode_prompt(tokenizer, prompt.condition, instruction=prompt.instruction)
    except ValueError as error:
        raise UsageError("ask.unknown_condition", str(error), where=f"condition {prompt.condition!r}",
                         fix="take one of these, or leave it out for direct") from error  # fmt: skip


def _generated(tokenizer: TextTokenizer, ids: list[int], *, end_id: int, n_prompt_tokens: int) -> Generated:
    ended = bool(ids) and ids[-1] == end_id
    content = ids[:-1] if ended else ids
    return Generated(tokenizer.decode(content), tuple(content), ended, n_prompt_tokens)


def check_prompt(n_tokens: int, *, context_tokens: int, where: str | None = None) -> None:
    """Refuse a prompt that leaves no room for an answer.

    Raises:
        UsageError: `ask.prompt_too_long`.
    """
    if n_tokens >= context_tokens:
        raise UsageError(
            "ask.prompt_too_long",
            f"the prompt has {n_tokens:,} tokens, the model's context holds {context_tokens:,} with the answer",
            where=where,
            why="cutting it would answer another question than the one that was asked",
            fix="show a shorter text with the question, or train with a longer context",
        )


@torch.inference_mode()
def generate_ids(
    model: LanguageModel,
    prefixes: Sequence[Sequence[int]],
    *,
    end_id: int,
    limits: Limits = Limits(),
    choose: Choose = greedy,
    on_token: OnToken | None = None,
) -> list[list[int]]:
    """Answer token ids for each prefix, in the order given; the end token is kept where the model wrote it.

    Raises:
        UsageError: a prefix fills the context (`ask.prompt_too_long`); nothing is generated then.
    """
    context = model.config.context_tokens
    for number, prefix in enumerate(prefixes):
        check_prompt(len(prefix), context_tokens=context, where=f"prompt {number + 1}" if len(prefixes) > 1 else None)
    order = sorted(range(len(prefixes)), key=lambda i: (-len(prefixes[i]), i))
    answers: list[list[int]] = [[] for _ in prefixes]
    with _float32_on_few_threads(model):
        for start in range(0, len(order), limits.batch_size):
            rows = order[start : start + limits.batch_size]
            batch = _Batch(model, rows, end_id=end_id, choose=choose, on_token=on_token)
            batch.run(prefixes, answers, max_new_tokens=limits.max_new_tokens)
    return answers


@contextmanager
def _float32_on_few_threads(model: LanguageModel) -> Iterator[None]:
    """Answers are defined for float32: a model that trains in bfloat16 is asked as its package will be."""
    dtype, threads = model.compute_dtype, torch.get_num_threads()
    narrow = model.lm_head.weight.device.type == "cpu" and model.config.hidden_size <= SINGLE_THREAD_WIDTH
    model.compute_dtype = None
    if narrow:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        model.compute_dtype = dtype
        if narrow:
            torch.set_num_threads(threads)


class _Batch:
    """Sequences decoded together; `_rows[i]` is the prompt in row i of the cache."""

    def __init__(
        self, model: LanguageModel, rows: list[int], *, end_id: int, choose: Choose, on_token: OnToken | None
    ) -> None:
        self._model, self._rows, self._end_id, self._choose, self._on_token = model, rows, end_id, choose, on_token

    def run(self, prefixes: Sequence[Sequence[int]], answers: list[list[int]], *, max_new_tokens: int) -> None:
        context = self._model.config.context_tokens
        room = {row: min(max_new_tokens, context - len(prefixes[row])) for row in self._rows}
        # The last token of an answer is never fed back.
        decoder = Decoder(self._model, [prefixes[row] for row in self._rows], n_new=max(room.values()) - 1)
        logits = decoder.prefill()
        for position in range(max_new_tokens):
            tokens = self._choose(logits, self._rows, position).tolist()
            for row, token in zip(self._rows, tokens, strict=True):
                answers[row].append(token)
                if self._on_token is not None:
                    self._on_token(row, token)
            self._drop_ended(decoder, answers, tokens, room)
            if not tokens:
                return
            logits = decoder.step(torch.tensor(tokens, device=logits.device))

    def _drop_ended(self, decoder: Decoder, answers: list[list[int]], tokens: list[int], room: dict[int, int]) -> None:
        for index in reversed(range(len(tokens))):
            row = self._rows[index]
            if tokens[index] == self._end_id or len(answers[row]) == room[row]:
                decoder.drop(index)
                self._rows[index], tokens[index] = self._rows[-1], tokens[-1]
                del self._rows[-1], tokens[-1]
