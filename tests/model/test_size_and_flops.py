"""Counts that need no weights: parameters on the meta device, FLOPs by formula, lines and imports of the part."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import hrmbuild.model
from hrmbuild.config.flops import flops_per_token, forward_flops_per_token, n_parameters
from hrmbuild.config.model import ModelConfig
from hrmbuild.config.presets import PRESETS
from hrmbuild.model import build_model
from hrmbuild.model.attention import AttentionBackend
from hrmbuild.model.layout import build_layout

SOURCE = Path(hrmbuild.model.__file__).parent
ARCHES = ["hrm", "transformer", "trm", "ut", "rins"]


def counted_flops(config: ModelConfig, k: int | None, n_tokens: int) -> float:
    with torch.device("meta"):
        model = build_model(config)
    ids = torch.zeros(n_tokens, dtype=torch.int64, device="meta")
    layout = build_layout([1], [n_tokens - 1], device="meta", backend=AttentionBackend.DENSE)
    with FlopCounterMode(display=False) as counter:
        model(ids, ids, layout, k).loss_sum.backward()
    return counter.get_total_flops()


def test_XL_has_1_18_billion_parameters() -> None:
    config = PRESETS["XL"].model_config_for(65_536)
    with torch.device("meta"):
        model = build_model(config)
    assert sum(p.numel() for p in model.parameters()) == n_parameters(config) == 1_182_793_728
    assert model.model.z_L_init.numel() == 1_536
    assert model.n_cache_slots == 128


# Each k for every core, with fewer layers: tests/config/test_flops.py.
@pytest.mark.parametrize("k", [2, *(pytest.param(k, marks=pytest.mark.slow) for k in (3, 4)), 5])
def test_XL_flops_match_the_counter_within_2_percent(k: int) -> None:
    config = PRESETS["XL"].model_config_for(65_536)
    formula = flops_per_token(config, k=k, keys_per_token=256).total * 256
    assert counted_flops(config, k, 256) == pytest.approx(formula, rel=0.02)


@pytest.mark.parametrize("arch", ARCHES)
def test_flops_and_parameters_of_every_architecture_match(arch: str) -> None:
    config = PRESETS["tiny"].model_config_for(1_024, arch=arch)
    k = 5 if arch in ("hrm", "trm") else None
    formula = flops_per_token(config, k=k, keys_per_token=64).total * 64
    assert counted_flops(config, k, 64) == pytest.approx(formula, rel=0.02)
    assert sum(p.numel() for p in build_model(config).parameters()) == n_parameters(config)


def test_forward_flops_match_the_counter() -> None:
    config = PRESETS["nano"].model_config_for(512)
    model = build_model(config)
    layout = build_layout([32], [0], backend=AttentionBackend.DENSE)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.head(model.forward_hidden(torch.zeros(32, dtype=torch.int64), layout))
    assert counter.get_total_flops() == pytest.approx(32 * forward_flops_per_token(config, keys_per_token=32), rel=0.02)


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_builds_with_the_published_shape(name: str) -> None:
    preset = PRESETS[name]
    config = preset.model_config_for(512)
    with torch.device("meta"):
        model = build_model(config)
    assert sum(p.numel() for p in model.parameters()) == n_parameters(config)
    assert preset.context_tokens <= preset.batch_tokens
    assert (preset.storage_dtype == "float32") == (name in ("nano", "tiny", "small"))
    assert config.head_dim == (64 if name in ("nano", "tiny", "small") else 128)


def test_widths_of_the_feed_forward_part() -> None:
    widths = {name: preset.model_config_for(256).intermediate_size for name, preset in PRESETS.items()}
    assert widths == {
        "nano": 512,
        "tiny": 768,
        "small": 1536,
        "B": 2816,
        "L": 3584,
        "XL": 4096,
        "XXL": 4864,
        "XXL_wide": 6912,
    }


def test_the_whole_part_stays_under_1200_lines() -> None:
    lines = {path.name: len(path.read_text("utf-8").splitlines()) for path in SOURCE.rglob("*.py")}
    assert sum(lines.values()) < 1_200, lines


def test_the_part_imports_torch_safetensors_and_its_config_only() -> None:
    allowed = {"torch", "safetensors", "hrmbuild"} | sys.stdlib_module_names
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert {name.split(".")[0] for name in names} <= allowed, path.name
            assert not [name for name in names if "distributed" in name], path.name
