"""A training run: what was asked, on what machine, and what came of it. `run.json` and `result.json`, format 1.

Owns the types that training writes and packaging reads. No clock and no absolute path stands in them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hrmbuild.config.loading import canonical_settings
from hrmbuild.config.model import ModelConfig
from hrmbuild.fingerprint import hash_value
from hrmbuild.records.base import Noun, Sha256
from hrmbuild.records.included import RunIncludes


class MixStratum(Noun):
    """How an epoch shows one stratum."""

    weight: float | None = Field(default=None, gt=0)
    repeat: int = Field(ge=1)
    max_pairs_per_file: int | None = Field(default=None, ge=1)
    shown_millionths: int = Field(ge=1, le=1_000_000)
    """Of what caps and repeats leave, the share that an epoch shows: what weights and length came to."""


class RunMix(Noun):
    """The mix, as asked and as resolved."""

    epoch_tokens: int | None = Field(default=None, ge=1)
    """Length of an epoch, where it was asked for."""
    strata: dict[str, MixStratum]
    """Every stratum of the train split."""


class RunConfig(Noun):
    """Everything that decides the weights, resolved: no `auto` is left. Its hash names the run."""

    preset: str
    model: ModelConfig
    content_root: Sha256
    tokenizer_sha256: Sha256
    steps: int = Field(ge=1)
    """Optimizer updates."""
    batch_tokens: int = Field(ge=1)
    """Slots of a step over all ranks."""
    bins: int = Field(ge=1)
    """Equal parts of a step; the number of ranks divides it."""
    learning_rate: float = Field(gt=0)
    """Peak."""
    warm_up_steps: int = Field(ge=0)
    final_lr_fraction: float = Field(ge=0, le=1)
    """Cosine decay to this share of the peak; 1 stays constant."""
    ema_decay: float = Field(ge=0, lt=1)
    seed: int
    """Of the first weights and of the order of the pairs."""
    dtype: Literal["float32", "bfloat16"]
    """What the model computes in; masters are float32."""
    eval_every_steps: int = Field(ge=1)
    eval_pairs: int = Field(ge=1)
    checkpoint_every_steps: int = Field(ge=1)
    keep_checkpoints: int = Field(ge=1)
    repeats: dict[Sha256, int] = {}
    """Source files whose pairs stand in an epoch more than once."""
    mix: RunMix | None = None
    """Weights, caps and repeats of strata; absent: every epoch shows every pair."""
    init_weights_sha256: Sha256 | None = None
    """Digest of the weights that the run started from; absent: drawn from the seed."""
    includes: RunIncludes | None = None
    """Frozen corpora that were trained on too; absent: none, the manifest's own rows are all."""

    @property
    def training_root(self) -> str:
        """Root of all that is trained on."""
        return self.content_root if self.includes is None else self.includes.training_root


class Machine(Noun):
    """What the numbers were computed on: the same inputs on an equal machine give the same bits."""

    device: str
    """`cpu`, or the GPU's name."""
    ranks: int
    threads: int
    """CPU threads of each rank."""
    instruction_set: str
    """What torch's CPU kernels use, e.g. `AVX512`."""
    torch: str
    attention: str
    """Attention kernel."""
    sharding: Literal["ddp", "fsdp"] | None = None
    """How several ranks hold the model: every one all of it, or each its rows; absent: one rank."""
    compiled: bool | None = None
    """Whether torch.compile fused the blocks; absent: no."""


class RunRecord(Noun):
    """`run.json`, written before the first step."""

    format: Literal[1] = 1
    hrmbuild: str
    config: RunConfig
    config_sha256: Sha256
    settings_sha256: Sha256
    """Of the settings as asked, before defaults were decided: tells whether a run is the project's as it stands."""
    manifest_sha256: Sha256
    """Of the bytes of the manifest."""
    lineage: str
    """`complete`, or `partial: ...` with what is outside the corpus."""
    machine: Machine
    parameters: int
    """Trained weights."""
    train_pairs: int
    """Pairs in an epoch, repeats not counted."""
    epoch_tokens: int
    """Slots that an epoch fills."""
    too_long: dict[str, int] = {}
    """Pairs over the context by source path; they are not trained on."""
    token_files_sha256: Sha256 | None = None
    """Of the `token-files.json` that the run read: `verify --deep` encodes the manifest again and compares. Absent in
    the first runs."""
    accepted_insufficient: str | None = None
    """Why it was trained on a corpus that cannot carry its preset; absent: the corpus can, or nobody has to say."""


class DevScore(Noun):
    """Scores on held-out pairs, by the averaged weights."""

    loss: float
    """Mean negative log-likelihood of a response token, in nats."""
    n_tokens: int
    """Response tokens in that mean."""
    exact: float | None = None
    """Share of greedy answers that are exactly right."""
    n_pairs: int | None = None
    """Pairs answered."""


class RunResult(Noun):
    """`result.json`, written last: the run is finished."""

    format: Literal[1] = 1
    steps: int
    loss: float
    """Training loss of the last step, in nats a response token."""
    dev: DevScore | None = None
    """Absent where the dev split is empty."""
    tokens_per_s: float
    """Of the whole run but evaluations and checkpoints."""
    checkpoint: str
    """Name of the last checkpoint's folder."""
    weights_sha256: Sha256
    ema_sha256: Sha256
    """Digest of the averaged weights: what is packaged."""
    metrics_sha256: Sha256
    """Head of the metrics chain."""


def run_digest(config: RunConfig) -> str:
    """SHA-256 of the canonical JSON of a run's settings, floats as their shortest decimal text."""
    return hash_value(canonical_settings(config))
