"""Decoding with a cache against the full forward at every position."""

from __future__ import annotations

import pytest
import torch
from small_models import small_model

from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.layout import build_layout

ARCHES = ["hrm", "transformer", "trm", "ut", "rins"]


def full_logits(model: LanguageModel, ids: torch.Tensor, prefix: int) -> torch.Tensor:
    with torch.no_grad():
        return model.head(model.forward_hidden(ids, build_layout([prefix], [len(ids) - prefix])))


@pytest.mark.parametrize("arch", ARCHES)
def test_cached_decoding_equals_the_full_forward_at_every_position(arch: str) -> None:
    model = small_model(arch=arch, layers_per_stack=1)
    prefixes, n_new = [5, 17, 1], 6
    generator = torch.Generator().manual_seed(0)
    ids = [torch.randint(256, (prefix + n_new,), generator=generator) for prefix in prefixes]
    cache = model.new_cache(3, 32)
    step_logits = [model.prefill(torch.cat([x[:p] for x, p in zip(ids, prefixes, strict=True)]), prefixes, cache)]
    for t in range(n_new):
        step_logits.append(model.decode(torch.stack([x[p + t] for x, p in zip(ids, prefixes, strict=True)]), cache))
    assert cache.lengths == (11, 23, 7)
    for row, (x, prefix) in enumerate(zip(ids, prefixes, strict=True)):
        ours = torch.stack([logits[row] for logits in step_logits])
        torch.testing.assert_close(ours, full_logits(model, x, prefix)[prefix - 1 :], atol=1e-5, rtol=1e-5)


def test_rows_that_finish_leave_and_the_others_go_on() -> None:
    model, cache = small_model(), None
    prompts = [torch.arange(4), torch.arange(10, 17), torch.arange(20, 22)]
    cache = model.new_cache(3, 16)
    model.prefill(torch.cat(prompts), [4, 7, 2], cache)
    model.decode(torch.tensor([1, 2, 3]), cache)
    cache.keep([2, 1])
    logits = model.decode(torch.tensor([30, 40]), cache)
    assert cache.lengths == (4, 9)
    expected = full_logits(model, torch.cat([prompts[2], torch.tensor([3, 30])]), 2)[-1]
    torch.testing.assert_close(logits[0], expected, atol=1e-5, rtol=1e-5)


def test_a_full_cache_and_a_wrong_number_of_prompts_are_refused() -> None:
    model = small_model()
    cache = model.new_cache(1, 4)
    with pytest.raises(ValueError, match="2 prompts do not fit a cache of 1 rows"):
        model.prefill(torch.arange(2), [1, 1], cache)
    model.prefill(torch.arange(4), [4], cache)
    with pytest.raises(ValueError, match="5 tokens do not fit a cache of 4"):
        model.decode(torch.tensor([1]), cache)
