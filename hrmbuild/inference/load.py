"""From a folder on disk to a model that answers: a package, or a checkpoint's averaged weights.

Owns finding the pieces and refusing those that do not fit. It must not verify hashes (that is `verify`'s work), and it
must not import training: a checkpoint is its files. Weights are loaded as float32 whatever they are stored in: greedy
answers are defined for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from hrmbuild.config.model import ModelConfig
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import strict_json
from hrmbuild.inference.stored_weights import StoredWeights
from hrmbuild.inference.transformers_config import model_config
from hrmbuild.inference.weight_files import read_weights
from hrmbuild.model import build_model
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.weights import State, fused_layout, load_state
from hrmbuild.shards import ShardFiles
from hrmbuild.tokens.tokenizer import TextTokenizer, load_tokenizer

CONFIG_NAME = "config.json"
TOKENIZER_NAME = "tokenizer.json"
EMA_KIND = "ema"
_COPY_AGAIN = "run hrmbuild verify on the folder; then package the run again, or copy the package again"


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to answer."""

    model: LanguageModel
    tokenizer: TextTokenizer
    folder: Path

    @property
    def context_tokens(self) -> int:
        """Longest sequence, prompt and answer together."""
        return self.model.config.context_tokens


def load_package(folder: Path, *, device: torch.device | str = "cpu") -> LoadedModel:
    """Load a packaged model.

    Raises:
        InputError: no package there, or a piece of it is missing, unreadable or does not fit the others.
    """
    if not folder.is_dir():
        raise InputError("package.not_found", "there is no package here", where=str(folder),
                         fix="make one: hrmbuild package")  # fmt: skip
    config_path = folder / CONFIG_NAME
    config = model_config(read_json_object(config_path), where=str(config_path))
    model = model_from_state(config, _stored(folder), where=str(folder), device=device)
    return LoadedModel(model, load_tokenizer(folder / TOKENIZER_NAME), folder)


def load_checkpoint(
    folder: Path, *, config: ModelConfig, tokenizer: TextTokenizer, device: torch.device | str = "cpu"
) -> LoadedModel:
    """Load the averaged (EMA) weights of a checkpoint folder `step_000120`.

    Raises:
        InputError: the weights are missing, unreadable or do not fit `config`.
    """
    model = model_from_state(config, read_ema(folder), where=str(folder), device=device)
    return LoadedModel(model, tokenizer, folder)


def read_ema(checkpoint: Path) -> State:
    """The averaged weights of a checkpoint, by fused name, whole whatever number of ranks wrote them.

    Raises:
        InputError: they are missing or unreadable.
    """
    try:
        return dict(ShardFiles(checkpoint, EMA_KIND))
    except InputError as error:
        raise _unreadable(checkpoint, ValueError(error.what)) from error
    except SafetensorError as error:
        raise _unreadable(checkpoint, error) from error


def read_safely(folder: Path) -> State:
    """All tensors of a folder of weights.

    Raises:
        InputError: they are missing or unreadable.
    """
    try:
        return read_weights(folder)
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise _unreadable(folder, error) from error


def _stored(folder: Path) -> StoredWeights:
    try:
        return StoredWeights.of_folder(folder)
    except InputError as error:
        raise InputError("package.unreadable", error.what, where=error.where, fix=_COPY_AGAIN) from error


def model_from_state(
    config: ModelConfig, state: Mapping[str, Tensor], *, where: str, device: torch.device | str = "cpu"
) -> LanguageModel:
    """A float32 model in evaluation mode that holds these weights; fused ones are read one at a time.

    Raises:
        InputError: tensors are missing, unexpected or of another shape.
    """
    with torch.device("meta"):
        model = build_model(config)
    float32: dict[str, Tensor] = {}
    shapes: dict[str, Tensor] = {}
    for name, tensor in _one_by_one(state, model):
        shapes[name] = tensor.to("meta")
        float32[name] = _laid_out(name, tensor.to(torch.float32), device=device)
    # On the meta device this compares names and shapes and takes no memory, whatever an altered config claims.
    load_state(model, shapes, where=where)
    model.load_state_dict(float32, assign=True)
    return model.to(device).eval().requires_grad_(False)


def _laid_out(name: str, tensor: Tensor, *, device: torch.device | str) -> Tensor:
    """The matrix with its columns in one piece: CPUs multiply a few tokens with it in about half the time."""
    is_multiplied = tensor.dim() == 2 and "embed_tokens" not in name and torch.device(device).type == "cpu"
    return tensor.t().contiguous().t() if is_multiplied else tensor


def _one_by_one(state: Mapping[str, Tensor], model: LanguageModel) -> Iterator[tuple[str, Tensor]]:
    """Split names must be put together, which takes all of them at once."""
    if state.keys() <= model.state_dict().keys():
        return ((name, state[name]) for name in state)
    return iter(fused_layout(state).items())


def read_json_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds one object.

    Raises:
        InputError: it is missing, no JSON, or no object.
    """
    try:
        value = strict_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(value, dict):
        raise _unreadable(path, ValueError("it holds no JSON object"))
    return value


def _unreadable(path: Path, error: Exception) -> InputError:
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return InputError(
        "package.unreadable",
        f"cannot read this: {told}",
        where=str(path),
        fix=_COPY_AGAIN,
    )
