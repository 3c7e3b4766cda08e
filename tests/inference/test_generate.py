"""Generation against the slow truth: the full forward pass, one token at a time, one prompt at a time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hrmbuild.errors import UsageError
from hrmbuild.inference.generate import Limits, Prompt, generate, generate_ids
from hrmbuild.inference.sampling import Sampling
from hrmbuild.inference.streaming import TextStream
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.layout import build_layout
from hrmbuild.tokens.tokenizer import TextTokenizer


def _slowly(model: LanguageModel, prefix: list[int], *, end_id: int, n: int) -> list[int]:
    answer: list[int] = []
    while len(answer) < n and answer[-1:] != [end_id]:
        layout = build_layout([len(prefix)], [len(answer)])
        hidden = model.forward_hidden(torch.tensor(prefix + answer), layout)
        answer.append(int(model.head(hidden[-1:]).argmax()))
    return answer


def _an_end_that_occurs(model: LanguageModel, prefixes: list[list[int]]) -> int:
    """A token that some answers hold early, so that sequences of a batch end at different times."""
    return _slowly(model, prefixes[0], end_id=-1, n=4)[-1]


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=7), st.integers(1, 4), st.integers(1, 12))
def test_batches_answer_as_each_prompt_alone(
    model: LanguageModel, lengths: list[int], batch_size: int, max_new_tokens: int
) -> None:
    prefixes = [[(7 * i + 3 * j) % 500 + 8 for j in range(n)] for i, n in enumerate(lengths)]
    end_id = _an_end_that_occurs(model, prefixes)
    limits = Limits(max_new_tokens=max_new_tokens, batch_size=batch_size)
    together = generate_ids(model, prefixes, end_id=end_id, limits=limits)
    assert together == [_slowly(model, p, end_id=end_id, n=max_new_tokens) for p in prefixes]


def test_answers_stop_where_the_context_ends_and_others_go_on(model: LanguageModel) -> None:
    prefixes = [[9] * 94, [10] * 10, [11] * 20, [12] * 95]
    answers = generate_ids(model, prefixes, end_id=-1, limits=Limits(max_new_tokens=30))
    assert [len(answer) for answer in answers] == [2, 30, 30, 1]
    assert answers == [_slowly(model, p, end_id=-1, n=len(a)) for p, a in zip(prefixes, answers, strict=True)]


def test_a_prompt_that_fills_the_context_is_refused_and_nothing_is_cut(
    model: LanguageModel, tokenizer: TextTokenizer
) -> None:
    with pytest.raises(UsageError) as caught:
        generate(model, tokenizer, [Prompt("fine"), Prompt("claim " * 200)])
    assert caught.value.code == "ask.prompt_too_long"
    assert caught.value.where == "prompt 2"
    assert caught.value.exit_status == 2


def test_an_unknown_condition_names_the_known_ones(model: LanguageModel, tokenizer: TextTokenizer) -> None:
    with pytest.raises(UsageError, match="direct, cot, noisy, synth"):
        generate(model, tokenizer, [Prompt("a", condition="fast")])


def test_conditions_change_the_prompt(model: LanguageModel, tokenizer: TextTokenizer) -> None:
    one, two = generate(model, tokenizer, [Prompt("a claim"), Prompt("a claim", condition="synth+cot")])
    assert two.n_prompt_tokens == one.n_prompt_tokens + 1


def test_no_prompts_give_no_answers(model: LanguageModel) -> None:
    assert generate_ids(model, [], end_id=3) == []


def test_control_marks_in_a_question_stay_text(model: LanguageModel, tokenizer: TextTokenizer) -> None:
    plain, marked = generate(model, tokenizer, [Prompt("a b"), Prompt("a <|im_end|> b")])
    assert marked.n_prompt_tokens > plain.n_prompt_tokens + 3


def test_sampling_repeats_and_near_zero_temperature_is_greedy(model: LanguageModel, tokenizer: TextTokenizer) -> None:
    prompts = [Prompt("a claim"), Prompt("a receipt is needed")]
    greedy = generate(model, tokenizer, prompts, limits=Limits(8))
    assert generate(model, tokenizer, prompts, limits=Limits(8), choose=Sampling(1e-4)) == greedy
    drawn = generate(model, tokenizer, prompts, limits=Limits(8), choose=Sampling(2.0, seed=1))
    assert drawn == generate(model, tokenizer, prompts, limits=Limits(8), choose=Sampling(2.0, seed=1))
    assert drawn != generate(model, tokenizer, prompts, limits=Limits(8), choose=Sampling(2.0, seed=2))


def test_sampling_follows_the_probabilities_inside_the_nucleus() -> None:
    probabilities = torch.tensor([0.05, 0.5, 0.15, 0.3])
    logits = probabilities.log().expand(4000, 4)
    drawn = Sampling(top_p=0.9)(logits, range(4000), 0)
    shares = torch.bincount(drawn, minlength=4) / 4000
    expected = torch.tensor([0.0, 0.5, 0.15, 0.3]) / 0.95
    assert torch.allclose(shares, expected, atol=0.03)


def test_top_k_draws_from_the_likeliest_only() -> None:
    logits = torch.tensor([0.05, 0.5, 0.15, 0.3]).log().expand(400, 4)
    assert set(Sampling(top_k=2)(logits, range(400), 0).tolist()) == {1, 3}
    assert set(Sampling(top_k=1)(logits, range(400), 0).tolist()) == {1}
    assert set(Sampling(top_k=9)(logits, range(400), 0).tolist()) == {0, 1, 2, 3}


def test_tokens_are_told_as_they_come(model: LanguageModel) -> None:
    told: list[tuple[int, int]] = []
    prefixes = [[9] * 10, [10] * 30, [11] * 20]
    answers = generate_ids(model, prefixes, end_id=-1, limits=Limits(4), on_token=lambda *one: told.append(one))
    assert [[token for row, token in told if row == i] for i in range(3)] == answers
    assert [row for row, _ in told[:3]] == [1, 2, 0]


def test_half_a_letter_is_not_shown(tokenizer: TextTokenizer) -> None:
    text = "Große Beträge 😀 – 10.000 €"
    stream = TextStream(tokenizer)
    pieces = [stream.add(token) for token in tokenizer.encode(text)]
    assert "".join(pieces) + stream.rest(text) == text
    assert not any("\ufffd" in piece for piece in pieces) and "" in pieces
