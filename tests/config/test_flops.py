"""FLOPs by formula against torch's own counter, for every core and every k.

Two layers a stack: a stack's layers are alike, and tests/model/test_size_and_flops.py counts the whole depth of XL.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hrmbuild.config.flops import flops_per_token
from hrmbuild.config.presets import PRESETS
from hrmbuild.model import build_model
from hrmbuild.model.attention import AttentionBackend
from hrmbuild.model.layout import build_layout

EVERY = [(arch, k) for arch in ("hrm", "trm") for k in range(2, 9)]
EVERY += [(arch, None) for arch in ("transformer", "ut", "rins")]


GRID = [
    pytest.param(arch, k, n, marks=pytest.mark.slow if n == 95 and k not in {None, 2, 5} else ())
    for arch, k in EVERY
    for n in (95, 30)
]
"""Nearly all of a row trained on, and a third of it: the first for every k is `slow`."""


@pytest.mark.parametrize(("arch", "k", "response_tokens"), GRID)
def test_the_formula_is_within_2_percent_of_the_counter(arch: Any, k: int | None, response_tokens: int) -> None:
    n_tokens = 96
    config = PRESETS["small"].model_config_for(4096, arch=arch).model_copy(update={"layers_per_stack": 2})
    with torch.device("meta"):
        model = build_model(config)
    ids = torch.zeros(n_tokens, dtype=torch.int64, device="meta")
    prefix = n_tokens - response_tokens
    layout = build_layout([prefix], [response_tokens], device="meta", backend=AttentionBackend.DENSE)
    with FlopCounterMode(display=False) as counter:
        model(ids, ids, layout, k).loss_sum.backward()
    share = len(layout.predicting) / n_tokens
    formula = n_tokens * flops_per_token(config, k=k, keys_per_token=n_tokens, response_fraction=share).total
    assert formula == pytest.approx(counter.get_total_flops(), rel=0.02)
