"""A model's answers to held-out pairs, scored beside the baselines.

Owns asking and scoring. A pair whose prompt fills the context counts as answered wrongly, and is counted; nothing is
left out in silence. It must not read files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hrmbuild.evaluation.answers import score_response
from hrmbuild.evaluation.baselines import Baseline
from hrmbuild.evaluation.intervals import bootstrap_interval
from hrmbuild.evaluation.questions import drawn_pairs, without_shown_text
from hrmbuild.evaluation.tallies import MODEL, Slice, tally
from hrmbuild.inference.generate import MAX_NEW_TOKENS, Limits, Prompt, encode, generate
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.records.pair import Pair
from hrmbuild.tokens.tokenizer import TextTokenizer

BATCH_SIZE = 64
SPARE_TOKENS = 8
"""Room beyond the expected text, for a unit or another wording."""
TEXT_REMOVED = "text removed"
Advance = Callable[[int], None]
"""Told after each group of answers, with how many there were."""


def _ignore(n: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class Answered:
    """One question with what came of it."""

    pair: Pair
    response: str
    """Empty where the prompt fills the context."""
    exact: bool
    f1: float


@dataclass(frozen=True)
class Evaluation:
    """All answers and their table."""

    answered: tuple[Answered, ...]
    slices: tuple[Slice, ...]
    n_too_long: int
    """Pairs whose prompt fills the context; they count as wrong."""

    @property
    def overall(self) -> Slice:
        """The row of all pairs."""
        return self.slices[0]

    def mean_f1(self, *, seed: int) -> tuple[float, float, float]:
        """Mean token F1 and its 95 % interval (bootstrap)."""
        values = [one.f1 for one in self.answered]
        return sum(values) / len(values), *bootstrap_interval(values, seed=seed, key="f1")


def evaluate(
    model: LanguageModel,
    tokenizer: TextTokenizer,
    pairs: Sequence[Pair],
    *,
    baselines: Mapping[str, Baseline],
    advance: Advance = _ignore,
) -> Evaluation:
    """Ask the model every pair, then once more without the shown text where there is one; score all columns.

    Raises:
        ValueError: no pairs.
    """
    if not pairs:
        raise ValueError("no pairs to score")
    instructions = [pair.instruction for pair in pairs]
    responses = ask_all(model, tokenizer, pairs, instructions=instructions, advance=advance)
    answered = tuple(_answered(pair, response) for pair, response in zip(pairs, responses, strict=True))
    right: dict[str, list[bool | None]] = {MODEL: [one.exact for one in answered]}
    for name, baseline in baselines.items():
        right[name] = [_baseline_right(pair, baseline(pair)) for pair in pairs]
    right[TEXT_REMOVED] = _text_removed(model, tokenizer, pairs, advance)
    n_too_long = sum(response is None for response in responses)
    return Evaluation(answered, tally(pairs, right), n_too_long)


def ask_all(
    model: LanguageModel,
    tokenizer: TextTokenizer,
    pairs: Sequence[Pair],
    *,
    instructions: Sequence[str],
    first_words: bool = False,
    advance: Advance = _ignore,
) -> list[str | None]:
    """Greedy responses to `instructions` under the pairs' conditions; None where a prompt fills the context.

    With `first_words` a response may end once its typed answer must have been given: enough to score it.
    """
    prompts = [Prompt(text, pair.condition) for text, pair in zip(instructions, pairs, strict=True)]
    context = model.config.context_tokens
    bounds = _enough_tokens(tokenizer, pairs, first_words=first_words)
    fitting = [i for i, prompt in enumerate(prompts) if len(encode(tokenizer, prompt)) < context]
    fitting.sort(key=lambda i: (bounds[i], i))
    responses: list[str | None] = [None] * len(pairs)
    for start in range(0, len(fitting), BATCH_SIZE):
        group = fitting[start : start + BATCH_SIZE]
        limits = Limits(max(bounds[i] for i in group), BATCH_SIZE)
        for i, one in zip(group, generate(model, tokenizer, [prompts[i] for i in group], limits=limits), strict=True):
            responses[i] = one.text
        advance(len(group))
    return responses


def _enough_tokens(tokenizer: TextTokenizer, pairs: Sequence[Pair], *, first_words: bool) -> list[int]:
    """Tokens of each expected text and a little more: a longer answer is not a better one."""
    expected = [_first_words(pair) if first_words else pair.response for pair in pairs]
    return [min(MAX_NEW_TOKENS, len(ids) + SPARE_TOKENS) for ids in tokenizer.encode_batch(expected)]


def _first_words(pair: Pair) -> str:
    """What must have been said before a response can be scored: the longest choice, the value, or all of it."""
    if pair.condition != "direct" or pair.answer.type in ("text", "sql"):
        return pair.response
    return max([pair.answer.value, *(pair.answer.choices or ())], key=len)


def _answered(pair: Pair, response: str | None) -> Answered:
    if response is None:
        return Answered(pair, "", exact=False, f1=0.0)
    score = score_response(pair.answer, response, expected=pair.response, condition=pair.condition)
    return Answered(pair, response, score.exact, score.f1)


def _baseline_right(pair: Pair, value: str | None) -> bool | None:
    return None if value is None else score_response(pair.answer, value, expected=pair.answer.value).exact


def _text_removed(
    model: LanguageModel, tokenizer: TextTokenizer, pairs: Sequence[Pair], advance: Advance
) -> list[bool | None]:
    cut = [without_shown_text(pair) for pair in pairs]
    asked = [i for i, instruction in enumerate(cut) if instruction]
    responses = ask_all(
        model, tokenizer, [pairs[i] for i in asked], instructions=[cut[i] or "" for i in asked],
        first_words=True, advance=advance,
    )  # fmt: skip
    right: list[bool | None] = [None] * len(pairs)
    for i, response in zip(asked, responses, strict=True):
        right[i] = _answered(pairs[i], response).exact
    return right


class DevScorer:
    """Exact match on the same dev pairs at every call: what training hands to its loop."""

    def __init__(self, pairs: Sequence[Pair], tokenizer: TextTokenizer, *, n: int, seed: int) -> None:
        """Draw up to `n` of the dev split's pairs by their ids."""
        self._pairs, self._tokenizer = drawn_pairs(pairs, n=n, seed=seed, purpose="dev score"), tokenizer

    def __call__(self, model: LanguageModel, step: int) -> dict[str, float]:
        """`exact`, the share of right answers, and `n`, how many were asked."""
        instructions = [pair.instruction for pair in self._pairs]
        responses = ask_all(model, self._tokenizer, self._pairs, instructions=instructions, first_words=True)
        right = sum(_answered(pair, one).exact for pair, one in zip(self._pairs, responses, strict=True))
        return {"exact": right / len(self._pairs) if self._pairs else 0.0, "n": float(len(self._pairs))}
