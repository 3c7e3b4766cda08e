"""Both tensor layouts, folders of safetensors, and refusals that name every tensor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from small_models import oracle_for, small_config, small_model

from hrmbuild.errors import InputError
from hrmbuild.inference.weight_files import read_weights, write_weights
from hrmbuild.model import build_model
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.weights import fused_layout, fused_state, load_state, split_state

GOLDEN = Path(__file__).resolve().parent.parent / "golden"


def test_parameter_names_are_those_of_the_released_weights() -> None:
    model = small_model()
    golden = json.loads((GOLDEN / "model_keys.json").read_text("utf-8"))
    assert sorted(fused_state(model)) == golden["fused"]
    assert sorted(split_state(model)) == golden["split"]


def test_split_and_fused_are_inverse() -> None:
    state = fused_state(small_model())
    back = fused_layout(split_state(small_model()))
    assert state.keys() == back.keys()
    assert all(torch.equal(state[name], back[name]) for name in state)


@pytest.mark.parametrize("layout", [fused_state, split_state])
def test_a_folder_gives_back_the_same_weights(tmp_path: Path, layout) -> None:
    model, other = small_model(1), small_model(2)
    write_weights(layout(model), tmp_path)
    load_state(other, read_weights(tmp_path))
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))


def write_shards(folder: Path, model: LanguageModel) -> list[Path]:
    """As the library's own writer lays them out: shards and an index."""
    oracle_for(model).save_pretrained(folder, max_shard_size="40KB")
    return sorted(folder.glob("model-*.safetensors"))


def test_shards_that_the_library_wrote_load(tmp_path: Path) -> None:
    model, other = small_model(1), small_model(2)
    assert len(write_shards(tmp_path, model)) > 2
    load_state(other, read_weights(tmp_path))
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))


def test_writing_twice_gives_equal_bytes(tmp_path: Path) -> None:
    first, second = (write_weights(fused_state(small_model()), tmp_path / name) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_weights_that_do_not_fit_are_refused_by_name() -> None:
    state = fused_state(small_model())
    state["extra"] = state.pop("model.z_L_init")
    state["lm_head.weight"] = torch.zeros(2, 2)
    with pytest.raises(InputError) as refused:
        load_state(small_model(), state, where="old/model.safetensors")
    assert str(refused.value) == (
        "old/model.safetensors: the weights do not fit the model: missing: model.z_L_init; unexpected: extra; "
        "wrong shape: lm_head.weight [2, 2] instead of [256, 32]"
    )


def test_half_a_split_projection_is_named() -> None:
    state = split_state(small_model())
    gone = "model.L_module.layers.1.self_attn.k_proj.weight"
    del state[gone]
    with pytest.raises(InputError, match=r"missing: model\.L_module\.layers\.1\.attn\.gqkv_proj\.weight"):
        load_state(small_model(), state)


def test_a_folder_without_weights_and_a_lost_shard_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_weights(tmp_path)
    write_shards(tmp_path, small_model())[0].unlink()
    with pytest.raises(InputError, match="no such file"):
        read_weights(tmp_path)


def test_an_index_that_points_outside_its_folder_is_refused(tmp_path: Path) -> None:
    index = {"weight_map": {"x": "../x.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    with pytest.raises(InputError, match="lies outside the folder"):
        read_weights(tmp_path)


def test_the_same_seed_gives_the_same_weights_and_another_gives_others() -> None:
    a, b, c = small_model(5), small_model(5), small_model(6)
    assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
    assert not torch.equal(a.lm_head.weight, c.lm_head.weight)


def test_initial_spread_is_lecun_truncated_at_three_sigma() -> None:
    model = build_model(small_config(hidden_size=128, n_heads=2, head_dim=64))
    model.init_weights(0)
    for name, tensor in model.state_dict().items():
        std = 1.0 if name.endswith("z_L_init") else tensor.shape[-1] ** -0.5
        assert tensor.abs().max() <= 3 * std
        assert tensor.std().item() == pytest.approx(0.985 * std, rel=0.2 if name.endswith("z_L_init") else 0.03), name
    embedded = model.model.embed_tokens.weight * model.config.embedding_scale
    assert embedded.std().item() == pytest.approx(0.985, rel=0.02)
