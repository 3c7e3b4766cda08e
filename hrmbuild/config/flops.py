"""Operations of one token by formula, and the weights of a model by formula.

Owns the numbers that plans, receipts and shares of the matrix peak are made of; plain arithmetic, so that a plan needs
no torch. It must not measure. One multiply-add counts as two operations; norms, RoPE and gates (below 1 %) are left
out, and so is what a flash kernel computes twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from hrmbuild.config.model import ModelConfig


@dataclass(frozen=True)
class Flops:
    """FLOPs of one token in one training pass."""

    stacks: float
    """Matrix products of the stacks, forward and backward."""
    attention: float
    """Scores and weighted sums, forward and backward."""
    head: float
    """Logits, forward and backward, at the share of positions that predict."""

    @property
    def total(self) -> float:
        """All three."""
        return self.stacks + self.attention + self.head


def layer_weights(config: ModelConfig) -> int:
    """Weights of one block: 5 d^2 of attention, 3 d f of SwiGLU."""
    d = config.hidden_size
    return 5 * d * d + 3 * d * config.intermediate_size


def applied_layers(config: ModelConfig, k: int | None) -> tuple[int, int]:
    """Layer applications of a forward pass, and how many of them record a graph."""
    layers, n = config.layers_per_stack, config.n_applications
    if config.arch in ("hrm", "trm"):
        first_H, first_L = config.first_recorded(k)
        return n * layers, (n - first_H - first_L) * layers
    total = {"transformer": 2 * layers, "ut": max(1, n // 2) * 2 * layers, "rins": n * layers}[config.arch]
    return total, total


def flops_per_token(
    config: ModelConfig, *, k: int | None, keys_per_token: float, response_fraction: float = 1.0
) -> Flops:
    """FLOPs of one token, forward and backward.

    Args:
        k: recorded stack applications; None records all.
        keys_per_token: keys a token visits on average (with a dense kernel: the row length).
        response_fraction: share of the tokens whose logits are computed.
    """
    forward, recorded = applied_layers(config, k)
    weights, d = layer_weights(config), config.hidden_size
    return Flops(
        stacks=2.0 * weights * (forward + 2 * recorded),
        attention=4.0 * d * keys_per_token * (forward + 2 * recorded),
        head=6.0 * config.vocab_size * d * response_fraction,
    )


def forward_flops_per_token(config: ModelConfig, *, keys_per_token: float) -> float:
    """FLOPs of one token read or generated, with its logits."""
    forward, _ = applied_layers(config, None)
    d = config.hidden_size
    return forward * (2.0 * layer_weights(config) + 4.0 * d * keys_per_token) + 2.0 * config.vocab_size * d


def n_parameters(config: ModelConfig) -> int:
    """Trained weights (the frozen z_L_init is not among them)."""
    layers = config.layers_per_stack * (1 if config.arch == "trm" else 2)
    return layers * layer_weights(config) + 2 * config.vocab_size * config.hidden_size
