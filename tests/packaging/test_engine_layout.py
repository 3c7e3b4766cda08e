"""What vLLM and SGLang read from a package, held as a list of facts against what we write.

Read from their loaders, vllm/model_executor/models/hrm_text.py (vllm-project/vllm at 055e47c28003) and
python/sglang/srt/models/hrm_text.py (sgl-project/sglang at 49b0705d3c19). Both build one parameter for each name below,
rename `.attn.` to `.self_attn.`, cut the fused rows themselves as [gate | q | k | v] and [gate | up], and have norms
without weights. SGLang passes over a name that it does not know without a word, so the set must be exact. Where one of
them is installed, loading the package is the better test.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors import safe_open
from transformers import AutoConfig

BOTH_READ = {
    "attention_bias", "embedding_scale", "H_cycles", "head_dim", "hidden_act", "hidden_size", "initializer_range",
    "intermediate_size", "L_cycles", "max_position_embeddings", "mlp_bias", "num_attention_heads",
    "num_layers_per_stack", "rms_norm_eps", "rope_parameters", "tie_word_embeddings", "vocab_size",
}  # fmt: skip
SGLANG_READS = {"num_hidden_layers"}
"""Its model settings take the number of slots of keys and values from there."""
ENGINES_READ = {"architectures", "model_type", "dtype", "eos_token_id", "bos_token_id", "pad_token_id"}


@pytest.fixture(scope="module")
def config(written_package: Path) -> dict[str, object]:
    return json.loads((written_package / "config.json").read_bytes())


def wanted_tensors(config: dict) -> dict[str, list[int]]:
    """Parameter name on disk -> shape, as both loaders build them from the config."""
    hidden, rows = config["hidden_size"], config["num_attention_heads"] * config["head_dim"]
    block = {
        "attn.gqkv_proj": [4 * rows, hidden],
        "attn.o_proj": [hidden, rows],
        "mlp.gate_up_proj": [2 * config["intermediate_size"], hidden],
        "mlp.down_proj": [hidden, config["intermediate_size"]],
    }
    blocks = {
        f"model.{stack}_module.layers.{layer}.{part}.weight": shape
        for stack in ("L", "H")
        for layer in range(config["num_layers_per_stack"])
        for part, shape in block.items()
    }
    table = [config["vocab_size"], hidden]
    return blocks | {"model.embed_tokens.weight": table, "lm_head.weight": table, "model.z_L_init": [hidden]}


def test_the_tensors_are_exactly_the_parameters_that_both_loaders_build(written_package: Path, config: dict) -> None:
    with safe_open(written_package / "model.safetensors", framework="pt") as file:
        found = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    assert found == wanted_tensors(config)


def test_no_field_that_a_loader_reads_is_left_to_its_default(config: dict) -> None:
    assert config.keys() >= BOTH_READ | SGLANG_READS | ENGINES_READ


def test_the_fields_say_what_the_loaders_can_do(config: dict) -> None:
    assert config["hidden_act"] == "silu"
    assert (config["attention_bias"], config["mlp_bias"], config["tie_word_embeddings"]) == (False, False, False)
    assert config["num_key_value_heads"] == config["num_attention_heads"]
    assert config["rope_parameters"] == {"rope_theta": 10000.0, "rope_type": "default"}
    slots = config["num_layers_per_stack"] * config["H_cycles"] * (config["L_cycles"] + 1)
    assert config["num_hidden_layers"] == slots
    assert config["architectures"] == ["HrmTextForCausalLM"]


def test_transformers_hands_the_same_values_on_to_the_engines(written_package: Path, config: dict) -> None:
    """Both engines read the settings through `transformers`, which fills and may rewrite them."""
    loaded = AutoConfig.from_pretrained(written_package)
    same = BOTH_READ | SGLANG_READS
    assert {key: getattr(loaded, key) for key in same} == {key: config[key] for key in same}
