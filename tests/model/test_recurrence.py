"""The recurrence and its gradient routing against a naive HRM in float64, and MagicNorm's promise."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from small_models import small_config, small_model

from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.layers import Stack
from hrmbuild.model.layout import build_layout

PREFIX, RESPONSE = 5, 6


def norm(x: torch.Tensor) -> torch.Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()


def turn(x: torch.Tensor) -> torch.Tensor:
    half = x.shape[-1] // 2
    angle = torch.arange(x.shape[0], dtype=x.dtype)[:, None, None] / 10000.0 ** (torch.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()), -1)


def apply_stack(x: torch.Tensor, stack: Stack, n_heads: int) -> torch.Tensor:
    n_tokens, width = x.shape
    i = torch.arange(n_tokens)
    open_to = (i[None] < PREFIX) | (i[None] <= i[:, None])
    for block in stack.layers:
        gate, q, k, v = (norm(x) @ block.attn.gqkv_proj.weight.T).view(n_tokens, 4, n_heads, -1).unbind(1)
        scores = torch.einsum("inp,jnp->nij", turn(q), turn(k)) / (width // n_heads) ** 0.5
        mixed = torch.einsum("nij,jnp->inp", scores.masked_fill(~open_to, -torch.inf).softmax(-1), v)
        x = x + (gate.sigmoid() * mixed).reshape(n_tokens, width) @ block.attn.o_proj.weight.T
        g, u = (norm(x) @ block.mlp.gate_up_proj.weight.T).chunk(2, -1)
        x = x + (g * g.sigmoid() * u) @ block.mlp.down_proj.weight.T
    return norm(x)


def naive_hidden(model: LanguageModel, token_ids: torch.Tensor, k: int) -> torch.Tensor:
    """Unrolled, with every application before the last ones detached by hand."""
    n, core = model.config.n_heads, model.model
    embedded = core.embed_tokens.weight[token_ids] * model.config.hidden_size**0.5
    H1_has_graph, n_last_L = k >= 3, max(1, k - 2)
    z_H, z_L = embedded, core.z_L_init
    for _ in range(3):
        z_L = apply_stack(z_L + z_H, core.L_module, n).detach()
    z_H = apply_stack(z_H + z_L, core.H_module, n)
    z_H = z_H if H1_has_graph else z_H.detach()
    for i in range(3):
        z_L = apply_stack(z_L + z_H, core.L_module, n)
        z_L = z_L if i >= 3 - n_last_L else z_L.detach()
    return apply_stack(z_H + z_L, core.H_module, n)


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_gradients_equal_a_naive_float64_model(k: int) -> None:
    model = small_model(k).double()
    token_ids, labels = torch.randint(256, (2, PREFIX + RESPONSE), generator=torch.Generator().manual_seed(k))
    hidden = naive_hidden(model, token_ids, k)
    expected = F.cross_entropy(hidden[PREFIX - 1 :] @ model.lm_head.weight.T, labels[PREFIX - 1 :], reduction="sum")
    grads = torch.autograd.grad(expected, list(model.parameters()), allow_unused=True)
    result = model(token_ids, labels, build_layout([PREFIX], [RESPONSE]), k)
    result.loss_sum.backward()
    assert result.loss_sum.item() == pytest.approx(expected.item(), rel=1e-6)
    for (name, parameter), grad in zip(model.named_parameters(), grads, strict=True):
        assert (parameter.grad is None) == (grad is None), name
        if grad is not None:
            assert (parameter.grad - grad).abs().max() <= 1e-5 * grad.abs().max(), name


def test_the_embedding_gets_no_gradient_at_k_2() -> None:
    model = small_model()
    layout = build_layout([4], [4])
    ids = torch.arange(8)
    model(ids, ids, layout, 2).loss_sum.backward()
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert without == ["model.embed_tokens.weight"]


@pytest.mark.parametrize(
    ("k", "expected"), [(None, (0, 0)), (2, (1, 5)), (3, (0, 5)), (4, (0, 4)), (5, (0, 3)), (8, (0, 0))]
)
def test_H_is_served_first(k: int | None, expected: tuple[int, int]) -> None:
    assert small_config().first_recorded(k) == expected


@pytest.mark.parametrize("k", [1, 9])
def test_a_depth_that_does_not_exist_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match="between 2 and 8"):
        small_config().first_recorded(k)


def states_entering_exit_norms(model: LanguageModel, monkeypatch: pytest.MonkeyPatch, *, normed: bool) -> list[float]:
    """The mean square, which every norm must form, of the residual stream at each stack's end."""
    mean_squares: list[float] = []
    original = Stack.exit_norm

    def watch(self: Stack, x: torch.Tensor) -> torch.Tensor:
        mean_squares.append(x.square().mean().item())
        return original(self, x) if normed else x

    monkeypatch.setattr(Stack, "exit_norm", watch)
    ids = torch.arange(16)
    layout = build_layout([8], [8])
    with torch.no_grad():
        model.forward_hidden(ids, layout)
    return mean_squares


def test_the_residual_stream_stays_bounded_over_64_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = states_entering_exit_norms(small_model(H_cycles=64), monkeypatch, normed=True)
    assert len(seen) == 256
    assert max(seen[128:]) < 2 * max(seen[:16])


def test_without_the_exit_norm_float32_overflows_before_cycle_40(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = states_entering_exit_norms(small_model(H_cycles=40), monkeypatch, normed=False)
    assert not torch.isfinite(torch.tensor(seen[-1]))


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_gradients_stay_bounded_over_64_cycles(k: int) -> None:
    ids, layout = torch.arange(16), build_layout([8], [8])
    norms = []
    for cycles in (2, 64):
        model = small_model(H_cycles=cycles)
        model(ids, ids.flip(0), layout, k).loss_sum.backward()
        grads = [p.grad for name, p in model.named_parameters() if p.grad is not None and "_module" in name]
        norms.append(torch.cat([grad.flatten() for grad in grads]).norm().item())
    assert norms[1] < 4 * norms[0]
