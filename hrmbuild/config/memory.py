"""Memory of one rank in training, by part and by formula.

Owns the numbers that plans are made of; plain arithmetic, so that a plan needs no torch. It must not measure: the tests
hold every part against counted tensors. Formulas follow the code: `model/layers.py` and `model/attention_*.py` decide
what a layer keeps for backward, `model/loss.py` what the head holds, `training/optimizer.py` the state of a weight.
Left out: what the driver and the allocator take for themselves; see `AVAILABLE` for the room that is left to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hrmbuild.config.flops import n_parameters
from hrmbuild.config.model import ModelConfig

Sharding = Literal["none", "ddp", "fsdp"]
"""none: one rank; ddp: every rank holds all; fsdp: states divided, matrices gathered in the compute type."""

GIB = 2**30
AVAILABLE = 0.92
"""Share of a GPU's memory that tensors may fill; the rest is for CUDA's context, kernels' workspace, fragmentation."""
MICRO_BATCH_MULTIPLE = 256
"""Largest micro-batches are told in this step, in tokens."""
CHUNK_LOGITS = {"cpu": 1 << 20, "cuda": 1 << 27}
"""Logits held at once, as in `model/loss.py`."""


@dataclass(frozen=True)
class Setup:
    """What the memory of a rank depends on beside the model."""

    k: int | None
    """Recorded stack applications: the largest k of the run, since memory grows with it; None: all."""
    micro_tokens: int
    """Tokens of one micro-batch of one rank."""
    row_tokens: float
    """Keys a token attends over in a padded row (CPU): about the length of a sequence."""
    response_fraction: float = 1.0
    """Share of the tokens that predict a label."""
    compute_bytes: Literal[2, 4] = 2
    """Bytes of a number in the stacks: 2 for bfloat16, 4 for float32."""
    device: Literal["cpu", "cuda"] = "cuda"
    ranks: int = 1
    sharding: Sharding = "none"
    micro_batches: int = 1
    """Of one rank in a step; from two on, whole gradients are kept between them."""


@dataclass(frozen=True)
class Memory:
    """Bytes of one rank at the start of a backward pass, where a step needs most."""

    masters: float
    """float32 weights."""
    moments: float
    """Adam-atan2's two."""
    ema: float
    """The averaged weights."""
    gradients: float
    """float32, of the micro-batches before."""
    compute_copy: float
    """Matrices of the stacks in the compute type (none in float32 on one rank); sharded, all gathered matrices."""
    activations: float
    """What the recorded layers keep for backward, of one micro-batch."""
    logits: float
    """A chunk of logits, and the head's gradient, which is formed in the forward pass."""
    buckets: float
    """DDP's copy of the gradients for the exchange; with one micro-batch a step the gradients lie in it."""

    @property
    def total(self) -> float:
        """All parts."""
        return sum(vars(self).values())

    def as_gib(self) -> dict[str, float]:
        """Every part and their total, GiB."""
        parts = {name: round(value / GIB, 6) for name, value in vars(self).items()}
        return parts | {"total": round(self.total / GIB, 6)}


def recorded_applications(config: ModelConfig, k: int | None) -> int:
    """Stack applications that record a graph; each ends in an exit norm."""
    if config.arch in ("hrm", "trm"):
        return config.n_applications if k is None else k
    return {"transformer": 1, "ut": max(1, config.n_applications // 2), "rins": config.n_applications}[config.arch]


def recorded_layers(config: ModelConfig, k: int | None) -> int:
    """Layer applications that record a graph."""
    doubled = 2 if config.arch in ("transformer", "ut") else 1
    return recorded_applications(config, k) * config.layers_per_stack * doubled


def activation_bytes_per_token(config: ModelConfig, setup: Setup) -> float:
    """Bytes that the recorded layers keep for backward, a token of a micro-batch."""
    kept = _kept_on_cpu if setup.device == "cpu" else _kept_on_gpu
    layers, norms = recorded_layers(config, setup.k), recorded_applications(config, setup.k)
    head_rows = setup.response_fraction * config.hidden_size * setup.compute_bytes
    return layers * kept(config, setup) + norms * (config.hidden_size * setup.compute_bytes + 4) + head_rows


def _kept_on_gpu(config: ModelConfig, setup: Setup) -> float:
    """A layer on a GPU, not compiled: plain equations around a flash kernel in two passes.

    Widths d: both norms keep their input, both products their normed input (4); [gate | q | k | v] stays whole behind
    v (4); q and k rotated (2); keys and values gathered for the responses (2); the kernel's two outputs and their
    union (2); sigmoid(gate) and the gated sum (2). Widths f: [gate | up] (2), silu (1), product (1).
    """
    wide = 16 * config.hidden_size + 4 * config.intermediate_size
    return wide * setup.compute_bytes + 4 * (2 + config.n_heads)


def _kept_on_cpu(config: ModelConfig, setup: Setup) -> float:
    """A layer on a CPU: norms, attention and SwiGLU with their backward written out.

    Widths d: two normed inputs (2); q, k and v as rows (3, with their padding); attention's output, sigmoid(gate) and
    the gated sum (3). Widths f as on a GPU. The weights of attention: a row for each head.
    """
    wide = 8 * config.hidden_size + 4 * config.intermediate_size + config.n_heads * setup.row_tokens
    return wide * setup.compute_bytes + 4 * 2


def memory(config: ModelConfig, setup: Setup) -> Memory:
    """Bytes of one rank by part."""
    n = n_parameters(config)
    sharded = setup.sharding == "fsdp" and setup.ranks > 1
    share = setup.ranks if sharded else 1
    return Memory(
        masters=4 * n / share,
        moments=8 * n / share,
        ema=4 * n / share,
        gradients=4 * n / share + (4 * n if sharded and setup.micro_batches > 1 else 0),
        compute_copy=_copy(config, setup, sharded=sharded),
        activations=setup.micro_tokens * activation_bytes_per_token(config, setup),
        logits=_logits(config, setup),
        buckets=4 * n if setup.sharding == "ddp" and setup.ranks > 1 and setup.micro_batches > 1 else 0,
    )


def _copy(config: ModelConfig, setup: Setup, *, sharded: bool) -> float:
    head_and_embedding = 2 * config.vocab_size * config.hidden_size
    stacks = setup.compute_bytes * (n_parameters(config) - head_and_embedding)
    if sharded:
        return stacks + 4 * head_and_embedding
    return stacks if setup.compute_bytes < 4 else 0


def _logits(config: ModelConfig, setup: Setup) -> float:
    rows = max(1, CHUNK_LOGITS[setup.device] // config.vocab_size)
    rows = min(rows, setup.micro_tokens * setup.response_fraction)
    head = config.vocab_size * config.hidden_size
    narrow = setup.compute_bytes if setup.compute_bytes < 4 else 0
    return rows * config.vocab_size * (4 + narrow) + head * (4 + narrow)


def largest_micro_batch(config: ModelConfig, setup: Setup, *, memory_gib: float) -> int:
    """Most tokens of a micro-batch that fit a GPU of this size at this k; 0 where not even the states fit."""
    rest = memory(config, setup).total - setup.micro_tokens * activation_bytes_per_token(config, setup)
    room = AVAILABLE * memory_gib * GIB - rest
    tokens = int(room / activation_bytes_per_token(config, setup))
    return max(0, tokens // MICRO_BATCH_MULTIPLE * MICRO_BATCH_MULTIPLE)
