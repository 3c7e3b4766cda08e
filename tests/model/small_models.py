"""Small shapes shared by the model's tests, and the library that is our independent truth."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import HrmTextConfig, HrmTextForCausalLM

from hrmbuild.config.model import ModelConfig
from hrmbuild.model import build_model
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.weights import split_state


def small_config(**changes: object) -> ModelConfig:
    shape = {"vocab_size": 256, "hidden_size": 32, "n_heads": 2, "head_dim": 16}
    return ModelConfig.model_validate(shape | {"layers_per_stack": 2, "context_tokens": 128} | changes)


def small_model(seed: int = 0, **changes: object) -> LanguageModel:
    model = build_model(small_config(**changes))
    model.init_weights(seed)
    return model


def oracle_for(model: LanguageModel, *, k: int = 5) -> HrmTextForCausalLM:
    """The library's class with our weights; its routing [0, k - 2] is ours for k = 3, 4, 5."""
    config = model.config
    theirs = HrmTextForCausalLM(
        HrmTextConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.layers_per_stack,
            num_attention_heads=config.n_heads,
            head_dim=config.head_dim,
            H_cycles=config.H_cycles,
            L_cycles=config.L_cycles,
            L_bp_cycles=[0, k - 2],
            embedding_scale=config.embedding_scale,
            max_position_embeddings=config.context_tokens,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        )
    )
    theirs.load_state_dict(split_state(model), strict=True)
    return theirs


def oracle_logits(
    theirs: HrmTextForCausalLM, token_ids: torch.Tensor, lengths: Sequence[tuple[int, int]]
) -> torch.Tensor:
    """Each sequence alone, one after the other: [T, V]."""
    out, start = [], 0
    for prefix, response in lengths:
        ids = token_ids[start : start + prefix + response][None]
        types = (torch.arange(prefix + response) < prefix).long()[None]
        out.append(theirs(input_ids=ids, token_type_ids=types).logits[0])
        start += prefix + response
    return torch.cat(out)
