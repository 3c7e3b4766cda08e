"""Baselines, slices and the whole table, on a rule set whose answers are plain."""

from __future__ import annotations

import pytest
import torch
from rule_pairs import OUTCOMES, rule_pair, train_pairs

from hrmbuild.config.model import ModelConfig
from hrmbuild.evaluation.abstention import abstention
from hrmbuild.evaluation.baselines import baselines_from
from hrmbuild.evaluation.clusters import cluster_of
from hrmbuild.evaluation.examples import examples_for_demo
from hrmbuild.evaluation.questions import drawn_pairs, without_shown_text
from hrmbuild.evaluation.scores import TEXT_REMOVED, Contender, DevScorer, evaluate
from hrmbuild.evaluation.tallies import HEADINGS, MODEL, Tally, tally
from hrmbuild.model import build_model
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.layout import build_layout
from hrmbuild.records.pair import Answer
from hrmbuild.tokens.encode import encode_pair
from hrmbuild.tokens.tokenizer import TextTokenizer, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    texts = [text for pair in train_pairs() for text in (pair.instruction, pair.response)]
    return TextTokenizer(train_tokenizer(texts, vocab_size=400))


@pytest.fixture(scope="module")
def model(tokenizer: TextTokenizer) -> LanguageModel:
    """Trained for a moment with a plain optimizer: it has learnt to say one of the outcomes."""
    config = ModelConfig(vocab_size=512, hidden_size=32, n_heads=2, head_dim=16, layers_per_stack=1, context_tokens=160)
    built = build_model(config)
    built.init_weights(1)
    optimizer = torch.optim.Adam(built.parameters(), 3e-3)
    pairs = [encode_pair(tokenizer, "direct", instruction=p.instruction, response=p.response) for p in train_pairs()]
    for step in range(40):
        batch = pairs[step % 4 :: 4]
        layout = build_layout([len(p.prefix_ids) for p in batch], [len(p.response_ids) - 1 for p in batch])
        tokens = torch.tensor([t for p in batch for t in [*p.prefix_ids, *p.response_ids[:-1]]])
        labels = torch.tensor([t for p in batch for t in [*p.prefix_ids, *p.response_ids][1:]])
        loss = built(tokens, labels, layout, 5)
        optimizer.zero_grad()
        (loss.loss_sum / loss.n_tokens).backward()
        optimizer.step()
    return built.eval().requires_grad_(False)


HELD_OUT = [
    *(rule_pair(amount, split="test", axis="cell") for amount in range(9, 800, 40)),
    *(rule_pair(amount, limit=90, split="test", axis="variant", variant="claims/v001") for amount in range(9, 400, 40)),
]


def test_each_baseline_answers_as_it_must() -> None:
    baselines = baselines_from(train_pairs())
    assert {baselines["majority"](pair) for pair in HELD_OUT} == {"approved"}
    written = [pair for pair in HELD_OUT if pair.axis == "cell"]
    assert all(baselines["tree"](pair) == pair.answer.value for pair in written)
    assert baselines["nearest"](rule_pair(740, split="test")) == "rejected"


def test_a_tree_knows_nothing_of_variants_and_of_pairs_without_facts() -> None:
    trees = baselines_from([*train_pairs(), rule_pair(700, limit=900, variant="claims/v9")])["tree"]
    assert trees(rule_pair(700, limit=900, variant="claims/v8")) == "rejected"
    bare = rule_pair(5)
    occurrence = bare.occurrences[0].model_copy(update={"inputs": None})
    assert trees(bare.model_copy(update={"occurrences": (occurrence,)})) is None


def test_baselines_without_training_pairs_have_nothing_to_say() -> None:
    assert [baseline(HELD_OUT[0]) for baseline in baselines_from([]).values()] == [None, None, None]


def test_the_shown_text_is_cut_out_and_the_case_stays() -> None:
    cut = without_shown_text(HELD_OUT[0])
    assert cut is not None and "R1." not in cut and "The claim is 9 EUR. What is decided?" in cut
    other = HELD_OUT[0].model_copy(update={"instruction": "Nothing is shown."})
    assert without_shown_text(other) is None


def test_every_pair_counts_in_each_heading_once(model: LanguageModel, tokenizer: TextTokenizer) -> None:
    evaluation = evaluate(model, tokenizer, HELD_OUT, baselines=baselines_from(train_pairs()))
    for heading in HEADINGS:
        assert sum(s.columns[MODEL].n for s in evaluation.slices if s.heading == heading) == len(HELD_OUT)
    names = {s.name for s in evaluation.slices if s.heading == "rules"}
    assert names == {"outcome: new facts, as written", "outcome: new variant"}
    assert evaluation.overall.columns.keys() == {MODEL, "majority", "nearest", "tree", TEXT_REMOVED}
    majority = evaluation.overall.columns["majority"]
    assert majority.n_right == sum(pair.answer.value == "approved" for pair in HELD_OUT)
    assert evaluation.n_too_long == 0
    assert all(one.response.startswith(OUTCOMES) for one in evaluation.answered)
    mean, low, high = evaluation.mean_f1()
    assert low <= mean <= high


