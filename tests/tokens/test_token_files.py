"""Token files: what is written is what is mapped, and no altered byte passes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from token_rows import CONTENT_ROOT, SOURCES, make_rows, make_tokenizer

from hrmbuild.errors import InputError
from hrmbuild.fingerprint import hash_file
from hrmbuild.tokens.batch import build_batch, step_digest
from hrmbuild.tokens.encode import encode_pair
from hrmbuild.tokens.files import TokenData, TokenRow, open_token_files, write_token_files
from hrmbuild.tokens.tokenizer import TextTokenizer, load_tokenizer

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "token_files_1"


def write(folder: Path, rows: list[TokenRow], tokenizer: TextTokenizer) -> TokenData:
    splits = {"train": rows, "dev": rows[:3]}
    write_token_files(splits, tokenizer, content_root=CONTENT_ROOT, sources=SOURCES, folder=folder)
    return open_token_files(folder, content_root=CONTENT_ROOT, tokenizer_sha256=tokenizer.sha256)


def test_each_pair_is_mapped_as_it_is_encoded(tmp_path: Path) -> None:
    rows = make_rows(1500)
    tokenizer = make_tokenizer(rows)
    train = write(tmp_path / "tokens", rows, tokenizer).splits["train"]
    assert train.n_pairs == len(rows)
    for number in (0, 1, 1023, 1024, 1499):
        row = rows[number]
        pair = encode_pair(tokenizer, row.condition, instruction=row.instruction, response=row.response)
        start, prefix, response = train.starts[number], train.prefix_lengths[number], train.response_lengths[number]
        assert train.tokens[start : start + prefix].tolist() == pair.prefix_ids
        assert train.tokens[start + prefix : start + prefix + response].tolist() == pair.response_ids
        assert bytes(train.ids[number]).hex() == row.id
        assert sorted(SOURCES)[train.source_numbers[number]] == row.source_sha256


def test_an_empty_split_is_open_and_empty(tmp_path: Path) -> None:
    rows = make_rows(5)
    data = write(tmp_path / "tokens", rows, make_tokenizer(rows))
    assert [data.splits[split].n_pairs for split in ("train", "dev", "test")] == [5, 3, 0]


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    rows = make_rows(50)
    first = write(tmp_path / "a", rows, make_tokenizer(rows)).files
    assert first == write(tmp_path / "b", rows, make_tokenizer(rows)).files


@pytest.mark.parametrize("name", ["tokens.bin", "index.bin", "ids.bin", "sources.bin"])
def test_a_flipped_byte_in_any_file_is_found_and_the_file_named(tmp_path: Path, name: str) -> None:
    rows = make_rows(20)
    tokenizer = make_tokenizer(rows)
    write(tmp_path / "tokens", rows, tokenizer)
    path = tmp_path / "tokens" / "train" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        open_token_files(tmp_path / "tokens", content_root=CONTENT_ROOT, tokenizer_sha256=tokenizer.sha256)
    assert (caught.value.code, caught.value.where) == ("tokens.altered", str(path))


def test_files_of_another_corpus_are_refused(tmp_path: Path) -> None:
    rows = make_rows(5)
    tokenizer = make_tokenizer(rows)
    write(tmp_path / "tokens", rows, tokenizer)
    with pytest.raises(InputError, match="another corpus or tokenizer"):
        open_token_files(tmp_path / "tokens", content_root="0" * 64, tokenizer_sha256=tokenizer.sha256)


def test_labels_of_a_batch_decode_to_the_responses(tmp_path: Path) -> None:
    rows = make_rows(30)
    tokenizer = make_tokenizer(rows)
    train = write(tmp_path / "tokens", rows, tokenizer).splits["train"]
    chosen = np.array([3, 7, 29])
    batch = build_batch(train, chosen)
    start, responses = 0, []
    for prefix, response in zip(batch.prefix_lengths, batch.response_lengths, strict=True):
        responses.append(tokenizer.decode(batch.labels[start + prefix - 1 : start + prefix + response]))
        start += prefix + response
    assert responses == [rows[number].response for number in chosen]
    assert batch.n_tokens == start == train.slots[chosen].sum()
    assert batch.n_labels == train.response_lengths[chosen].sum()


def test_the_digest_of_a_step_follows_its_pairs_and_their_bins(tmp_path: Path) -> None:
    rows = make_rows(9)
    train = write(tmp_path / "tokens", rows, make_tokenizer(rows)).splits["train"]
    a, b, c = (np.array(pairs) for pairs in ([0, 1], [2], [1]))
    assert step_digest(train, [a, b]) == step_digest(train, [a.copy(), b.copy()])
    assert len({step_digest(train, bins) for bins in ([a, b], [b, a], [np.array([0, 1, 2])], [a, c])}) == 4


def test_golden_token_files_of_format_1_are_written_and_read_for_ever(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(GOLDEN / "tokenizer.json")
    rows = [TokenRow(*fields) for fields in json.loads((GOLDEN / "rows.json").read_text())]
    stored = open_token_files(GOLDEN / "files", content_root=CONTENT_ROOT, tokenizer_sha256=tokenizer.sha256)
    assert write(tmp_path / "tokens", rows, tokenizer).files == stored.files
    assert hash_file(tmp_path / "tokens" / "token-files.json") == hash_file(GOLDEN / "files" / "token-files.json")
