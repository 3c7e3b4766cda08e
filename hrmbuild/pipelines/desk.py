"""Where questions are asked: a package whose files were hashed, a role that may ask it, and what the role may read.

Owns that nothing answers before all of that is checked. It must not choose tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrmbuild.errors import InputError
from hrmbuild.inference.generate import Prompt, encode
from hrmbuild.inference.load import LoadedModel, load_package
from hrmbuild.packaging.verify import check_files, read_package_manifest
from hrmbuild.pipelines.access import check_role, readable_labels
from hrmbuild.pipelines.retrieve import Library, asking_templates, check_prompt_template

ANSWER_ROOM = 8
"""Passages leave this part of the context to the answer: an eighth, 64 tokens of nano's 512."""


@dataclass(frozen=True)
class Asked:
    """What the model reads, and where the passages in it stand."""

    prompt: Prompt
    sources: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Desk:
    """A package that a role may ask, and what of a corpus the role may read."""

    loaded: LoadedModel
    library: Library | None

    @classmethod
    def open(cls, package: Path, *, role: str | None = None, corpus: Path | None = None) -> Desk:
        """Check every file and the role, before anything answers.

        Raises:
            InputError: the package or the corpus cannot be read, or a file of the package was altered.
            UsageError: `ask.unknown_role`, `ask.no_roles`, `ask.role_needed`.
            AnswerIsNoError: `ask.role_below_label`.
        """
        loaded = checked_package(package)
        manifest = read_package_manifest(package)
        asking = check_role(manifest, role)
        if corpus is None:
            return cls(loaded, None)
        labels, templates = readable_labels(manifest, asking), asking_templates()
        check_prompt_template(manifest, templates)
        return cls(loaded, Library(corpus, labels, templates=templates))

    def ask(self, question: str, condition: str) -> Asked:
        """The question as it stands, or behind the passages that fit it best."""
        if self.library is None:
            return Asked(Prompt(question, condition), ())
        shown = self.library.show(question, lambda instruction: self._fits(Prompt(instruction, condition)))
        return Asked(Prompt(shown.instruction, condition), tuple(shown.sources()))

    def _fits(self, prompt: Prompt) -> bool:
        room = self.loaded.context_tokens // ANSWER_ROOM
        return len(encode(self.loaded.tokenizer, prompt)) + room <= self.loaded.context_tokens


def checked_package(package: Path) -> LoadedModel:
    """The model, after every file of its package was hashed.

    Raises:
        InputError: the package cannot be loaded, or a file of it is missing, altered or was put in.
    """
    if not package.is_dir():
        raise InputError("package.not_found", "there is no package here", where=str(package),
                         fix="make one: hrmbuild package")  # fmt: skip
    check_files(package)
    return load_package(package)
