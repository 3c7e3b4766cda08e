"""bfloat16 against float32, hand-written gradients, and the same bytes from the same inputs."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from small_models import small_model

from hrmbuild.model.cpu_ops import RmsNorm, SwiGlu
from hrmbuild.model.layout import build_layout


def one_step(dtype: torch.dtype | None, seed: int = 3) -> tuple[float, dict[str, torch.Tensor]]:
    model = small_model(seed)
    model.compute_dtype = dtype
    ids = torch.randint(256, (60,), generator=torch.Generator().manual_seed(seed))
    result = model(ids, ids.roll(-1), build_layout([10, 4, 13], [12, 9, 12]), 5)
    result.loss_sum.backward()
    return result.loss_sum.item(), {name: p.grad for name, p in model.named_parameters()}


def test_bfloat16_is_close_to_float32_and_leaves_float32_gradients() -> None:
    loss, grads = one_step(None)
    low_loss, low_grads = one_step(torch.bfloat16)
    assert low_loss == pytest.approx(loss, rel=0.02)
    for name, grad in grads.items():
        assert low_grads[name].dtype == torch.float32
        assert F.cosine_similarity(low_grads[name].flatten(), grad.flatten(), dim=0) > 0.98, name


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_the_same_inputs_give_the_same_bytes(dtype: torch.dtype | None) -> None:
    (loss, grads), (again, same) = one_step(dtype), one_step(dtype)
    assert loss == again
    assert all(torch.equal(grads[name], same[name]) for name in grads)


@pytest.mark.parametrize("function", [lambda x: RmsNorm.apply(x, 1e-6), SwiGlu.apply])
def test_written_out_gradients_equal_numerical_ones(function) -> None:
    x = torch.randn(5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(function, (x,))


def test_hand_written_functions_equal_the_plain_equations() -> None:
    x = torch.randn(7, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(RmsNorm.apply(x, 1e-6), F.rms_norm(x, (8,), eps=1e-6))
    torch.testing.assert_close(SwiGlu.apply(x), F.silu(x[:, :4]) * x[:, 4:])
