"""From a pair's texts to the ids that are trained on: the one place that frames a sequence.

Owns the frame:

    <|im_start|> condition... instruction <|im_end|>   |   response <|box_end|>
    -------------------- prefix --------------------       ---- response -----

It must not read files. Source: arXiv 2605.20613, "PrefixLM" and "Conditions".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hrmbuild.tokens.control import CONTROL_IDS, END, PREFIX_END, START, condition_ids
from hrmbuild.tokens.tokenizer import TextTokenizer

_NO_CONTENT = "a response needs at least one content token, then its end token"


@dataclass(frozen=True)
class EncodedPair:
    """Ids of one pair, control tokens included."""

    prefix_ids: list[int]
    response_ids: list[int]
    """Ends in `<|box_end|>`."""

    def __post_init__(self) -> None:
        """A response keeps at least one content token and its end token: without, there is nothing to learn."""
        if len(self.response_ids) < 2 or self.response_ids[-1] != CONTROL_IDS[END]:
            raise ValueError(_NO_CONTENT)
        if len(self.prefix_ids) < 3 or self.prefix_ids[-1] != CONTROL_IDS[PREFIX_END]:
            raise ValueError("a prefix starts with its control tokens and ends in the prefix-end token")

    @property
    def n_instruction_tokens(self) -> int:
        """Content tokens of the instruction; conditions have ids below the first content id."""
        return sum(token >= len(CONTROL_IDS) for token in self.prefix_ids)

    @property
    def n_response_tokens(self) -> int:
        """Content tokens of the response, the end token left out."""
        return len(self.response_ids) - 1


def prefix_ids(condition: str, instruction_ids: Sequence[int]) -> list[int]:
    """The framed prefix of an instruction's content ids."""
    return [CONTROL_IDS[START], *condition_ids(condition), *instruction_ids, CONTROL_IDS[PREFIX_END]]


def encode_prompt(tokenizer: TextTokenizer, condition: str, *, instruction: str) -> list[int]:
    """The prefix alone: what is prefilled before an answer is generated."""
    return prefix_ids(condition, tokenizer.encode(instruction))


def encode_pair(tokenizer: TextTokenizer, condition: str, *, instruction: str, response: str) -> EncodedPair:
    """One pair.

    Raises:
        ValueError: an unknown condition, or a response without content.
    """
    return _framed(condition, tokenizer.encode(instruction), response=tokenizer.encode(response))


@dataclass(frozen=True)
class EncodedBatch:
    """Ids of some pairs, one after the other."""

    token_ids: NDArray[np.uint32]
    """[T] prefix and response of each pair, in order."""
    lengths: NDArray[np.int64]
    """[n_pairs, 2] tokens of each prefix and of each response with its end token."""


def encode_batch(tokenizer: TextTokenizer, texts: Sequence[tuple[str, str, str]]) -> EncodedBatch:
    """The same ids as `encode_pair` gives, of many pairs (condition, instruction, response) on all cores.

    Raises:
        ValueError: an unknown condition, or a response without content.
    """
    encoded = tokenizer.encode_batch([text for _, *pair in texts for text in pair])
    opening = {condition: [CONTROL_IDS[START], *condition_ids(condition)] for condition in {one[0] for one in texts}}
    token_ids: list[int] = []
    lengths = np.empty((len(texts), 2), dtype=np.int64)
    for number, (text, instruction, response) in enumerate(zip(texts, encoded[::2], encoded[1::2], strict=True)):
        start = len(token_ids)
        token_ids += opening[text[0]]
        token_ids += instruction
        token_ids.append(CONTROL_IDS[PREFIX_END])
        middle = len(token_ids)
        token_ids += response
        token_ids.append(CONTROL_IDS[END])
        lengths[number] = middle - start, len(token_ids) - middle
    if len(texts) and lengths[:, 1].min() < 2:
        raise ValueError(_NO_CONTENT)
    return EncodedBatch(np.array(token_ids, dtype=np.uint32), lengths)


def _framed(condition: str, instruction: list[int], *, response: list[int]) -> EncodedPair:
    return EncodedPair(prefix_ids(condition, instruction), [*response, CONTROL_IDS[END]])
