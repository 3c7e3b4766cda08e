"""A checkpoint, format 1: `step_000120/` with safetensors shards and `state.json`, complete or absent; nothing pickled.

Shards: `weights.safetensors`, `moments.safetensors` (`m.<name>`, `v.<name>`, `t.<name>`), `ema.safetensors`, `rng.safetensors`; with
several writers `weights-00001-of-00004.safetensors` …, each tensor's global offsets in the file's metadata.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hrmbuild.records.base import Noun, Sha256


class CheckpointState(Noun):
    """`state.json`, written last."""

    format: Literal[1] = 1
    hrmbuild: str
    step: int = Field(ge=0)
    """Optimizer updates done."""
    k: int
    """Backprop depth of the last update."""
    content_root: Sha256
    tokenizer_sha256: Sha256
    config_sha256: Sha256
    """Of the run's resolved config."""
    weights_sha256: Sha256
    """Over the weights' names, dtypes, shapes and bytes, sorted by name: independent of sharding."""
    files: dict[str, Sha256]
    """Every other file of the checkpoint."""
    metrics_sha256: Sha256
    """Head of the metrics chain at this step."""
