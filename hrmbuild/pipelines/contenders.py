"""What `--against` names: a package, a finished run (a plain Transformer of the same FLOPs), or another model's folder.

Owns telling them apart and the figures that stand beside their scores: parameters and training FLOPs where they are
known. It must not ask or score.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrmbuild.audit.evidence import TOKENIZER_NAME
from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError, UsageError
from hrmbuild.evaluation.foreign_model import ForeignModel
from hrmbuild.evaluation.scores import Contender, packaged_contender
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.inference.load import load_package, model_from_state
from hrmbuild.packaging.verify import check_files, read_package_manifest
from hrmbuild.pipelines.finished_run import read_finished_run
from hrmbuild.pipelines.frozen_corpus import frozen_folder
from hrmbuild.pipelines.package_facts import total_flops
from hrmbuild.tokens.tokenizer import TextTokenizer


@dataclass(frozen=True)
class Opponent:
    """A contender with what is known of it."""

    contender: Contender
    what: str
    """`package, hrm`, `run, transformer`, `folder`."""
    parameters: int
    training_flops: float | None
    """None: nobody recorded them."""
    same_corpus: bool | None
    """Whether it was trained on the corpus of the package that is scored; None: unknown."""


def opponents(project: Project, paths: Sequence[Path], *, corpus: str, taken: Sequence[str]) -> list[Opponent]:
    """Load everything that `--against` names.

    Args:
        corpus: content root of the scored package's corpus.
        taken: names of columns that are in use.

    Raises:
        UsageError: `eval.against_unknown`, `eval.against_needs`, or a run has not finished.
        InputError: what is named is altered, unreadable or wants its own code to be run.
    """
    found: list[Opponent] = []
    for path in paths:
        name = _free_name(path.resolve().name, [*taken, *(one.contender.name for one in found)])
        found.append(_opponent(project, path, name=name, corpus=corpus))
    return found


def training_flops(package: Path) -> float | None:
    """What the package's receipts say of its training; None where they don't."""
    try:
        receipts: dict[str, Any] = json.loads((package / "receipts.json").read_bytes())
        return float(receipts["flops"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _free_name(name: str, taken: Sequence[str]) -> str:
    plain = " ".join(name.replace("(", " ").replace(")", " ").replace(",", " ").split()) or "other"
    options = [plain, *(f"{plain} {number}" for number in range(2, len(taken) + 3))]
    return next(option for option in options if option not in taken)


def _opponent(project: Project, path: Path, *, name: str, corpus: str) -> Opponent:
    if (path / "run.json").is_file():
        return _run(project, path, name=name, corpus=corpus)
    if (path / "manifest.json").is_file() and (path / "corpus-manifest.json").is_file():
        return _package(path, name=name, corpus=corpus)
    if (path / "config.json").is_file():
        model = ForeignModel(path)
        return Opponent(Contender(name, model.answer), "folder", model.parameters, None, None)
    raise UsageError("eval.against_unknown", "this is no package, no run and no model folder", where=str(path),
                     fix="name a folder that hrmbuild package or train wrote, or one with config.json")  # fmt: skip


def _package(path: Path, *, name: str, corpus: str) -> Opponent:
    check_files(path)
    manifest, loaded = read_package_manifest(path), load_package(path)
    parameters = sum(tensor.numel() for tensor in loaded.model.parameters())
    contender = packaged_contender(name, loaded.model, loaded.tokenizer)
    same = manifest.corpus_content_root == corpus
    return Opponent(contender, f"package, {manifest.arch}", parameters, training_flops(path), same)


def _run(project: Project, path: Path, *, name: str, corpus: str) -> Opponent:
    finished = read_finished_run(path)
    config = finished.record.config
    data = (frozen_folder(project, finished.record.manifest_sha256) / TOKENIZER_NAME).read_bytes()
    if sha256_hex(data) != config.tokenizer_sha256:
        raise InputError("eval.against_tokenizer", "the manifest's tokenizer is not the one of this run",
                         where=str(path), fix="restore the manifest's folder")  # fmt: skip
    model = model_from_state(config.model, finished.averaged_weights(), where=str(path))
    contender = packaged_contender(name, model, TextTokenizer(data))
    same = config.content_root == corpus
    what = f"run, {config.model.arch}"
    return Opponent(contender, what, finished.record.parameters, total_flops(finished), same)
