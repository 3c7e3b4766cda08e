"""Token files: written once from a frozen corpus, memory-mapped by training. Format: see `records.token_files`.

Owns writing, opening and checking. Pairs stream through in batches: neither the corpus nor its ids are ever in memory
as a whole, apart from three numbers a pair when a folder is open. It must not decide which pairs are trained on.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from hrmbuild.errors import InputError
from hrmbuild.files import disk_errors, rename_folder, write_atomic
from hrmbuild.fingerprint import hash_file, strict_json
from hrmbuild.records.pair import SPLITS, Split
from hrmbuild.records.token_files import TokenFileName, TokenFiles, TokenSplit
from hrmbuild.tokens.encode import EncodedBatch
from hrmbuild.tokens.encode_stream import encode_stream
from hrmbuild.tokens.tokenizer import TextTokenizer

STATE_NAME = "token-files.json"
_NAMES: tuple[TokenFileName, ...] = ("tokens.bin", "index.bin", "ids.bin", "sources.bin")


class TokenRow(NamedTuple):
    """What a pair brings: its id and its first source as hex digits, and its texts."""

    id: str
    source_sha256: str
    condition: str
    instruction: str
    response: str


def folder_name(content_root: str, tokenizer_sha256: str) -> str:
    """Name of the folder: twelve digits of each hash."""
    return f"{content_root[:12]}-{tokenizer_sha256[:12]}"


def write_token_files(
    rows: Mapping[Split, Iterable[TokenRow]],
    tokenizer: TextTokenizer,
    *,
    content_root: str,
    sources: Iterable[str],
    folder: Path,
    on_pairs: Callable[[int], None] = lambda n: None,
) -> TokenFiles:
    """Encode every split into `folder`, which is complete or absent.

    Args:
        rows: for each split its pairs ordered by id; consumed once.
        sources: hashes of all source files.
        on_pairs: told how many more pairs are encoded.

    Raises:
        InputError: the disk is full or not writable.
    """
    incomplete = folder.with_name(f".{folder.name}.incomplete")
    numbers = {sha256: number for number, sha256 in enumerate(sorted(set(sources)))}
    dtype = "uint16" if tokenizer.vocab_size <= 1 << 16 else "uint32"
    with disk_errors(folder):
        shutil.rmtree(incomplete, ignore_errors=True)
        splits: dict[Split, TokenSplit] = {}
        for split in SPLITS:
            (incomplete / split).mkdir(parents=True)
            with _SplitWriter(incomplete / split, dtype=dtype, source_numbers=numbers) as writer:
                for batch, encoded in encode_stream(tokenizer, rows.get(split, ()), texts=_texts):
                    writer.append(batch, encoded)
                    on_pairs(len(batch))
            splits[split] = writer.finished()
    files = TokenFiles(
        content_root=content_root,
        tokenizer_sha256=tokenizer.sha256,
        dtype=dtype,
        vocab_size=tokenizer.vocab_size,
        sources=tuple(numbers),
        splits=splits,
    )
    write_atomic(incomplete / STATE_NAME, files.canonical_bytes())
    _replace(incomplete, folder)
    return files


def _texts(row: TokenRow) -> tuple[str, str, str]:
    return row.condition, row.instruction, row.response


def _replace(incomplete: Path, folder: Path) -> None:
    with disk_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)
    rename_folder(incomplete, folder)


class _SplitWriter:
    """Appends batches to a split's four files and hashes what it writes."""

    def __init__(self, folder: Path, *, dtype: str, source_numbers: dict[str, int]) -> None:
        self._dtype, self._source_numbers = np.dtype(dtype).newbyteorder("<"), source_numbers
        self._files = {name: (folder / name).open("wb") for name in _NAMES}
        self._digests = {name: hashlib.sha256() for name in _NAMES}
        self._n_pairs, self._n_tokens = 0, 0

    def __enter__(self) -> _SplitWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        for file in self._files.values():
            file.close()

    def append(self, rows: list[TokenRow], encoded: EncodedBatch) -> None:
        """One batch, in the order of the ids."""
        ends = self._n_tokens + encoded.lengths.sum(axis=1).cumsum()
        starts = np.concatenate(([self._n_tokens], ends[:-1]))
        self._write("tokens.bin", encoded.token_ids.astype(self._dtype).tobytes())
        self._write("index.bin", np.column_stack((starts, encoded.lengths)).astype("<i8").tobytes())
        self._write("ids.bin", bytes.fromhex("".join(row.id for row in rows)))
        numbers = [self._source_numbers[row.source_sha256] for row in rows]
        self._write("sources.bin", np.array(numbers, dtype="<u4").tobytes())
        self._n_pairs += len(rows)
        self._n_tokens = int(ends[-1])

    def _write(self, name: TokenFileName, data: bytes) -> None:
        self._files[name].write(data)
        self._digests[name].update(data)

    def finished(self) -> TokenSplit:
        """Counts and hashes of what was written."""
        digests: dict[TokenFileName, str] = {name: self._digests[name].hexdigest() for name in _NAMES}
        return TokenSplit(n_pairs=self._n_pairs, n_tokens=self._n_tokens, sha256=digests)


