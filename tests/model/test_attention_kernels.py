"""Every kernel against the dense reference, and what a pack must never leak."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import small_model

from hrmbuild.errors import UsageError
from hrmbuild.model.attention import AttentionBackend, AttentionPlan, choose_backend, rope_table
from hrmbuild.model.attention_flex import FlexPlan
from hrmbuild.model.attention_varlen import VarlenPlan
from hrmbuild.model.layout import build_layout

CPU = torch.device("cpu")
PACKS = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40)), min_size=1, max_size=6)


def varlen_in_float64(q, k, v, ends_q, ends_k, longest_q, longest_k, *, window_size):
    """The contract of `varlen_attn`: segments by their ends, causal aligned at the end."""
    out = []
    for (a, b), (c, d) in zip(ends_q.unfold(0, 2, 1).tolist(), ends_k.unfold(0, 2, 1).tolist(), strict=True):
        assert b > a and d > c, "empty segments hang the real kernels"
        assert b - a <= longest_q and d - c <= longest_k
        scores = torch.einsum("inp,jnp->nij", q[a:b], k[c:d]) / q.shape[-1] ** 0.5
        if window_size == (-1, 0):
            seen = torch.ones(b - a, d - c, dtype=torch.bool).tril(d - c - (b - a))
            scores = scores.masked_fill(~seen, -torch.inf)
        out.append(torch.einsum("nij,jnp->inp", scores.softmax(-1), v[c:d]))
    return torch.cat(out)


def gated(plan: AttentionPlan, gqkv: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Through the plan's own order and back to token order."""
    order = plan.slot_tokens
    positions = positions if order is None else positions[order]
    attention = plan.gated(rope_table(positions, head_dim=8, theta=10000.0), n_heads=2, dtype=gqkv.dtype)
    out = attention(gqkv if order is None else gqkv[order])
    return out if order is None else out[order.argsort()]


def value_and_gradient(plan: AttentionPlan, lengths: list[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    total = sum(map(sum, lengths))
    generator = torch.Generator().manual_seed(total)
    gqkv = torch.randn(total, 64, dtype=torch.float64, generator=generator, requires_grad=True)
    positions = torch.cat([torch.arange(prefix + response) for prefix, response in lengths])
    out = gated(plan, gqkv, positions)
    (out * torch.randn(out.shape, dtype=torch.float64, generator=generator)).sum().backward()
    return out.detach(), gqkv.grad


@settings(max_examples=25, deadline=None)
@given(PACKS)
def test_kernels_agree_with_the_dense_one_forward_and_backward(lengths: list[tuple[int, int]]) -> None:
    expected = value_and_gradient(AttentionBackend.DENSE.build_plan(lengths, CPU), lengths)
    for plan in (
        AttentionBackend.ROWS.build_plan(lengths, CPU),
        AttentionBackend.SDPA.build_plan(lengths, CPU),
        VarlenPlan(lengths, CPU, varlen_in_float64),
    ):
        for ours, reference in zip(value_and_gradient(plan, lengths), expected, strict=True):
            torch.testing.assert_close(ours, reference, atol=1e-6, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("lengths", [[(3, 4)], [(130, 20), (1, 0), (7, 150)]])
def test_flex_masks_as_the_dense_kernel(lengths: list[tuple[int, int]]) -> None:
    q, k, v = torch.randn(3, sum(map(sum, lengths)), 2, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        out = FlexPlan(lengths, CPU).attend(q, k, v)
    torch.testing.assert_close(out, AttentionBackend.DENSE.build_plan(lengths, CPU).attend(q, k, v))


@pytest.mark.parametrize("backend", [AttentionBackend.DENSE, AttentionBackend.ROWS, AttentionBackend.SDPA])
def test_changing_one_sequence_leaves_the_others_bit_identical(backend: AttentionBackend) -> None:
    model, layout = small_model(), build_layout([9, 5, 20], [8, 0, 13], backend=backend)
    ids = torch.randint(256, (layout.n_tokens,), generator=torch.Generator().manual_seed(0))
    changed = ids.clone()
    changed[17:22] = (changed[17:22] + 1) % 256
    before, after = model.forward_hidden(ids, layout), model.forward_hidden(changed, layout)
    others = torch.ones(layout.n_tokens, dtype=torch.bool)
    others[17:22] = False
    assert torch.equal(before[others], after[others])
    assert not torch.equal(before[~others], after[~others])


@pytest.mark.parametrize("backend", [AttentionBackend.DENSE, AttentionBackend.ROWS, AttentionBackend.SDPA])
def test_the_prefix_sees_both_ways_and_the_response_only_backward(backend: AttentionBackend) -> None:
    model, layout = small_model(), build_layout([6], [6], backend=backend)
    ids = torch.arange(12)
    base = model.forward_hidden(ids, layout)
    for changed in range(12):
        other = model.forward_hidden(ids.index_fill(0, torch.tensor([changed]), 99), layout)
        touched = (other != base).any(-1).nonzero().flatten().tolist()
        assert touched == (list(range(12)) if changed < 6 else list(range(changed, 12)))


def test_a_response_position_is_blind_to_what_follows() -> None:
    model, layout = small_model(), build_layout([3], [5])
    ids = torch.arange(8)
    base = model.forward_hidden(ids, layout)
    other = model.forward_hidden(ids.index_fill(0, torch.tensor([6]), 99), layout)
    assert torch.equal(base[:6], other[:6])
    assert not torch.equal(base[6], other[6])


def test_padding_at_the_end_changes_nothing() -> None:
    model = small_model()
    ids = torch.randint(256, (20,), generator=torch.Generator().manual_seed(0))
    plain, padded = build_layout([4, 6], [7, 3]), build_layout([4, 6], [7, 3], pad_to=33)
    assert padded.n_tokens == 33
    assert torch.equal(plain.predicting, padded.predicting)
    hidden = model.forward_hidden(torch.cat([ids, torch.zeros(13, dtype=torch.int64)]), padded)
    torch.testing.assert_close(hidden[:20], model.forward_hidden(ids, plain))


def test_the_last_prefix_token_and_every_response_token_predict() -> None:
    layout = build_layout([2, 1, 3], [2, 0, 1])
    assert layout.predicting.tolist() == [1, 2, 3, 4, 7, 8]
    assert layout.last_prefix.tolist() == [1, 4, 7]


@pytest.mark.parametrize(
    ("prefixes", "responses", "pad_to"), [([], [], None), ([0], [3], None), ([1], [-1], None), ([2], [2], 3)]
)
def test_impossible_packs_are_refused(prefixes: list[int], responses: list[int], pad_to: int | None) -> None:
    with pytest.raises(ValueError, match="no pack"):
        build_layout(prefixes, responses, pad_to=pad_to)


@pytest.mark.parametrize("backend", [AttentionBackend.FLEX, AttentionBackend.VARLEN])
def test_a_kernel_that_cannot_serve_says_why_and_nothing_takes_its_place(backend: AttentionBackend) -> None:
    reason = backend.why_unavailable(CPU, torch.float32)
    assert reason is not None and "CUDA" in reason
    with pytest.raises(UsageError, match=reason) as refused:
        build_layout([1], [1], backend=backend)
    assert refused.value.fix == "leave the choice open, or take 'rows'"


def test_a_cpu_takes_rows() -> None:
    assert choose_backend(CPU, torch.bfloat16) == AttentionBackend.ROWS
