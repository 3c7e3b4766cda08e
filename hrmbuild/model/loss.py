"""Cross-entropy on the positions that predict a label, without ever holding all logits.

Owns sums and counts of one pack. It must not divide by anything and must not know ranks: who knows the whole step does.
The gradients of a chunk of logits are formed while the chunk is in cache, in the forward pass; backward only scales
them. So the memory is one chunk of logits plus one gradient of the head.

Shapes: T tokens, R predicting rows, D width, V padded vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

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


class _Head(Protocol):
    lm_head: torch.nn.Linear


def response_loss(model: _Head, hidden_TD: Tensor, labels_T: Tensor, layout: PackLayout) -> ResponseLoss:
    """Sum the loss over the predicting positions of a pack.

    Args:
        hidden_TD: [T, D] from `forward_hidden`.
        labels_T: [T] int64, token order; read only where `layout.predicting` points.
    """
    rows_RD = hidden_TD.index_select(0, layout.predicting)
    labels_R = labels_T.index_select(0, layout.predicting)
    loss_sum, n_correct = _HeadCrossEntropy.apply(rows_RD, model.lm_head.weight, labels_R)
    return ResponseLoss(loss_sum, len(labels_R), n_correct)


class _HeadCrossEntropy(torch.autograd.Function):
    """sum_r -log softmax(rows W^T)[r, label_r], gradients made chunk by chunk in forward."""

    @staticmethod
    def forward(ctx, rows_RD: Tensor, weight_VD: Tensor, labels_R: Tensor):
        needs_grad = any(ctx.needs_input_grad)
        compute_VD = weight_VD.to(rows_RD.dtype)
        wide = torch.promote_types(rows_RD.dtype, torch.float32)
        loss_sum = torch.zeros((), dtype=wide, device=rows_RD.device)
        n_correct = torch.zeros((), dtype=torch.int64, device=rows_RD.device)
        grad_RD = torch.empty_like(rows_RD) if needs_grad else None
        grad_VD = torch.zeros_like(weight_VD, dtype=wide) if needs_grad else None
        n_rows = max(1, _CHUNK_LOGITS.get(rows_RD.device.type, 1 << 27) // weight_VD.shape[0])
        for start in range(0, len(labels_R), n_rows):
            rows, labels = rows_RD[start : start + n_rows], labels_R[start : start + n_rows]
            logits = rows.mm(compute_VD.t()).to(wide)
            n_correct += (logits.argmax(-1) == labels).sum()
            log_normalizer = logits.logsumexp(-1, keepdim=True)
            at_label = labels[:, None]
            loss_sum += (log_normalizer - logits.gather(1, at_label)).sum()
            if grad_RD is not None and grad_VD is not None:
                grad = (logits - log_normalizer).exp_().scatter_add_(1, at_label, logits.new_full(at_label.shape, -1))
                grad = grad.to(rows.dtype)
                torch.mm(grad, compute_VD, out=grad_RD[start : start + n_rows])
                grad_VD += grad.t().mm(rows)
        ctx.save_for_backward(grad_RD, None if grad_VD is None else grad_VD.to(weight_VD.dtype))
        ctx.mark_non_differentiable(n_correct)
        return loss_sum, n_correct

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        grad_RD, grad_VD = ctx.saved_tensors
        scale = grad_outputs[0]
        return grad_RD * scale.to(grad_RD.dtype), grad_VD * scale.to(grad_VD.dtype), None
