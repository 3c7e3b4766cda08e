"""A folder that `transformers` loads is asked as it is; one that brings code along is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rule_pairs import rule_pair, train_pairs
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from hrmbuild.errors import InputError
from hrmbuild.evaluation.foreign_model import ForeignModel
from hrmbuild.tokens.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Llama with random weights."""
    place = tmp_path_factory.mktemp("llama")
    texts = [text for pair in train_pairs() for text in (pair.instruction, pair.response)]
    tokenizer = Tokenizer.from_str(train_tokenizer(texts, vocab_size=400).decode("utf-8"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|box_end|>").save_pretrained(place)
    config = LlamaConfig(vocab_size=512, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
                         num_attention_heads=2, max_position_embeddings=300)  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(place)
    return place


def test_it_answers_in_order_and_what_does_not_fit_is_none(folder: Path) -> None:
    model = ForeignModel(folder)
    long = rule_pair(7).model_copy(update={"instruction": "The claim is 7 EUR. " * 60})
    told: list[int] = []
    said = model.answer([rule_pair(5), long, rule_pair(600)], told.append)
    assert said[1] is None and isinstance(said[0], str) and isinstance(said[2], str)
    assert said == model.answer([rule_pair(5), long, rule_pair(600)], told.append)
    assert sum(told) == 4 and model.parameters > 1000


def test_a_folder_that_wants_its_own_code_run_is_refused(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "own-code"
    place.mkdir()
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (place / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModelForCausalLM": "m.Model"}}))
    (place / "m.py").write_text("raise SystemExit('this was run')\n")
    with pytest.raises(InputError) as caught:
        ForeignModel(place)
    assert caught.value.code == "eval.against_code"


def test_a_folder_that_is_no_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError) as caught:
        ForeignModel(tmp_path)
    assert caught.value.code == "eval.against_unreadable"
