"""From a pair's texts to the ids that are trained on: the one place that frames a sequence.

Owns the frame:

    <|im_start|> condition... instruction <|im_end|>   |   response <|box_end|>
    -------------------- prefix --------------------       ---- response -----

It must not read files. Source: arXiv 2605.20613, "PrefixLM" and "Conditions".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from hrmbuild.tokens.control import CONTROL_IDS, END, PREFIX_END, START, condition_ids
from hrmbuild.tokens.tokenizer import TextTokenizer

T = TypeVar("T")

BATCH_PAIRS = 1024
"""Pairs encoded together: enough to keep all cores busy, little enough to hold in memory."""


@dataclass(frozen=True)
class EncodedPair:
    """Ids of one pair, control tokens included."""

    prefix_ids: list[int]
    response_ids: list[int]
    """Ends in `<|box_end|>`."""

    def __post_init__(self) -> None:
        """A response keeps at least one content token and its end token: without, there is nothing to learn."""
        if len(self.response_ids) < 2 or self.response_ids[-1] != CONTROL_IDS[END]:
            raise ValueError("a response needs at least one content token, then its end token")
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


def encode_pairs(tokenizer: TextTokenizer, texts: Iterable[tuple[str, str, str]]) -> Iterator[EncodedPair]:
    """Many pairs (condition, instruction, response), in order, in batches on all cores; never all in memory."""
    for batch in in_batches(texts, BATCH_PAIRS):
        encoded = tokenizer.encode_batch([text for _, *pair in batch for text in pair])
        for (condition, _, _), instruction, response in zip(batch, encoded[::2], encoded[1::2], strict=True):
            yield _framed(condition, instruction, response=response)


def _framed(condition: str, instruction: list[int], *, response: list[int]) -> EncodedPair:
    return EncodedPair(prefix_ids(condition, instruction), [*response, CONTROL_IDS[END]])


def in_batches(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of up to `size` values, in order."""
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch
