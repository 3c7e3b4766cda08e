"""`--init-from`: another model's weights as the start of a run.

Owns the checks that they can mean anything here: the same entries in the vocabulary, the same shapes. What those
weights were trained on stands outside the manifest, so the lineage becomes partial.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from hrmbuild.audit.evidence import TOKENIZER_NAME
from hrmbuild.errors import InputError, UsageError
from hrmbuild.inference.weight_files import read_weights
from hrmbuild.model.digest import weights_sha256
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.weights import load_state
from hrmbuild.pipelines.train_corpus import FrozenCorpus
from hrmbuild.tokens.tokenizer import load_tokenizer


@dataclass(frozen=True)
class InitialWeights:
    """Weights read from a folder, not yet in a model."""

    name: str
    """The folder's own name."""
    weights: dict[str, Tensor]
    sha256: str

    def load_into(self, model: LanguageModel) -> None:
        """Copy them into the model.

        Raises:
            InputError: `model.weights_do_not_fit`, naming every tensor.
        """
        load_state(model, self.weights, where=self.name)

    def lineage(self, corpus: str) -> str:
        """The run's lineage: the corpus is not all that shaped these weights."""
        outside = f"initial weights {self.sha256[:12]} of {self.name}, trained outside this corpus"
        return f"partial: {outside}" if corpus == "complete" else f"{corpus}; {outside}"


def initial_weights(folder: Path, frozen: FrozenCorpus) -> InitialWeights:
    """Read and check a folder with `model.safetensors` (or shards) and `tokenizer.json`.

    Raises:
        UsageError: `train.no_init_folder`, `train.other_vocabulary`.
        InputError: the weights cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(
            "train.no_init_folder", "this folder does not exist", where=f"--init-from {folder}", fix="check the path"
        )
    weights = read_weights(folder)
    _check_vocabulary(folder, frozen)
    return InitialWeights(folder.resolve().name, weights, weights_sha256(weights))


def _check_vocabulary(folder: Path, frozen: FrozenCorpus) -> None:
    path = folder / TOKENIZER_NAME
    if not path.is_file():
        raise InputError(
            "train.no_init_tokenizer",
            f"there is no {TOKENIZER_NAME} beside the weights",
            where=str(folder),
            why="without it nobody can tell which token each row of the embedding stands for",
            fix="copy the model's tokenizer.json into the folder",
        )
    theirs = load_tokenizer(path)
    if theirs.entries() != frozen.tokenizer.entries():
        raise UsageError(
            "train.other_vocabulary",
            f"the weights were trained with another vocabulary ({theirs.vocab_size:,} entries; "
            f"the manifest's has {frozen.tokenizer.vocab_size:,})",
            where=f"--init-from {folder}",
            why="each row of the embedding would stand for another token",
            fix="start from a model of the same tokenizer, or train from drawn weights without --init-from",
        )
