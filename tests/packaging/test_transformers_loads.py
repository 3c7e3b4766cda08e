"""`transformers` as the judge: the folder loads without a key too many or too few, and answers as we do."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from hrmbuild.fingerprint import draw_below, draw_one
from hrmbuild.inference.generate import Limits, Prompt, encode, generate
from hrmbuild.inference.load import LoadedModel, load_package
from hrmbuild.packaging.probe import answer_logits

N_PROMPTS = 50
NEW_TOKENS = 12


@pytest.fixture(scope="module")
def ours(written_package: Path) -> LoadedModel:
    return load_package(written_package)


@pytest.fixture(scope="module")
def theirs(written_package: Path):
    model, info = AutoModelForCausalLM.from_pretrained(written_package, dtype="float32", output_loading_info=True)
    assert {key: value for key, value in info.items() if value} == {}
    return model.eval()


@pytest.fixture(scope="module")
def tokenizer(written_package: Path):
    return AutoTokenizer.from_pretrained(written_package)


@pytest.fixture(scope="module")
def questions() -> list[str]:
    """Drawn word lists of different lengths, some beyond ASCII."""
    words = ["A", "claim", "above", "500", "EUR", "needs", "a", "receipt", "Große", "Beträge", "über", "10.000"]
    words += ["€", "naïve", "中文", "e\u0301"]
    return [
        " ".join(draw_one(words, "words", i, str(j)) for j in range(1 + draw_below(20, "length", i, "")))
        for i in range(N_PROMPTS)
    ]


def test_logits_equal_within_1e_4_at_every_prompt_position(ours: LoadedModel, theirs, tokenizer, questions) -> None:
    for question in questions:
        batch = tokenizer(question, return_tensors="pt")
        with torch.inference_mode():
            logits = theirs(**batch).logits[0, -1]
        expected = answer_logits(ours.model, encode(ours.tokenizer, Prompt(question)), [0])[0]
        assert (logits - expected).abs().max() < 1e-4


def test_plain_tokenizer_and_generate_give_our_greedy_answers(ours, theirs, tokenizer, questions) -> None:
    batch = tokenizer(questions, return_tensors="pt", padding=True)
    expected = generate(ours.model, ours.tokenizer, [Prompt(q) for q in questions], limits=Limits(NEW_TOKENS))
    assert _answers(theirs, tokenizer, batch) == [answer.text for answer in expected]


@pytest.mark.parametrize("condition", ["direct", "synth+cot"])
def test_the_chat_template_gives_our_greedy_answers(ours, theirs, tokenizer, questions, condition) -> None:
    chats = [[{"role": "user", "content": question}] for question in questions]
    batch = tokenizer.apply_chat_template(
        chats, condition=condition, return_tensors="pt", return_dict=True, padding=True
    )
    prompts = [Prompt(question, condition) for question in questions]
    expected = generate(ours.model, ours.tokenizer, prompts, limits=Limits(NEW_TOKENS))
    assert _answers(theirs, tokenizer, batch) == [answer.text for answer in expected]


def _answers(model, tokenizer, batch) -> list[str]:
    with torch.inference_mode():
        tokens = model.generate(**batch, max_new_tokens=NEW_TOKENS)
    return tokenizer.batch_decode(tokens[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)


def test_plain_ids_equal_chat_ids_and_ours_for_clean_text(ours, tokenizer, questions) -> None:
    for question in questions:
        plain = tokenizer(question)
        chat = tokenizer.apply_chat_template([{"role": "user", "content": question}], return_dict=True)
        assert plain["input_ids"] == chat["input_ids"] == encode(ours.tokenizer, Prompt(question))
        assert set(plain["token_type_ids"]) == set(chat["token_type_ids"]) == {1}


def test_without_type_ids_the_prompt_would_be_causal(theirs, tokenizer, questions) -> None:
    batch = tokenizer(questions[0], return_tensors="pt")
    with torch.inference_mode():
        marked = theirs(**batch).logits[0, -1]
        bare = theirs(input_ids=batch["input_ids"]).logits[0, -1]
    assert (marked - bare).abs().max() > 1e-2


def test_marks_in_a_message_are_broken_up(tokenizer) -> None:
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": "a <|im_end|> b"}], return_dict=True
    )["input_ids"]  # fmt: skip
    assert chat.count(2) == 1 and chat[-1] == 2


@pytest.mark.parametrize(
    ("messages", "options"),
    [
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], {}),
        ([{"role": "system", "content": "a"}], {}),
        ([{"role": "user", "content": "a"}], {"condition": "fast"}),
    ],
)
def test_the_chat_template_refuses_what_was_never_trained(tokenizer, messages, options) -> None:
    with pytest.raises(Exception, match=r"exactly one user message|unknown condition fast"):
        tokenizer.apply_chat_template(messages, **options)


def test_loading_and_generating_warns_of_nothing(
    written_package: Path, caplog: pytest.LogCaptureFixture, questions: list[str]
) -> None:
    root = logging.getLogger("transformers")
    root.addHandler(caplog.handler)
    try:
        model = AutoModelForCausalLM.from_pretrained(written_package)
        tokenizer = AutoTokenizer.from_pretrained(written_package)
        _answers(model, tokenizer, tokenizer(questions[:3], return_tensors="pt", padding=True))
    finally:
        root.removeHandler(caplog.handler)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
