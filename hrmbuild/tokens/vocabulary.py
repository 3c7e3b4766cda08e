"""How many entries a tokenizer gets: by how much different text there is to learn them from.

Owns the rule. It must not train anything.

The measure is the bytes of distinct lines with every digit masked, not the size of the split. A compiled corpus says
the same sentence thousands of times with other numbers, and digits are never merged, so lines that differ in digits
only teach the tokenizer nothing new: by plain size, a demo of 4 MB would get 62,000 entries, and a model of a million
weights would spend sixteen million on its embedding and head. For a corpus that never repeats a line the two measures
are equal. Counting stops where more would change nothing, so memory is bounded whatever the corpus.

A preset of ours also bounds it: with 32 entries for each unit of width, embedding and head together weigh about as much
as the blocks of `nano`. The paper's presets take the paper's 65,536 as their bound.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hrmbuild.config.presets import PRESETS

LARGEST = 65_536
"""Entries of the released tokenizer."""
SMALLEST = 1_024
"""Below it, control tokens and bytes would take more than a quarter."""
STEP = 256
"""Sizes are multiples of it, as the padded vocabulary is."""
BYTES_PER_ENTRY = 64
"""Bytes of distinct text that justify one entry."""
ENTRIES_PER_WIDTH = 32
"""Bound of our own presets, in entries for each unit of the model's width."""
PAPER_HEAD_DIM = 128
"""Width of a head in all of the paper's presets, and in none of ours."""

_DIGITS = re.compile(r"\d")


def default_vocab_size(distinct_bytes: int, *, largest: int = LARGEST) -> int:
    """min(largest, 256 * ceil(bytes / 64 / 256)), at least 1,024."""
    blocks = -(-distinct_bytes // (BYTES_PER_ENTRY * STEP))
    return max(SMALLEST, min(largest, STEP * blocks))


def largest_vocab_for(preset: str) -> int:
    """Most entries that a preset's width carries."""
    shape = PRESETS[preset]
    if shape.head_dim == PAPER_HEAD_DIM:
        return LARGEST
    return min(LARGEST, max(SMALLEST, ENTRIES_PER_WIDTH * shape.hidden_size))


def distinct_bytes(texts: Iterable[str], *, enough: int = LARGEST * BYTES_PER_ENTRY) -> int:
    """UTF-8 bytes of the texts' distinct lines, digits masked; counting stops at `enough`."""
    seen: set[str] = set()
    total = 0
    for text in texts:
        for line in text.splitlines():
            masked = _DIGITS.sub("0", line.strip())
            if masked in seen:
                continue
            seen.add(masked)
            total += len(masked.encode("utf-8")) + 1
        if total >= enough:
            return enough
    return total


def vocab_size_for(texts: Iterable[str], *, preset: str) -> int:
    """The default size for these texts and this preset; `texts` is consumed as far as needed."""
    largest = largest_vocab_for(preset)
    return default_vocab_size(distinct_bytes(texts, enough=largest * BYTES_PER_ENTRY), largest=largest)
