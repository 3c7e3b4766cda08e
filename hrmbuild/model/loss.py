"""Cross-entropy on the positions that predict a label, without ever holding all logits.

Owns sums and counts of one pack. It must not divide by anything and must not know ranks: who knows the whole step does.
A chunk's gradients are formed while its logits are in cache, in the forward pass; backward only scales them. So the
memory is one chunk of logits plus one gradient of the head.

Shapes: T tokens, R predicting rows, D width, V padded vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from hrmbuild.model.layout import PackLayout

_CHUNK_LOGITS = {"cpu": 1 << 20, "cuda": 1 << 27}
"""Logits held at once: about a core's second-level cache on a CPU, half a GiB in float32 on a GPU."""


class ResponseLoss(NamedTuple):
    """What one pack adds to a step."""

    loss_sum: Tensor
    """float32 scalar with a graph: summed negative log-likelihood in nats."""
    n_tokens: int
    """Labels in the sum."""
    n_correct: Tensor
    """int64 scalar: labels that were also the most likely token."""


def response_loss(model: nn.Module, hidden_TD: Tensor, labels_T: Tensor, layout: PackLayout) -> ResponseLoss:
    """Sum over the predicting positions: `forward_hidden`'s states, int64 labels in token order, read only there."""
    rows_RD, labels_R = (x.index_select(0, layout.predicting) for x in (hidden_TD, labels_T))
    return ResponseLoss(*_HeadCrossEntropy.apply(rows_RD, model.lm_head.weight, labels_R))


class _HeadCrossEntropy(torch.autograd.Function):
    """sum_r -log softmax(rows W^T)[r, label_r], gradients made chunk by chunk in forward."""

    @staticmethod
    def forward(ctx, rows_RD: Tensor, weight_VD: Tensor, labels_R: Tensor):
        compute_VD, needs_grad = weight_VD.to(rows_RD.dtype), any(ctx.needs_input_grad)
        wide = torch.promote_types(rows_RD.dtype, torch.float32)
        loss_sum, n_correct = rows_RD.new_zeros((), dtype=wide), labels_R.new_zeros(())
        grad_RD, grad_VD = torch.empty_like(rows_RD), torch.zeros_like(weight_VD, dtype=wide)
        n_rows = max(1, _CHUNK_LOGITS.get(rows_RD.device.type, 1 << 27) // weight_VD.shape[0])
        for rows, labels, grad_rows in zip(*(x.split(n_rows) for x in (rows_RD, labels_R, grad_RD)), strict=True):
            logits, at_label = rows.mm(compute_VD.t()).to(wide), labels[:, None]
            largest, guesses = logits.max(-1, keepdim=True)
            n_correct += (guesses == at_label).sum()
            true_logit = logits.gather(1, at_label)
            odds = logits.sub_(largest).exp_()
            normalizer = odds.sum(-1, keepdim=True)
            loss_sum += (normalizer.log() + largest - true_logit).sum()
            if needs_grad:
                share = odds.div_(normalizer).scatter_add_(1, at_label, -torch.ones_like(normalizer)).to(rows.dtype)
                torch.mm(share, compute_VD, out=grad_rows)
                grad_VD += share.t().mm(rows)
        ctx.save_for_backward(grad_RD, grad_VD.to(weight_VD.dtype))
        ctx.mark_non_differentiable(n_correct)
        return loss_sum, len(labels_R), n_correct

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        return *(grad * grad_outputs[0].to(grad.dtype) for grad in ctx.saved_tensors), None
