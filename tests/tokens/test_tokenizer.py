"""Tokenizer, control tokens and the frame of a sequence."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrmbuild.errors import InputError
from hrmbuild.tokens.control import CONTROL_IDS, CONTROL_TOKENS, condition_ids
from hrmbuild.tokens.encode import EncodedPair, encode_batch, encode_pair, encode_prompt
from hrmbuild.tokens.tokenizer import TextTokenizer, load_tokenizer, train_tokenizer
from hrmbuild.tokens.vocabulary import default_vocab_size, distinct_bytes, largest_vocab_for, vocab_size_for

TEXTS = [f"Rule {i}: above {i * 37} EUR a receipt is needed. Größe: {i}.\nCase {i % 7}: approved." for i in range(200)]


@cache
def trained() -> TextTokenizer:
    return TextTokenizer(train_tokenizer(TEXTS, vocab_size=1024))


def test_control_tokens_have_the_lowest_ids_in_the_written_order() -> None:
    assert CONTROL_TOKENS == (
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<|box_end|>",
        "<|object_ref_start|>",
        "<|object_ref_end|>",
        "<|quad_start|>",
        "<|quad_end|>",
    )
    assert trained().control_ids == CONTROL_IDS == {token: i for i, token in enumerate(CONTROL_TOKENS)}


def test_the_order_of_the_texts_does_not_change_the_tokenizer() -> None:
    assert train_tokenizer(TEXTS, vocab_size=512) == train_tokenizer(reversed(TEXTS), vocab_size=512)


def test_threads_and_hash_seed_do_not_change_the_tokenizer() -> None:
    program = (
        "import hashlib; from hrmbuild.tokens.tokenizer import train_tokenizer;"
        "texts = [f'Rule {i % 13}: above {i} EUR a receipt is needed by role {i % 5}' for i in range(500)];"
        "print(hashlib.sha256(train_tokenizer(texts, vocab_size=400)).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": seed, "PATH": "", "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads, seed in (("1", "1"), ("2", "2"))
    }
    assert len(digests) == 1


@given(st.text())
@settings(max_examples=60, deadline=None)
def test_decoding_gives_back_the_text_in_nfc(text: str) -> None:
    assert trained().decode(trained().encode(text)) == unicodedata.normalize("NFC", text)


@given(st.lists(st.sampled_from([*CONTROL_TOKENS, "a", " ", "1", "é"])).map("".join))
@settings(max_examples=60, deadline=None)
def test_text_that_spells_a_control_token_stays_text(text: str) -> None:
    assert all(token >= len(CONTROL_TOKENS) for token in trained().encode(text))


def test_digits_stand_alone() -> None:
    tokens = [trained().decode([token]) for token in trained().encode("above 3700 EUR")]
    assert [token for token in tokens if any(map(str.isdigit, token))] == ["3", "7", "0", "0"]


def test_a_batch_encodes_as_each_text_does() -> None:
    assert trained().encode_batch(TEXTS[:20]) == [trained().encode(text) for text in TEXTS[:20]]


def test_a_sequence_is_framed_by_its_condition() -> None:
    pair = encode_pair(trained(), "synth+cot", instruction="Case 3", response="approved.")
    content = trained().encode("Case 3")
    assert pair.prefix_ids == [1, 7, 5, *content, 2] == encode_prompt(trained(), "synth+cot", instruction="Case 3")
    assert pair.response_ids == [*trained().encode("approved."), 3]
    assert (pair.n_instruction_tokens, pair.n_response_tokens) == (len(content), len(pair.response_ids) - 1)


def test_a_batch_of_pairs_encodes_as_each_pair_does() -> None:
    conditions = ["direct", "cot", "synth+cot"]
    texts = [(conditions[i % 3], text, text[: i % 40 + 1]) for i, text in enumerate(TEXTS)]
    batch = encode_batch(trained(), texts)
    pairs = [encode_pair(trained(), c, instruction=i, response=r) for c, i, r in texts]
    assert batch.token_ids.tolist() == [token for pair in pairs for token in pair.prefix_ids + pair.response_ids]
    assert batch.lengths.tolist() == [[len(pair.prefix_ids), len(pair.response_ids)] for pair in pairs]


def test_a_response_without_content_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one content token"):
        EncodedPair([1, 4, 2], [3])


def test_an_unknown_condition_is_named_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="unknown condition 'cto'; the conditions are direct, cot, noisy, synth"):
        condition_ids("direct+cto")


def test_a_broken_tokenizer_file_is_named(tmp_path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(b"{}")
    with pytest.raises(InputError) as caught:
        load_tokenizer(path)
    assert (caught.value.code, caught.value.where) == ("tokens.tokenizer_unreadable", str(path))


def test_a_tokenizer_with_other_control_ids_is_refused(tmp_path) -> None:
    data = train_tokenizer(TEXTS, vocab_size=300).replace(b"<|im_end|>", b"<|im_fin|>")
    with pytest.raises(InputError) as caught:
        TextTokenizer(data)
    assert caught.value.code == "tokens.control_ids" and "<|im_end|>" in caught.value.what


@pytest.mark.parametrize(
    ("n_bytes", "entries"),
    [(0, 1024), (65_536, 1024), (65_537, 1280), (1_000_000, 15_872), (4_194_304, 65_536), (10**10, 65_536)],
)
def test_the_vocabulary_grows_with_the_text(n_bytes: int, entries: int) -> None:
    assert default_vocab_size(n_bytes) == entries


def test_lines_that_differ_in_digits_only_count_once() -> None:
    assert distinct_bytes(f"fare {i} EUR\nclient pays" for i in range(100, 1000)) == len("fare 000 EUR\nclient pays\n")


def test_counting_stops_at_enough() -> None:
    def endless():
        number = 0
        while True:
            number += 1
            yield f"line {bytes([97 + number % 26]) * (number % 50)!r}" + "x" * number

    assert distinct_bytes(endless(), enough=5000) == 5000


def test_small_presets_bound_the_vocabulary_and_the_papers_do_not() -> None:
    bounds = {preset: largest_vocab_for(preset) for preset in ("nano", "tiny", "small", "B", "XL")}
    assert bounds == {"nano": 4096, "tiny": 8192, "small": 16384, "B": 65536, "XL": 65536}
    assert vocab_size_for(TEXTS, preset="nano") == 1024
