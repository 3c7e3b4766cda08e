"""The token files, format 1: a folder named by content_root and tokenizer hash, memory-mapped by training.

`tokens.bin` holds little-endian unsigned integers (2 bytes where the vocabulary fits, else 4): for each pair, in the
order of its id, the prefix `<|im_start|> condition… instruction <|im_end|>`, then the response, then `<|box_end|>`.
`index.bin` holds, for each pair, three little-endian int64: offset of its first token, length of the prefix, length of
the response with its end token. `ids.bin` holds the 32 bytes of each pair's id, `sources.bin` one little-endian uint32
for each pair: the number of its first source in `sources`; both in the same order.
"""

from __future__ import annotations

from typing import Literal

from hrmbuild.fingerprint import sha256_hex
from hrmbuild.records.base import Noun, Sha256

TokenFileName = Literal["tokens.bin", "index.bin", "ids.bin", "sources.bin"]


class TokenSplit(Noun):
    """One split's four files."""

    n_pairs: int
    n_tokens: int
    """All tokens, control tokens included."""
    sha256: dict[TokenFileName, Sha256]


class TokenFiles(Noun):
    """`token-files.json`, written last."""

    format: Literal[1] = 1
    content_root: Sha256
    tokenizer_sha256: Sha256
    dtype: Literal["uint16", "uint32"]
    vocab_size: int
    """Entries of the tokenizer."""
    sources: tuple[Sha256, ...]
    """Hashes of the source files, sorted."""
    splits: dict[Literal["train", "dev", "test"], TokenSplit]


def token_files_sha256(files: TokenFiles) -> str:
    """Of `token-files.json`, which names every file by its hash: what a run says that it read."""
    return sha256_hex(files.canonical_bytes())
