"""A model's answers to held-out pairs, scored beside the baselines.

Owns asking and scoring. A pair whose prompt fills the context counts as answered wrongly, and is counted; nothing is
left out in silence. It must not read files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hrmbuild.evaluation.abstention import Abstention, abstention
from hrmbuild.evaluation.answers import score_response
from hrmbuild.evaluation.baselines import Baseline
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
    abstention: Abstention
    """How often the model declined, where it should and where it should not."""
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    """Time that each model took for all answers, by column; loading it is not counted."""
    too_long: dict[str, int] = field(default_factory=dict[str, int])
    """The same count for each other model that was asked."""

    @property
    def overall(self) -> Slice:
        """The row of all pairs."""
        return self.slices[0]

    def mean_f1(self) -> tuple[float, float, float]:
        """Mean token F1 and its 95 % interval."""
        found = self.overall.f1
        assert found is not None, "an evaluation scores F1"
        return found.mean, found.low, found.high


@dataclass(frozen=True)
class Contender:
    """Another model that is asked the same questions."""

    name: str
    """Of its column."""
    answer: Callable[[Sequence[Pair], Advance], list[str | None]]
    """Greedy responses in order; None where a prompt fills its context."""


def evaluate(
    model: LanguageModel,
    tokenizer: TextTokenizer,
    pairs: Sequence[Pair],
    *,
    baselines: Mapping[str, Baseline],
    against: Sequence[Contender] = (),
    advance: Advance = _ignore,
    seed: int = 0,
) -> Evaluation:
    """Ask the model every pair, then once more without the shown text where there is one; score all columns.

    Args:
        against: other models, asked the same.
        seed: of the resamples behind the intervals.

    Raises:
        ValueError: no pairs.
    """
    if not pairs:
        raise ValueError("no pairs to score")
    ours = Contender(MODEL, lambda asked, told: _ask(model, tokenizer, asked, told))
    said, seconds = _answers_of([ours, *against], pairs, advance)
    answered = tuple(_answered(pair, response) for pair, response in zip(pairs, said[MODEL], strict=True))
    right: dict[str, list[bool | None]] = {MODEL: [one.exact for one in answered]}
    for name, baseline in baselines.items():
        right[name] = [_baseline_right(pair, baseline(pair)) for pair in pairs]
    right[TEXT_REMOVED] = _text_removed(model, tokenizer, pairs, advance)
    for contender in against:
        given = zip(pairs, said[contender.name], strict=True)
        right[contender.name] = [_answered(pair, response).exact for pair, response in given]
    too_long = {name: sum(response is None for response in responses) for name, responses in said.items()}
    n_too_long = too_long.pop(MODEL)
    overlaps = [one.f1 for one in answered]
    table = tally(pairs, right, f1=overlaps, seed=seed)
    declined = abstention(pairs, [one.response for one in answered])
    return Evaluation(answered, table, n_too_long, declined, seconds, too_long)


def _answers_of(
    contenders: Sequence[Contender], pairs: Sequence[Pair], advance: Advance
) -> tuple[dict[str, list[str | None]], dict[str, float]]:
    said: dict[str, list[str | None]] = {}
    seconds: dict[str, float] = {}
    for contender in contenders:
        started_at_s = time.monotonic()
        said[contender.name] = contender.answer(pairs, advance)
        seconds[contender.name] = time.monotonic() - started_at_s
    return said, seconds


def _ask(model: LanguageModel, tokenizer: TextTokenizer, pairs: Sequence[Pair], advance: Advance) -> list[str | None]:
    return ask_all(model, tokenizer, pairs, instructions=[pair.instruction for pair in pairs], advance=advance)


def packaged_contender(name: str, model: LanguageModel, tokenizer: TextTokenizer) -> Contender:
    """A model of ours (an earlier package, a run of another core) as a contender."""
    return Contender(name, lambda pairs, advance: _ask(model, tokenizer, pairs, advance))


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
    if pair.condition != "direct" or pair.answer.type in ("text", "sql", "json"):
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
