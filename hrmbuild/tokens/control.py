"""The control tokens: their names, their fixed ids, and which condition each stands for.

Owns the eight names. It must not know any vocabulary beyond them. Names, and which condition each stands for, are those
of the released HRM-Text tokenizer (arXiv 2605.20613); the ids are ours: the lowest, so that they are the same in every
tokenizer we train.
"""

from __future__ import annotations

from typing import Final

PAD: Final = "<|endoftext|>"
"""Fills what nobody reads."""
START: Final = "<|im_start|>"
"""Opens the prefix."""
PREFIX_END: Final = "<|im_end|>"
"""Closes the prefix; it predicts the first response token."""
END: Final = "<|box_end|>"
"""Closes the response; it is predicted and never read."""

CONDITION_TOKENS: Final[dict[str, str]] = {
    "direct": "<|object_ref_start|>",
    "cot": "<|object_ref_end|>",
    "noisy": "<|quad_start|>",
    "synth": "<|quad_end|>",
}
"""One token a condition; `synth+cot` writes both, in that order."""

CONTROL_TOKENS: Final[tuple[str, ...]] = (PAD, START, PREFIX_END, END, *CONDITION_TOKENS.values())
"""By id: the first has id 0."""

CONTROL_IDS: Final[dict[str, int]] = {token: number for number, token in enumerate(CONTROL_TOKENS)}
"""Name to id, the same in every tokenizer of ours."""


def condition_ids(condition: str) -> list[int]:
    """Ids of a condition's tokens, in the order written (`synth+cot` gives two).

    Raises:
        ValueError: a part of it is no condition; the message lists those that are.
    """
    parts = condition.split("+")
    unknown = [part for part in parts if part not in CONDITION_TOKENS]
    if unknown:
        raise ValueError(f"unknown condition {unknown[0]!r}; the conditions are {', '.join(CONDITION_TOKENS)}")
    return [CONTROL_IDS[CONDITION_TOKENS[part]] for part in parts]
