"""A checkpoint, format 1: `step_000120/` with safetensors shards and `state.json`, complete or absent; nothing pickled.

Shards: `weights.safetensors`, `moments.safetensors` (`m.<name>`, `v.<name>`, `t.<name>`), `ema.safetensors`,
`rng.safetensors`. `ema.safetensors` holds the names of `weights.safetensors`: the model that is evaluated and packaged.
With several writers `weights-00001-of-00004.safetensors` and so on, each with its rows of every tensor. Where they
belong stands in the file's metadata under `placement`: JSON {name: {"offset": [first row, 0, ...], "shape":
[of the whole]}}.
Scalars (`t.<name>`) stand in the first file; an `rng` file is its rank's own, and has no placement.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hrmbuild.fingerprint import hash_value
from hrmbuild.records.base import Noun, Sha256


class CheckpointFacts(Noun):
    """What `state.json` says of the checkpoint."""

    format: Literal[1] = 1
    hrmbuild: str
    step: int = Field(ge=0)
    """Optimizer updates done."""
    k: int
    """Backprop depth of the last update; 0 before the first."""
    content_root: Sha256
    tokenizer_sha256: Sha256
    config_sha256: Sha256
    """Of the run's resolved config."""
    weights_sha256: Sha256
    """Over the weights' names, dtypes, shapes and bytes, sorted by name: independent of sharding."""
    ema_sha256: Sha256
    """The same over the averaged weights."""
    files: dict[str, Sha256]
    """Every other file of the checkpoint."""
    metrics_sha256: Sha256
    """Head of the metrics chain at this step."""


class CheckpointState(CheckpointFacts):
    """`state.json`, written last."""

    state_sha256: Sha256
    """Hash of the canonical JSON of all other fields, so that an altered `state.json` is found too."""


def sealed(facts: CheckpointFacts) -> CheckpointState:
    """The state with its own hash."""
    values = facts.canonical()
    return CheckpointState(**values, state_sha256=hash_value(values))


def is_intact(state: CheckpointState) -> bool:
    """Whether a state says of itself what it is."""
    values = state.canonical()
    return values.pop("state_sha256") == hash_value(values)
