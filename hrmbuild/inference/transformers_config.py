"""A model's shape as `config.json` of `transformers` says it, and back.

Owns the field names and what each means there; nothing is left to a default of any loader. Why so strict: with
`num_hidden_layers` inflated and `num_layers_per_stack` absent a loader builds eight times the layers and only warns;
with `head_dim` absent 128 is assumed; MLX assumes 12 key-value heads. It must not read or write files.
Source: `transformers/models/hrm_text/configuration_hrm_text.py` (5.9 and newer); vLLM and SGLang read the same fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from hrmbuild.config.model import ModelConfig
from hrmbuild.errors import InputError

MODEL_TYPE = "hrm_text"
ARCHITECTURE = "HrmTextForCausalLM"
ACTIVATION = "silu"


class SpecialIds(NamedTuple):
    """Token ids that loaders want to know."""

    bos: int
    eos: int
    pad: int


def transformers_config(
    config: ModelConfig, *, ids: SpecialIds, dtype: Literal["float32", "bfloat16"]
) -> dict[str, Any]:
    """Every field of `config.json`.

    Raises:
        InputError: an architecture that `transformers` does not have.
    """
    if config.arch != "hrm":
        raise InputError(
            "package.arch_unsupported",
            f"only 'hrm' models can be packaged, this one is '{config.arch}'",
            why="no other library loads the baselines: they exist for comparison",
            fix="train with --arch hrm",
        )
    return {
        "architectures": [ARCHITECTURE],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": ids.bos,
        "dtype": dtype,
        "embedding_scale": config.embedding_scale,
        "eos_token_id": ids.eos,
        "H_cycles": config.H_cycles,
        "head_dim": config.head_dim,
        "hidden_act": ACTIVATION,
        "hidden_size": config.hidden_size,
        "initializer_range": config.hidden_size**-0.5,
        "intermediate_size": config.intermediate_size,
        "L_bp_cycles": [0, config.L_cycles],
        "L_cycles": config.L_cycles,
        "max_position_embeddings": config.context_tokens,
        "mlp_bias": False,
        "model_type": MODEL_TYPE,
        "num_attention_heads": config.n_heads,
        "num_hidden_layers": config.layers_per_stack * config.n_applications,
        "num_key_value_heads": config.n_heads,
        "num_layers_per_stack": config.layers_per_stack,
        "pad_token_id": ids.pad,
        "prefix_lm": True,
        "rms_norm_eps": config.norm_eps,
        "rope_parameters": {"rope_theta": config.rope_theta, "rope_type": "default"},
        "tie_word_embeddings": False,
        "use_cache": True,
        "vocab_size": config.vocab_size,
    }


def model_config(fields: Mapping[str, Any], *, where: str) -> ModelConfig:
    """The shape behind a `config.json`.

    Raises:
        InputError: another kind of model, a field is missing, or fields contradict one another.
    """
    try:
        config = ModelConfig(
            vocab_size=fields["vocab_size"],
            hidden_size=fields["hidden_size"],
            n_heads=fields["num_attention_heads"],
            head_dim=fields["head_dim"],
            layers_per_stack=fields["num_layers_per_stack"],
            expansion=_expansion(fields),
            H_cycles=fields["H_cycles"],
            L_cycles=fields["L_cycles"],
            context_tokens=fields["max_position_embeddings"],
            rope_theta=fields["rope_parameters"]["rope_theta"],
            norm_eps=fields["rms_norm_eps"],
        )
        ids = SpecialIds(fields["bos_token_id"], fields["eos_token_id"], fields["pad_token_id"])
        expected = transformers_config(config, ids=ids, dtype=fields["dtype"])
    except (KeyError, TypeError, ValueError) as error:
        raise _not_ours(f"cannot be read as a model's shape: {_told(error)}", where=where) from error
    wrong = sorted(key for key in expected.keys() | fields.keys() if _differs(expected, fields, key))
    if wrong:
        raise _not_ours(f"these fields are not what the model needs: {', '.join(wrong)}", where=where)
    return config


def _differs(expected: Mapping[str, Any], fields: Mapping[str, Any], key: str) -> bool:
    return key not in fields or key not in expected or fields[key] != expected[key]


def _expansion(fields: Mapping[str, Any]) -> float:
    """4 where it gives the stated width, else the factor that does."""
    hidden, width = fields["hidden_size"], fields["intermediate_size"]
    padded = -(-round(4.0 * hidden * 2 / 3) // 256) * 256
    return 4.0 if padded == width else width * 3 / (2 * hidden)


def _told(error: Exception) -> str:
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error).splitlines()[0]


def _not_ours(what: str, *, where: str) -> InputError:
    return InputError(
        "package.config_unfit",
        f"config.json {what}",
        where=where,
        why="a loader would build another model than the one that was trained, some without a word",
        fix="package the run again; never edit a package",
    )
