"""The presets: sizes by name, each with the training defaults that belong to it.

Owns the table. B to XXL_wide are the paper's (arXiv 2605.20613); nano, tiny and small are ours, for laptops and tests.
Layers are counted per stack: the paper's "32 layers" of XL are 16 here, twice.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

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


def _preset(name: str, *, layers: int, width: int, heads: int, **training: Any) -> Preset:
    shape = {"layers_per_stack": layers, "hidden_size": width, "n_heads": heads, "head_dim": width // heads}
    return Preset(name=name, **shape, **training)


def _row(context_tokens: int, batch_tokens: int, learning_rate: float, storage_dtype: StorageDtype) -> dict[str, Any]:
    return {
        "context_tokens": context_tokens,
        "batch_tokens": batch_tokens,
        "learning_rate": learning_rate,
        "storage_dtype": storage_dtype,
    }


_TABLE = (
    _preset("nano", layers=2, width=128, heads=2, **_row(512, 2_048, 2e-3, "float32")),
    _preset("tiny", layers=4, width=256, heads=4, **_row(1_024, 8_192, 1e-3, "float32")),
    _preset("small", layers=8, width=512, heads=8, **_row(2_048, 32_768, 6e-4, "float32")),
    _preset("B", layers=6, width=1024, heads=8, **_row(4_096, 131_072, 3e-4, "bfloat16")),
    _preset("L", layers=12, width=1280, heads=10, **_row(4_096, 172_032, 2.5e-4, "bfloat16")),
    _preset("XL", layers=16, width=1536, heads=12, **_row(4_096, 196_608, 2.2e-4, "bfloat16")),
    _preset("XXL", layers=36, width=1792, heads=14, **_row(4_096, 262_144, 1.8e-4, "bfloat16")),
    _preset("XXL_wide", layers=16, width=2560, heads=20, **_row(4_096, 262_144, 1.6e-4, "bfloat16")),
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in _TABLE}
"""By name, smallest first."""
