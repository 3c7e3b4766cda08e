"""Where the tokens of a pack stand: built once per micro-batch, used by every layer.

Owns `PackLayout`. Tokens come as one flat list, sequence after sequence; the attention kernel may want another order
(or padding between rows), so a layout maps tokens to slots and back. It must not see token ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hrmbuild.model.attention import AttentionBackend, AttentionPlan, build_plan, choose_backend


@dataclass(frozen=True)
class PackLayout:
    """One pack: T tokens in pack order, held in `slots` >= T slots while the model runs."""

    n_tokens: int
    """T, padding at the end (`pad_to`) included."""
    n_sequences: int
    """Sequences, without the padding."""
    predicting: Tensor
    """[n_predicting] token indices that predict a label: each last prefix token and every response token."""
    positions_slots: Tensor
    """[slots] position inside the own sequence, from 0."""
    last_prefix: Tensor
    """[n_sequences] token index of each last prefix token."""
    token_slots: Tensor | None
    """[T] slot of each token; None when slots are the tokens."""
    backend: AttentionBackend
    """The kernel in use."""
    plan: AttentionPlan
    """What that kernel prepared."""

    def to_slots(self, x_T: Tensor) -> Tensor:
        """Token order to slot order, along dimension 0."""
        return x_T if self.plan.slot_tokens is None else x_T[self.plan.slot_tokens]

    def to_tokens(self, x_slots: Tensor) -> Tensor:
        """Slot order to token order, along dimension 0."""
        return x_slots if self.token_slots is None else x_slots.index_select(0, self.token_slots)


def build_layout(
    prefix_lengths: Sequence[int],
    response_lengths: Sequence[int],
    *,
    device: torch.device | str = "cpu",
    pad_to: int | None = None,
    dtype: torch.dtype | None = None,
    backend: AttentionBackend | None = None,
) -> PackLayout:
    """Lay out sequences of the given lengths, in pack order.

    Args:
        prefix_lengths: tokens of each prefix, at least 1.
        response_lengths: response-side input tokens, at least 0: the last label of a response is no input.
        pad_to: total tokens of the pack; what is missing stands at the end and is seen by nobody.
        dtype: what the model computes in, as some kernels want half precision; None: bfloat16 on a GPU, else float32.
        backend: the attention kernel; None takes the best one for `device`.

    Raises:
        ValueError: an empty pack, a prefix below 1, a response below 0, or a `pad_to` below the tokens given.
    """
    device = torch.device(device)
    prefixes, responses = list(prefix_lengths), list(response_lengths)
    n_sequences, n_tokens = len(prefixes), sum(prefixes) + sum(responses)
    _check(prefixes, responses, n_tokens if pad_to is None else pad_to)
    index = _token_index(prefixes, responses)
    if pad_to is not None and pad_to > n_tokens:
        prefixes.append(pad_to - n_tokens)
        responses.append(0)
    chosen = choose_backend(device, dtype or _usual_dtype(device), requested=backend)
    plan = build_plan(chosen, prefixes, response_lengths=responses, device=device)
    position_T = torch.cat([torch.arange(p + r) for p, r in zip(prefixes, responses, strict=True)]).to(device)
    slot_tokens = plan.slot_tokens
    return PackLayout(
        n_tokens=len(position_T),
        n_sequences=n_sequences,
        predicting=index[0].to(device),
        positions_slots=position_T if slot_tokens is None else position_T[slot_tokens],
        last_prefix=index[1].to(device),
        token_slots=None if slot_tokens is None else _first_slots(slot_tokens, len(position_T)),
        backend=chosen,
        plan=plan,
    )


def _usual_dtype(device: torch.device) -> torch.dtype:
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def _check(prefixes: list[int], responses: list[int], pad_to: int) -> None:
    if not prefixes or len(prefixes) != len(responses):
        raise ValueError(
            f"a pack needs one prefix and one response length a sequence, got {len(prefixes)} and {len(responses)}"
        )
    if min(prefixes) < 1 or min(responses) < 0:
        raise ValueError("a prefix has at least 1 token and a response at least 0 input tokens")
    if pad_to < sum(prefixes) + sum(responses):
        raise ValueError(f"{sum(prefixes) + sum(responses)} tokens do not fit in pad_to={pad_to}")


def _token_index(prefixes: list[int], responses: list[int]) -> tuple[Tensor, Tensor]:
    predicting, last_prefix, start = [], [], 0
    for prefix, response in zip(prefixes, responses, strict=True):
        last_prefix.append(start + prefix - 1)
        predicting.append(torch.arange(start + prefix - 1, start + prefix + response))
        start += prefix + response
    return torch.cat(predicting), torch.tensor(last_prefix)


def _first_slots(slot_tokens: Tensor, n_tokens: int) -> Tensor:
    # A padding slot repeats the first token of its row, and comes after it: the first slot of a token is the real one.
    slots = torch.arange(len(slot_tokens), device=slot_tokens.device)
    first = torch.full((n_tokens,), len(slot_tokens), device=slot_tokens.device)
    return first.scatter_reduce(0, slot_tokens, slots, "amin")