@dataclass(frozen=True)
class SplitTokens:
    """One split, memory-mapped; pairs are numbered in the order of their ids."""

    tokens: NDArray[Any]
    """[n_tokens] uint16 or uint32."""
    starts: NDArray[np.int64]
    """[n_pairs] offset of the first token."""
    prefix_lengths: NDArray[np.int64]
    """[n_pairs] tokens of the prefix."""
    response_lengths: NDArray[np.int64]
    """[n_pairs] tokens of the response with its end token: the labels."""
    ids: NDArray[np.uint8]
    """[n_pairs, 32]."""
    source_numbers: NDArray[np.uint32]
    """[n_pairs] number of the pair's first source."""

    @property
    def n_pairs(self) -> int:
        """Pairs."""
        return len(self.starts)

    @property
    def slots(self) -> NDArray[np.int64]:
        """[n_pairs] tokens that the model reads: the last label is no input."""
        return self.prefix_lengths + self.response_lengths - 1


@dataclass(frozen=True)
class TokenData:
    """An open folder."""

    files: TokenFiles
    splits: dict[Split, SplitTokens]


def open_token_files(folder: Path, *, content_root: str, tokenizer_sha256: str) -> TokenData:
    """Map a folder after comparing every byte of it with its hashes.

    Raises:
        InputError: `tokens.altered`: missing, torn, altered, or made from another corpus or tokenizer.
    """
    files = _read_state(folder)
    if (files.content_root, files.tokenizer_sha256) != (content_root, tokenizer_sha256):
        raise _altered(folder / STATE_NAME, "these token files belong to another corpus or tokenizer")
    if set(files.splits) != set(SPLITS) or any(set(one.sha256) != set(_NAMES) for one in files.splits.values()):
        raise _altered(folder / STATE_NAME, "it does not list every file of every split")
    splits: dict[Split, SplitTokens] = {}
    for name, split in files.splits.items():
        for file_name, expected in split.sha256.items():
            _check_file(folder / name / file_name, expected)
        try:
            splits[name] = _map_split(folder / name, files, split=split)
        except ValueError as error:  # numpy's word for a file that holds no whole number of entries
            raise _altered(folder / name, "its files hold no whole number of entries") from error
    return TokenData(files, splits)


def _read_state(folder: Path) -> TokenFiles:
    path = folder / STATE_NAME
    try:
        return TokenFiles.model_validate(strict_json(path.read_bytes()))
    except OSError as error:
        raise _altered(path, f"cannot read it: {error.strerror}") from error
    except (ValueError, ValidationError) as error:
        raise _altered(path, "it is no token-files.json of format 1") from error


def _check_file(path: Path, expected: str) -> None:
    if not path.is_file():
        raise _altered(path, "the file is missing")
    if hash_file(path) != expected:
        raise _altered(path, "its bytes are not those that were written")


def _altered(path: Path, what: str) -> InputError:
    return InputError(
        "tokens.altered", what, where=str(path), fix="delete the folder: train writes it again from the manifest"
    )


def _map_split(folder: Path, files: TokenFiles, *, split: TokenSplit) -> SplitTokens:
    index = _map(folder / "index.bin", "<i8").reshape(-1, 3)
    tokens = _map(folder / "tokens.bin", np.dtype(files.dtype).newbyteorder("<"))
    mapped = SplitTokens(
        tokens=tokens,
        starts=np.ascontiguousarray(index[:, 0]),
        prefix_lengths=np.ascontiguousarray(index[:, 1]),
        response_lengths=np.ascontiguousarray(index[:, 2]),
        ids=_map(folder / "ids.bin", "u1").reshape(-1, 32),
        source_numbers=_map(folder / "sources.bin", "<u4"),
    )
    counts = {len(mapped.ids), len(mapped.source_numbers), mapped.n_pairs, split.n_pairs}
    ends = mapped.starts + mapped.prefix_lengths + mapped.response_lengths
    inside = bool((index >= 0).all()) and int(ends.max(initial=0)) <= len(tokens)
    if len(counts) > 1 or len(tokens) != split.n_tokens or not inside:
        raise _altered(folder, "its counts are not those that were written")
    if mapped.n_pairs and not _fits(mapped, n_sources=len(files.sources)):
        raise _altered(folder, "it names tokens or sources that are not there")
    return mapped


def _fits(mapped: SplitTokens, *, n_sources: int) -> bool:
    """Whether every place and number lies inside of what there is."""
    lengths = mapped.prefix_lengths + mapped.response_lengths
    least = min(int(part.min()) for part in (mapped.starts, mapped.prefix_lengths, mapped.response_lengths))
    whole = int((mapped.starts + lengths).max()) <= len(mapped.tokens)
    return least >= 0 and whole and int(mapped.source_numbers.max()) < n_sources


def _map(path: Path, dtype: Any) -> NDArray[Any]:
    # An empty file cannot be mapped.
    return np.memmap(path, dtype=dtype, mode="r") if path.stat().st_size else np.empty(0, dtype=dtype)
