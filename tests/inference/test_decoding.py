"""Decoding with a cache against the full forward, at every position."""

from __future__ import annotations

import pytest
import torch

from hrmbuild.config.model import ModelConfig
from hrmbuild.config.presets import PRESETS
from hrmbuild.inference import decoding
from hrmbuild.inference.decoding import Decoder
from hrmbuild.model import build_model
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.layout import build_layout

ARCHES = ["hrm", "transformer", "trm", "ut", "rins"]
N_NEW = 6
PREFIXES = [17, 17, 9, 5, 1, 1]


def a_model(**changes: object) -> LanguageModel:
    shape = {"vocab_size": 256, "hidden_size": 32, "n_heads": 2, "head_dim": 16, "layers_per_stack": 1}
    model = build_model(ModelConfig.model_validate(shape | {"context_tokens": 128} | changes))
    model.init_weights(0)
    return model.eval().requires_grad_(False)


def scaled_down(preset: str) -> LanguageModel:
    """The preset's head count, feed-forward factor, cycles and theta with small heads and at most three layers."""
    config = PRESETS[preset].model_config_for(256)
    small = {"head_dim": 4, "hidden_size": 4 * config.n_heads, "layers_per_stack": min(3, config.layers_per_stack)}
    model = build_model(ModelConfig.model_validate(config.model_dump() | small | {"context_tokens": 64}))
    model.init_weights(1)
    return model.eval().requires_grad_(False)


def full_logits(model: LanguageModel, ids: torch.Tensor, prefix: int) -> torch.Tensor:
    with torch.no_grad():
        return model.head(model.forward_hidden(ids, build_layout([prefix], [len(ids) - prefix])))


def assert_cached_equals_full(model: LanguageModel) -> None:
    generator = torch.Generator().manual_seed(0)
    ids = [torch.randint(256, (prefix + N_NEW,), generator=generator) for prefix in PREFIXES]
    prompts = [x[:prefix].tolist() for x, prefix in zip(ids, PREFIXES, strict=True)]
    with torch.inference_mode():
        decoder = Decoder(model, prompts, n_new=N_NEW)
        steps = [decoder.prefill()]
        steps += [decoder.step(torch.stack([x[p + t] for x, p in zip(ids, PREFIXES, strict=True)])) for t in range(6)]
    assert decoder.cache.lengths == tuple(prefix + N_NEW for prefix in PREFIXES)
    for row, (x, prefix) in enumerate(zip(ids, PREFIXES, strict=True)):
        ours = torch.stack([logits[row] for logits in steps])
        torch.testing.assert_close(ours, full_logits(model, x, prefix)[prefix - 1 :], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("arch", ARCHES)
def test_cached_decoding_equals_the_full_forward_at_every_position(arch: str) -> None:
    assert_cached_equals_full(a_model(arch=arch))


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_it_does_for_the_shape_of_every_preset(preset: str) -> None:
    assert_cached_equals_full(scaled_down(preset))


def test_prompts_read_in_several_groups_are_read_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "PREFILL_TOKENS", 20)
    assert_cached_equals_full(a_model())


def test_weights_with_columns_in_one_piece_are_the_same_weights() -> None:
    model = a_model()
    for parameter in model.model.get_submodule("H_module").parameters():
        parameter.data = parameter.data.t().contiguous().t()
    assert_cached_equals_full(model)


@torch.inference_mode()
def test_rows_that_finish_leave_and_the_others_go_on() -> None:
    model = a_model()
    prompts = [list(range(4)), list(range(10, 17)), list(range(20, 22))]
    decoder = Decoder(model, prompts, n_new=3)
    decoder.prefill()
    decoder.step(torch.tensor([1, 2, 3]))
    decoder.drop(0)
    assert decoder.cache.lengths == (3, 8)
    logits = decoder.step(torch.tensor([30, 40]))
    assert decoder.cache.lengths == (4, 9)
    first = full_logits(model, torch.tensor([*prompts[2], 3, 30]), 2)[-1]
    second = full_logits(model, torch.tensor([*prompts[1], 2, 40]), 7)[-1]
    torch.testing.assert_close(logits, torch.stack((first, second)), atol=1e-5, rtol=1e-5)
    decoder.drop(1)
    alone = decoder.step(torch.tensor([50]))
    expected = full_logits(model, torch.tensor([*prompts[2], 3, 30, 50]), 2)[-1]
    torch.testing.assert_close(alone[0], expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_a_full_cache_is_refused() -> None:
    decoder = Decoder(a_model(), [[1, 2, 3, 4]], n_new=1)
    decoder.prefill()
    decoder.step(torch.tensor([1]))
    with pytest.raises(ValueError, match="5 columns is full"):
        decoder.step(torch.tensor([1]))
