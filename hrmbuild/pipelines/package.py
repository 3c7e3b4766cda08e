"""`hrmbuild package`: a finished run becomes a folder that `transformers` loads.

Owns the order: everything that could refuse is asked first, the dev split is scored for the card, then the folder is
written. It must not know any file's layout: `packaging` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hrmbuild.assets import asset_folder
from hrmbuild.audit.evidence import TOKENIZER_NAME
from hrmbuild.audit.manifest import load_manifest_bytes, read_manifest
from hrmbuild.config.loading import Project
from hrmbuild.config.presets import PRESETS
from hrmbuild.errors import InputError
from hrmbuild.evaluation.baselines import baselines_from
from hrmbuild.evaluation.questions import drawn_pairs
from hrmbuild.evaluation.scores import Evaluation, evaluate
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.inference.generate import Prompt, encode
from hrmbuild.inference.load import model_from_state
from hrmbuild.model.weights import State
from hrmbuild.packaging.card import card_owner
from hrmbuild.packaging.card_facts import CardOwner
from hrmbuild.packaging.probe import answer_logits
from hrmbuild.packaging.write import PackageContents, StorageDtype, refuse_existing, write_package
from hrmbuild.pairs.prompt import OPEN_BOOK
from hrmbuild.pipelines.finished_run import FinishedRun, newest_run, read_finished_run
from hrmbuild.pipelines.frozen_corpus import frozen_folder, frozen_pairs
from hrmbuild.pipelines.identity import project_templates
from hrmbuild.pipelines.package_facts import card_facts, receipts_of
from hrmbuild.pipelines.progress import Progress, SilentProgress
from hrmbuild.pipelines.scorings import n_scorings
from hrmbuild.records.package import PackageManifest
from hrmbuild.records.pair import Pair, Split
from hrmbuild.tokens.tokenizer import TextTokenizer

CARD_PAIRS = 300
"""Dev pairs scored for the card: a share of 0.9 is known to about 3.5 points then."""
PROBE_PROMPTS = 16


@dataclass(frozen=True)
class PackageReport:
    """One package that was made."""

    folder: Path
    manifest: PackageManifest
    evaluation: Evaluation | None
    """Scores on the card; None where the dev split is empty."""
    rounding: str

    def as_dict(self) -> dict[str, Any]:
        """The keys of `package --json`."""
        return {
            "package": str(self.folder),
            "root": self.manifest.content_root,
            "files": sorted([*self.manifest.files, "manifest.json"]),
            "weights_sha256": self.manifest.weights_sha256,
            "dtype": self.manifest.dtype,
            "dev": self.evaluation.overall.columns["model"].as_dict() if self.evaluation else None,
            "rounding": self.rounding,
        }


def default_folder(project: Project, owner: CardOwner, *, config_sha256: str) -> Path:
    """`packages/NAME-VERSION-RUN`: equal runs have equal names, another run never meets an older package."""
    words = f"{owner.name}-{owner.version}"
    plain = "".join(sign if sign.isalnum() or sign in "._-" else "-" for sign in words).lstrip(".-")
    return project.packages_folder / f"{plain}-{config_sha256[:8]}"


def package(
    project: Project, *, run: Path | None = None, out: Path | None = None, progress: Progress | None = None
) -> PackageReport:
    """Package a finished run.

    Args:
        run: run folder; absent: the one that finished last.
        out: the package's folder, which must not exist; absent: see `default_folder`.

    Raises:
        ConfigError: `package.card_incomplete`.
        UsageError: `package.no_run`, `package.run_unfinished`, `package.exists`.
        InputError: the run, its manifest or the evidence pack is missing or altered; the disk is full.
    """
    shown = progress or SilentProgress()
    owner = card_owner(project.config.model.model_dump() if project.config.model else None)
    finished = read_finished_run(run or newest_run(project))
    folder = out or default_folder(project, owner, config_sha256=finished.record.config_sha256)
    refuse_existing(folder)
    frozen = frozen_folder(project, finished.record.manifest_sha256)
    pairs = frozen_pairs(frozen, "train", "dev", "test")
    return _package(project, finished, owner=owner, frozen=frozen, pairs=pairs, folder=folder, shown=shown)


def _package(
    project: Project,
    finished: FinishedRun,
    *,
    owner: CardOwner,
    frozen: Path,
    pairs: dict[Split, list[Pair]],
    folder: Path,
    shown: Progress,
) -> PackageReport:
    record, weights = finished.record, finished.averaged_weights()
    tokenizer = _frozen_tokenizer(frozen, record.config.tokenizer_sha256)
    dtype: StorageDtype = PRESETS[record.config.preset].storage_dtype
    prompts = probe_prompts(pairs, TextTokenizer(tokenizer), finished)
    rounding = _rounding(finished, weights, dtype=dtype, tokenizer=TextTokenizer(tokenizer), prompts=prompts)
    evaluation = _card_scores(project, finished, weights, TextTokenizer(tokenizer), pairs=pairs, shown=shown)
    manifest = read_manifest(frozen)
    tested = n_scorings(project, corpus_content_root=manifest.content_root, split="test")
    facts = card_facts(finished, owner, manifest, evaluation=evaluation, n_test_scorings=tested, rounding=rounding)
    contents = PackageContents(
        config=record.config.model,
        state=weights,
        dtype=dtype,
        frozen_tokenizer=tokenizer,
        corpus_manifest=load_manifest_bytes(frozen),
        facts=facts,
        receipts=receipts_of(finished, evaluation),
        probe_prompts=prompts,
        prompt_template_sha256=manifest.prompt_template_sha256 or project_templates(project).sha256(OPEN_BOOK),
        run_config_sha256=record.config_sha256,
        step=finished.result.steps,
    )
    written = write_package(contents, folder, templates=asset_folder("templates") / "package")
    return PackageReport(folder, written, evaluation, rounding)


def _frozen_tokenizer(frozen: Path, expected: str) -> bytes:
    path = frozen / TOKENIZER_NAME
    data = path.read_bytes() if path.is_file() else b""
    if sha256_hex(data) != expected:
        raise InputError(
            "package.tokenizer_altered",
            "the tokenizer is missing or not the one that the run was trained with",
            where=str(path),
            fix="restore the manifest's folder",
        )
    return data


def probe_prompts(
    pairs: dict[Split, list[Pair]], tokenizer: TextTokenizer, finished: FinishedRun
) -> tuple[Prompt, ...]:
    """Up to 16 prompts, drawn by id from dev (else train) among those that leave an answer room."""
    context = finished.record.config.model.context_tokens
    candidates = drawn_pairs(pairs["dev"] or pairs["train"], n=4 * PROBE_PROMPTS, seed=0, purpose="probe")
    prompts = [Prompt(pair.instruction, pair.condition) for pair in candidates]
    return tuple([prompt for prompt in prompts if len(encode(tokenizer, prompt)) < context * 3 // 4][:PROBE_PROMPTS])


def _card_scores(
    project: Project,
    finished: FinishedRun,
    weights: State,
    tokenizer: TextTokenizer,
    *,
    pairs: dict[Split, list[Pair]],
    shown: Progress,
) -> Evaluation | None:
    chosen = drawn_pairs(pairs["dev"], n=CARD_PAIRS, seed=project.config.seed)
    if not chosen:
        return None
    shown.stage("score dev for the card", total=2 * len(chosen), unit="answers")
    model = model_from_state(finished.record.config.model, weights, where=str(finished.checkpoint))
    return evaluate(model, tokenizer, chosen, baselines=baselines_from(pairs["train"]), advance=shown.advance)


def _rounding(
    finished: FinishedRun,
    weights: State,
    *,
    dtype: StorageDtype,
    tokenizer: TextTokenizer,
    prompts: tuple[Prompt, ...],
) -> str:
    """What storing the weights as `dtype` cost, in one sentence."""
    if dtype == "float32":
        return "The weights are stored as they were trained (float32): nothing was rounded."
    config, where = finished.record.config.model, str(finished.checkpoint)
    exact = model_from_state(config, weights, where=where)
    rounded = model_from_state(config, {name: t.to(torch.bfloat16) for name, t in weights.items()}, where=where)
    off = [
        (answer_logits(exact, ids, [0]) - answer_logits(rounded, ids, [0])).abs().max().item()
        for ids in (encode(tokenizer, prompt) for prompt in prompts)
    ]
    return (
        f"The weights are stored as {dtype}; against the float32 weights of training the logits at the first position "
        f"of the {len(off)} probe prompts differ by at most {max(off, default=0.0):.3f}."
    )
