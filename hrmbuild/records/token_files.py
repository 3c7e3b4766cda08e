"""The token files, format 1: a folder named by content_root and tokenizer hash, memory-mapped by training.

`tokens.bin` holds little-endian unsigned integers (2 bytes where the vocabulary fits, else 4): for each pair, in the
order of its id, the prefix `<|im_start|> condition… instruction <|im_end|>`, then the response, then `<|box_end|>`.
`index.bin` holds, for each pair, three little-endian int64: offset of its first token, length of the prefix, length of the
response with its end token. `ids.bin` holds the 32 bytes of each pair's id, in the same order.
"""

from __future__ import annotations

from typing import Literal

from hrmbuild.records.base import Noun, Sha256


class TokenSplit(Noun):
    """One split's three files."""

    n_pairs: int
    n_tokens: int
    """All tokens, control tokens included."""
    sha256: dict[Literal["tokens.bin", "index.bin", "ids.bin"], Sha256]


class TokenFiles(Noun):
    """`token-files.json`, written last."""

    format: Literal[1] = 1
    content_root: Sha256
    tokenizer_sha256: Sha256
    dtype: Literal["uint16", "uint32"]
    vocab_size: int
    """Entries of the tokenizer."""
    splits: dict[Literal["train", "dev", "test"], TokenSplit]
