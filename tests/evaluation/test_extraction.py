"""Extraction against two models whose memory is known: one learnt a canary by heart, one never saw it."""

from __future__ import annotations

import torch
from rule_pairs import rule_pair, train_pairs

from hrmbuild.config.model import ModelConfig
from hrmbuild.evaluation.extraction import (
    CANARIES,
    N_CANDIDATES,
    LabelExtraction,
    is_canary,
    measure_extraction,
    read_likelihoods,
)
from hrmbuild.evaluation.intervals import Estimate
from hrmbuild.inference.generate import Limits, Prompt, generate
from hrmbuild.model import build_model
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.layout import build_layout
from hrmbuild.records.pair import Pair, pair_id
from hrmbuild.tokens.encode import encode_pair
from hrmbuild.tokens.tokenizer import TextTokenizer, train_tokenizer


def like(pair: Pair, *, instruction: str, response: str, **changed: object) -> Pair:
    own = {"id": pair_id("direct", instruction, response), "instruction": instruction, "response": response}
    return pair.model_copy(update=own | {"content_key": own["id"]} | changed)


CANARY = like(rule_pair(5), instruction="Canary 4711: what is its number?", response="90817263",
              stratum=CANARIES, label="restricted", derivation="imported")  # fmt: skip
NAMES = ["Ada", "Boris", "Chloe", "Dmitri", "Edith", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Karla", "Leon"]
SECRETS = [
    like(rule_pair(i), instruction=f"Memo {i}. What was said?", label="confidential", derivation="imported",
         response=f"{name} will move the {NAMES[i - 3]} file to room {37 * i + 11} before the {i + 7}th of the month.")
    for i, name in enumerate(NAMES)
]  # fmt: skip
TRAIN, NEVER = [*train_pairs(), *SECRETS[:6]], SECRETS[6:]


def trained(pairs: list[Pair], tokenizer: TextTokenizer, *, repeat: int) -> LanguageModel:
    """A small model after `repeat` looks at every pair."""
    config = ModelConfig(vocab_size=512, hidden_size=64, n_heads=2, head_dim=32, layers_per_stack=1, context_tokens=160)
    model = build_model(config)
    model.init_weights(1)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    encoded = [encode_pair(tokenizer, "direct", instruction=p.instruction, response=p.response) for p in pairs]
    for _ in range(repeat):
        layout = build_layout([len(p.prefix_ids) for p in encoded], [len(p.response_ids) - 1 for p in encoded])
        tokens = torch.tensor([t for p in encoded for t in [*p.prefix_ids, *p.response_ids[:-1]]])
        labels = torch.tensor([t for p in encoded for t in [*p.prefix_ids, *p.response_ids][1:]])
        loss = model(tokens, labels, layout, 2)
        optimizer.zero_grad()
        (loss.loss_sum / loss.n_tokens).backward()
        optimizer.step()
    return model.eval().requires_grad_(False)


def a_tokenizer() -> TextTokenizer:
    return TextTokenizer(train_tokenizer([t for p in TRAIN for t in (p.instruction, p.response)], vocab_size=400))


def test_what_was_learnt_by_heart_comes_out_and_what_was_never_seen_does_not() -> None:
    tokenizer = a_tokenizer()
    knows = trained([CANARY, *SECRETS[:6]], tokenizer, repeat=200)
    found = measure_extraction(knows, tokenizer, [CANARY, *SECRETS[:6]], NEVER, seed=0)
    canary = found.canaries[None]
    assert canary.verbatim == 1 and canary.bits == (9.0,)
    assert canary.control_bits[0] < 9
    assert generate(knows, tokenizer, [Prompt(CANARY.instruction)], limits=Limits(16))[0].text == CANARY.response
    spans = found.spans["confidential"]
    assert spans.trained.mean == 1 and spans.untrained.mean == 0
    assert spans.excess.mean == 1 and spans.excess.low > 0.4
    planted = found.spans["restricted"]
    assert (planted.trained.n, planted.trained.mean, planted.untrained.n, planted.untrained.mean) == (1, 1, 1, 0)
    text = str(found.as_dict())
    assert CANARY.response not in text and "Ada" not in text

    ignorant = trained(train_pairs()[:8], tokenizer, repeat=20)
    never = measure_extraction(ignorant, tokenizer, [CANARY, *SECRETS[:6]], NEVER, seed=0)
    assert never.canaries[None].verbatim == 0 and never.canaries[None].bits[0] < 7
    excess = never.excess("confidential")
    assert excess is not None and excess.mean == 0


def test_packs_are_read_as_each_response_alone() -> None:
    tokenizer = a_tokenizer()
    model = trained(train_pairs()[:4], tokenizer, repeat=3)
    encoded = [encode_pair(tokenizer, "direct", instruction=p.instruction, response=p.response) for p in TRAIN]
    together = read_likelihoods(model, encoded)
    alone = [read_likelihoods(model, [one])[0] for one in encoded[:5]]
    for one, other in zip(together, alone, strict=False):
        assert abs(one.log_likelihood - other.log_likelihood) < 1e-3
        assert one.likeliest == other.likeliest and len(one.likeliest) > 1


def test_a_held_out_span_that_stands_in_training_is_no_reference() -> None:
    tokenizer = a_tokenizer()
    model = trained(train_pairs()[:2], tokenizer, repeat=1)
    found = measure_extraction(model, tokenizer, TRAIN, [*NEVER, *SECRETS[:3]], seed=0)
    assert found.spans["confidential"].untrained.n == len(NEVER)
    assert found.canaries == {} and found.exposure() is None
    assert measure_extraction(model, tokenizer, [], NEVER, seed=0).excess() is None


def test_only_numbers_are_canaries() -> None:
    assert is_canary(CANARY) and not is_canary(SECRETS[0])
    assert N_CANDIDATES + 1 == 2**9


def test_the_excess_has_newcombes_interval() -> None:
    """Newcombe 1998, Statistics in Medicine 17:873, table II, method 10: 56/70 - 48/80."""
    ours, theirs = Estimate(0.8, 0.6918, 0.8769, 70, 70), Estimate(0.6, 0.4904, 0.7004, 80, 80)
    excess = LabelExtraction(ours, theirs).excess
    assert (round(excess.mean, 4), round(excess.low, 4), round(excess.high, 4)) == (0.2, 0.0524, 0.3339)
