"""Weights in and out: the fused layout of the released models and the split one of `transformers`.

Owns names and shapes of the tensors. It must not read files nor decide a dtype. Fused is what the modules here hold:
`attn.gqkv_proj` = [gate | q | k | v] and `mlp.gate_up_proj` = [gate | up], along the rows.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hrmbuild.errors import InputError

State = dict[str, Tensor]

_SPLIT = {
    "attn.gqkv_proj.weight": tuple(f"self_attn.{part}_proj.weight" for part in ("gate", "q", "k", "v")),
    "attn.o_proj.weight": ("self_attn.o_proj.weight",),
    "mlp.gate_up_proj.weight": ("mlp.gate_proj.weight", "mlp.up_proj.weight"),
}


def fused_state(model: nn.Module) -> State:
    """Detached tensors by released name, sorted by name; they share memory with the model."""
    return {name: tensor.detach() for name, tensor in sorted(model.state_dict().items())}


def split_state(model: nn.Module) -> State:
    """The same weights by the names `transformers` uses; contiguous, so that each can be written on its own."""
    return split_layout(fused_state(model))


def split_layout(state: Mapping[str, Tensor]) -> State:
    """Fused names and tensors to split ones; tensors outside the blocks pass through."""
    out: State = {}
    for name, tensor in state.items():
        suffix = next((suffix for suffix in _SPLIT if name.endswith("." + suffix)), name)
        parts, stem = _SPLIT.get(suffix, (suffix,)), name.removesuffix(suffix)
        out |= {stem + part: piece.contiguous() for part, piece in zip(parts, tensor.chunk(len(parts)), strict=True)}
    return dict(sorted(out.items()))


def fused_layout(state: Mapping[str, Tensor]) -> State:
    """Split names and tensors to fused ones; what is fused already, and everything else, passes through."""
    left, out = dict(state), {}
    for suffix, parts in _SPLIT.items():
        for stem in [name.removesuffix(parts[0]) for name in state if name.endswith("." + parts[0])]:
            if stem + suffix not in state and all(stem + part in left for part in parts):
                out[stem + suffix] = torch.cat([left.pop(stem + part) for part in parts])
    return dict(sorted((left | out).items()))


@torch.no_grad()
def load_state(model: nn.Module, state: Mapping[str, Tensor], *, where: str = "weights") -> None:
    """Copy a state in either layout into the model, cast to the model's dtype.

    Raises:
        InputError: tensors are missing, unexpected or of another shape; every one is named.
    """
    given, own = fused_layout(state), model.state_dict()
    common = sorted(own.keys() & given.keys())
    other = [name for name in common if own[name].shape != given[name].shape]
    problems = {
        "missing": sorted(own.keys() - given.keys()),
        "unexpected": sorted(given.keys() - own.keys()),
        "wrong shape": [f"{name} {list(given[name].shape)} instead of {list(own[name].shape)}" for name in other],
    }
    if any(problems.values()):
        told = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in problems.items() if names)
        raise InputError("model.weights_do_not_fit", f"the weights do not fit the model: {told}", where=where)
    for name, tensor in own.items():
        tensor.copy_(given[name])
