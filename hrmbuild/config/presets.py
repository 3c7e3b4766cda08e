"""The presets: sizes by name, each with the training defaults that belong to it.

Owns the table. B to XXL_wide are the paper's (arXiv 2605.20613); nano, tiny and small are ours, for laptops and tests.
Layers are counted per stack: the paper's "32 layers" of XL are 16 here, twice.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hrmbuild.config.model import Arch, ModelConfig

StorageDtype = Literal["float32", "bfloat16"]


class Preset(BaseModel):
    """One row of the table. Frozen; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """The word after `--preset`."""
    layers_per_stack: Annotated[int, Field(ge=1)]
    """Blocks in each of the two stacks."""
    hidden_size: Annotated[int, Field(ge=1)]
    """Width d."""
    n_heads: Annotated[int, Field(ge=1)]
    """Attention heads."""
    head_dim: Annotated[int, Field(ge=2)]
    """Width of a head: 128 in the paper's sizes, 64 below them so that a small model still has several heads."""
    context_tokens: Annotated[int, Field(ge=1)]
    """Longest sequence in tokens."""
    batch_tokens: Annotated[int, Field(ge=1)]
    """Tokens in one optimizer step over all ranks."""
    learning_rate: Annotated[float, Field(gt=0)]
    """Peak rate of Adam-atan2; published for L and XL, otherwise scaled between those and our pilots."""
    storage_dtype: StorageDtype
    """Dtype of packaged weights: float32 where rounding would cost answers and size does not matter."""

    def model_config_for(self, vocab_size: int, *, arch: Arch = "hrm") -> ModelConfig:
        """The model's shape for a padded vocabulary of `vocab_size` tokens."""
        return ModelConfig(
            arch=arch,
            vocab_size=vocab_size,
            hidden_size=self.hidden_size,
            n_heads=self.n_heads,
            head_dim=self.head_dim,
            layers_per_stack=self.layers_per_stack,
            context_tokens=self.context_tokens,
        )


def _preset(
    name: str,
    layers: int,
    width: int,
    heads: int,
    *,
    context: int,
    batch: int,
    rate: float,
    dtype: StorageDtype,
) -> Preset:
    return Preset(
        name=name,
        layers_per_stack=layers,
        hidden_size=width,
        n_heads=heads,
        head_dim=width // heads,
        context_tokens=context,
        batch_tokens=batch,
        learning_rate=rate,
        storage_dtype=dtype,
    )


_TABLE = (
    _preset("nano", 2, 128, 2, context=512, batch=4_096, rate=2e-3, dtype="float32"),
    _preset("tiny", 4, 256, 4, context=1_024, batch=8_192, rate=1e-3, dtype="float32"),
    _preset("small", 8, 512, 8, context=2_048, batch=32_768, rate=6e-4, dtype="float32"),
    _preset("B", 6, 1024, 8, context=4_096, batch=131_072, rate=3e-4, dtype="bfloat16"),
    _preset("L", 12, 1280, 10, context=4_096, batch=172_032, rate=2.5e-4, dtype="bfloat16"),
    _preset("XL", 16, 1536, 12, context=4_096, batch=196_608, rate=2.2e-4, dtype="bfloat16"),
    _preset("XXL", 36, 1792, 14, context=4_096, batch=262_144, rate=1.8e-4, dtype="bfloat16"),
    _preset("XXL_wide", 16, 2560, 20, context=4_096, batch=262_144, rate=1.6e-4, dtype="bfloat16"),
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in _TABLE}
"""By name, smallest first."""
