"""The shape of a model: every number that decides which weights exist.

Owns `ModelConfig`, stored with each run and each package. It must not hold anything about training (batch, rate, steps)
or about the machine (device, dtype, attention backend). Source: arXiv 2605.20613, section "Architecture".
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

VOCAB_MULTIPLE = 256
"""Vocabularies and feed-forward widths are padded up to this multiple, as the released weights are."""

Arch = Literal["hrm", "transformer", "trm", "ut", "rins"]
"""hrm: the model. The others are baselines with the same head, data and optimizer; only the core differs."""

Positive = Annotated[int, Field(ge=1)]


class ModelConfig(BaseModel):
    """Everything needed to build a model on the meta device. Frozen; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arch: Arch = "hrm"
    """Which core; only `hrm` can be packaged for other libraries."""
    vocab_size: Annotated[int, Field(ge=VOCAB_MULTIPLE, multiple_of=VOCAB_MULTIPLE)]
    """Rows of embedding and head, in tokens, already padded."""
    hidden_size: Positive
    """Width d of the residual stream."""
    n_heads: Positive
    """Attention heads; every head has its own keys and values."""
    head_dim: Annotated[int, Field(ge=2, multiple_of=2)]
    """Width of one head; even, because RoPE rotates halves."""
    layers_per_stack: Positive
    """Blocks in the H stack, and again in the L stack."""
    expansion: Annotated[float, Field(gt=0)] = 4.0
    """Feed-forward width over d before the 2/3 that SwiGLU's third matrix costs."""
    H_cycles: Positive = 2
    """Applications of the slow stack in one forward pass."""
    L_cycles: Positive = 3
    """Applications of the fast stack before each one of the slow stack."""
    context_tokens: Positive
    """Longest sequence, prefix and response together."""
    rope_theta: Annotated[float, Field(gt=0)] = 10000.0
    """Base of the rotary frequencies."""
    norm_eps: Annotated[float, Field(gt=0)] = 1e-6
    """Added to the mean square inside RMSNorm."""

    @model_validator(mode="after")
    def _heads_fill_the_width(self) -> ModelConfig:
        if self.n_heads * self.head_dim != self.hidden_size:
            raise ValueError(
                f"n_heads x head_dim must equal hidden_size ({self.n_heads} x {self.head_dim} is not "
                f"{self.hidden_size}): change model.n_heads or model.head_dim"
            )
        return self

    @property
    def intermediate_size(self) -> int:
        """Feed-forward width: round(expansion * d * 2/3), up to a multiple of 256."""
        width = round(self.expansion * self.hidden_size * 2 / 3)
        return -(-width // VOCAB_MULTIPLE) * VOCAB_MULTIPLE

    @property
    def n_applications(self) -> int:
        """Stack applications in one forward pass of the two-level loop (8 with the defaults)."""
        return self.H_cycles * (self.L_cycles + 1)

    @property
    def embedding_scale(self) -> float:
        """sqrt(d): undoes the 1/sqrt(d) of the embedding's initialisation."""
        return self.hidden_size**0.5

    def first_recorded(self, k: int | None) -> tuple[int, int]:
        """Index of the first application of H that records a graph, among the H's, and of L among the L's.

        H is served first: min(H_cycles, k - 1) of the k go to the last H's, the rest to the last L's. None records all.

        Raises:
            ValueError: k = 1 would cut the loss off from a stack; more than all applications do not exist.
        """
        if k is None:
            return 0, 0
        if not 2 <= k <= self.n_applications:
            raise ValueError(f"k must lie between 2 and {self.n_applications}, got {k}")
        n_recorded_H = min(self.H_cycles, k - 1)
        return self.H_cycles - n_recorded_H, self.H_cycles * self.L_cycles - (k - n_recorded_H)