def test_a_prompt_over_the_context_counts_as_wrong(model: LanguageModel, tokenizer: TextTokenizer) -> None:
    long = HELD_OUT[0].model_copy(update={"instruction": HELD_OUT[0].instruction + " EUR" * 300})
    evaluation = evaluate(model, tokenizer, [HELD_OUT[1], long], baselines={})
    assert evaluation.n_too_long == 1
    assert evaluation.answered[1].response == "" and not evaluation.answered[1].exact
    assert evaluation.overall.columns[MODEL].n == 2


def test_training_gets_the_same_score_at_every_call(model: LanguageModel, tokenizer: TextTokenizer) -> None:
    scorer = DevScorer(HELD_OUT, tokenizer, n=8, seed=0)
    first = scorer(model, 10)
    assert first["n"] == 8 and 0 <= first["exact"] <= 1
    assert scorer(model, 20) == first
    assert DevScorer([], tokenizer, n=8, seed=0)(model, 1) == {"exact": 0.0, "n": 0.0}


def test_a_draw_takes_the_axes_in_turn_and_does_not_hang_on_order() -> None:
    drawn = drawn_pairs(HELD_OUT, n=8, seed=0)
    assert sum(pair.axis == "variant" for pair in drawn) == 4
    assert drawn == drawn_pairs(HELD_OUT[::-1], n=8, seed=0)
    assert drawn != drawn_pairs(HELD_OUT, n=8, seed=1)
    assert len(drawn_pairs(HELD_OUT, n=999, seed=0)) == len(HELD_OUT)


def test_examples_are_drawn_and_show_the_expected_answer(model: LanguageModel, tokenizer: TextTokenizer) -> None:
    evaluation = evaluate(model, tokenizer, HELD_OUT, baselines={})
    examples = examples_for_demo(evaluation.answered, 3, seed=0)
    assert len(examples) == 3
    assert all("What is decided?" in one.instruction and one.expected.startswith(OUTCOMES) for one in examples)
    assert {one.axis for one in examples} == {"cell", "variant"}


def test_the_model_beats_or_loses_to_a_column_only_beyond_the_interval_of_the_difference() -> None:
    pairs = [rule_pair(amount, axis="cell", split="test") for amount in range(100)]
    ours = [i < 70 for i in range(100)]
    columns = {
        "behind": [i < 55 for i in range(100)],
        "elsewhere": [i >= 33 for i in range(100)],
        "ahead": [i < 90 for i in range(100)],
    }
    (all_pairs, *_) = tally(pairs, {MODEL: ours, **columns})
    assert [name for name in columns if all_pairs.beats(name)] == ["behind"]
    assert [name for name in columns if all_pairs.loses_to(name)] == ["ahead"]
    assert Tally(0, 0).exact == 0.0


def test_variants_are_one_cluster_each_and_cases_as_written_stand_alone() -> None:
    keys = [cluster_of(pair) for pair in HELD_OUT]
    assert len(set(keys[:20])) == 20 and set(keys[20:]) == {"variant claims/v001"}
    assert cluster_of(rule_pair(5, split="test", axis="document")) == "rules claims"
    imported = rule_pair(5).model_copy(update={"derivation": "imported"})
    assert cluster_of(imported) == f"row {imported.content_key}"
    row = tally(HELD_OUT, {MODEL: [True] * len(HELD_OUT)})[0].columns[MODEL]
    assert (row.n, row.n_clusters) == (30, 21)


def test_another_model_is_asked_the_same_and_its_time_is_kept(model: LanguageModel, tokenizer: TextTokenizer) -> None:
    echo = Contender("echo", lambda pairs, advance: [pair.answer.value for pair in pairs[1:]] + [None])
    evaluation = evaluate(model, tokenizer, HELD_OUT[:5], baselines={}, against=[echo])
    assert evaluation.overall.columns["echo"] == Tally(5, 4, 5, evaluation.overall.columns["echo"].interval)
    assert evaluation.too_long == {"echo": 1} and evaluation.seconds.keys() == {MODEL, "echo"}


def test_declining_is_counted_where_it_should_be_and_where_it_should_not() -> None:
    absent = Answer(type="absent", value="not stated")
    pairs = [rule_pair(5).model_copy(update={"answer": absent})] * 2 + [rule_pair(5)] * 3
    said = ["Not stated: the text does not say.", "approved.", "approved.", "cannot be decided without days", ""]
    found = abstention(pairs, said)
    assert (found.declined, found.n_absent, found.declined_wrongly, found.n_answerable) == (1, 2, 1, 3)
    assert (found.recall, found.precision) == (0.5, 0.5)
