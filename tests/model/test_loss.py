"""The chunked loss against plain cross-entropy on all logits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from small_models import small_model

from hrmbuild.model import loss as loss_module
from hrmbuild.model.layout import build_layout
from hrmbuild.model.loss import response_loss


@pytest.mark.parametrize("chunk_logits", [256, 256 * 3, 1 << 20])
def test_sums_counts_and_gradients_equal_plain_cross_entropy(
    chunk_logits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(loss_module._CHUNK_LOGITS, "cpu", chunk_logits)
    model, layout = small_model().double(), build_layout([3, 5], [4, 0])
    labels = torch.randint(256, (12,), generator=torch.Generator().manual_seed(1))
    hidden = torch.randn(12, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True)
    labels[layout.predicting[0]] = model.head(hidden)[layout.predicting[0]].argmax()
    result = response_loss(model, hidden, labels, layout)
    (3 * result.loss_sum).backward()
    ours = hidden.grad, model.lm_head.weight.grad
    hidden.grad = model.lm_head.weight.grad = None
    logits = model.head(hidden)[layout.predicting]
    expected = F.cross_entropy(logits, labels[layout.predicting], reduction="sum")
    (3 * expected).backward()
    assert result.loss_sum.item() == pytest.approx(expected.item(), rel=1e-12)
    assert result.n_tokens == 6
    assert result.n_correct.item() == (logits.argmax(-1) == labels[layout.predicting]).sum().item() >= 1
    for a, b in zip(ours, (hidden.grad, model.lm_head.weight.grad), strict=True):
        torch.testing.assert_close(a, b)


def test_labels_outside_the_predicting_positions_are_never_read() -> None:
    model, layout = small_model(), build_layout([3], [2])
    hidden, labels = torch.randn(5, 32), torch.tensor([-100, -100, 7, 8, 9])
    assert torch.isfinite(response_loss(model, hidden, labels, layout).loss_sum)


def test_bfloat16_sums_in_float32() -> None:
    model, layout = small_model(), build_layout([1], [2000])
    generator = torch.Generator().manual_seed(0)
    hidden, labels = torch.randn(2001, 32, generator=generator), torch.randint(256, (2001,), generator=generator)
    exact = response_loss(model, hidden, labels, layout).loss_sum.item()
    low = response_loss(model, hidden.bfloat16(), labels, layout).loss_sum
    assert low.dtype == torch.float32
    assert low.item() == pytest.approx(exact, rel=1e-3)
