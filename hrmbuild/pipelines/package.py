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
from hrmbuild.audit.decisions import DECISIONS_NAME, mend
from hrmbuild.audit.evidence import TOKENIZER_NAME
from hrmbuild.audit.log import LOG_NAME, append
from hrmbuild.audit.manifest import load_manifest_bytes, read_manifest
from hrmbuild.config.loading import Project
from hrmbuild.config.presets import PRESETS
from hrmbuild.errors import InputError
from hrmbuild.evaluation.baselines import baselines_from
from hrmbuild.evaluation.questions import drawn_pairs
from hrmbuild.evaluation.requirements import Clause
from hrmbuild.evaluation.scores import Evaluation, evaluate
from hrmbuild.evaluation.tallies import MODEL
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.inference.generate import Prompt, encode
from hrmbuild.inference.load import model_from_state
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.packaging.card import card_owner
from hrmbuild.packaging.card_facts import CardOwner
from hrmbuild.packaging.probe import MAX_NEW_TOKENS as PROBE_TOKENS
from hrmbuild.packaging.probe import first_logits
from hrmbuild.packaging.write import (
    PackageContents,
    Record,
    Signing,
    StorageDtype,
    refuse_existing,
    write_package,
)
from hrmbuild.pairs.prompt import OPEN_BOOK
from hrmbuild.pipelines.access import declared_access
from hrmbuild.pipelines.approvals import demand_approval
from hrmbuild.pipelines.finished_run import FinishedRun, newest_run, read_finished_run
from hrmbuild.pipelines.frozen_corpus import frozen_folder, frozen_pairs
from hrmbuild.pipelines.identity import project_templates
from hrmbuild.pipelines.keys import Ask, nobody, now, signing_key
from hrmbuild.pipelines.ledger import Ledger
from hrmbuild.pipelines.package_facts import card_facts, origin_of, receipts_of
from hrmbuild.pipelines.package_scores import hold_demands, package_demands, scored_facts
from hrmbuild.pipelines.progress import Progress, SilentProgress
from hrmbuild.pipelines.scorings import n_scorings
from hrmbuild.records.package import PackageManifest
from hrmbuild.records.pair import Pair, Split
from hrmbuild.tokens.tokenizer import TextTokenizer

CARD_PAIRS = 300
"""Dev pairs scored for the card: a share of 0.9 is known to about 3.5 points then."""
PROBE_PROMPTS = 16
WIDE = 1024
"""From this width on a token costs a CPU a second and its keys and values megabytes: the probe is smaller there, and
without a GPU no dev pairs are asked, which the card says."""
WIDE_PROBE_PROMPTS, WIDE_PROBE_TOKENS = 4, 12


@dataclass(frozen=True)
class PackageReport:
    """One package that was made."""

    folder: Path
    manifest: PackageManifest
    evaluation: Evaluation | None
    """Scores on the card; None where the dev split is empty, or the model too wide for a machine without a GPU."""
    signed_by: str | None = None
    """Fingerprint of the key; None: it is not signed."""

    def as_dict(self) -> dict[str, Any]:
        """The keys of `package --json`."""
        return {
            "package": str(self.folder),
            "root": self.manifest.content_root,
            "files": sorted([*self.manifest.files, "manifest.json"]),
            "weights_sha256": self.manifest.weights_sha256,
            "dtype": self.manifest.dtype,
            "dev": self.evaluation.overall.columns["model"].as_dict() if self.evaluation else None,
            "signed_by": self.signed_by,
        }


def default_folder(project: Project, owner: CardOwner, *, config_sha256: str) -> Path:
    """`packages/NAME-VERSION-RUN`: equal runs have equal names, another run never meets an older package."""
    words = f"{owner.name}-{owner.version}"
    plain = "".join(sign if sign.isalnum() or sign in "._-" else "-" for sign in words).lstrip(".-")
    return project.packages_folder / f"{plain}-{config_sha256[:8]}"


def package(
    project: Project,
    *,
    run: Path | None = None,
    out: Path | None = None,
    key: Path | None = None,
    ask: Ask = nobody,
    require: str | None = None,
    progress: Progress | None = None,
) -> PackageReport:
    """Package a finished run.

    Args:
        run: run folder; absent: the one that finished last.
        out: the package's folder, which must not exist; absent: see `default_folder`.
        key: private key to sign it with; absent: it is not signed.
        ask: asks for the key's passphrase.
        require: what must hold of the scores on the card, else nothing is written; absent: as the settings say.

    Raises:
        ConfigError: `package.card_incomplete`.
        UsageError: `package.no_run`, `package.run_unfinished`, `package.exists`, `keys.*`.
        InputError: the run, its manifest or the evidence pack is missing or altered; the disk is full.
        AnswerIsNoError: `package.require_failed`.
    """
    shown = progress or SilentProgress()
    clauses = package_demands(project, require)
    owner = card_owner(project.config.model.model_dump() if project.config.model else None)
    signing = Signing(signing_key(key, ask=ask), now()) if key is not None else None
    finished = read_finished_run(run or newest_run(project))
    folder = out or default_folder(project, owner, config_sha256=finished.record.config_sha256)
    refuse_existing(folder)
    frozen = frozen_folder(project, finished.record.manifest_sha256)
    demand_approval(project, frozen)
    pairs = frozen_pairs(frozen, "train", "dev", "test")
    ledger, templates = Ledger(project), asset_folder("templates") / "package"
    line = ledger.opened("package", folder, preset=finished.record.config.preset, device=_device(finished))
    with ledger.recorded(line) as entry:
        contents, evaluation = _contents(
            project, finished, owner=owner, frozen=frozen, pairs=pairs, clauses=clauses, shown=shown
        )
        record = _logged(project, folder, signing)
        written = write_package(contents, folder, templates=templates, signing=signing, record=record)
        if evaluation is not None:
            entry.answers = evaluation.overall.columns[MODEL].n
    return PackageReport(folder, written, evaluation, signing.key.fingerprint if signing else None)


def _logged(project: Project, folder: Path, signing: Signing | None) -> Record:
    """Writes the package into the project's log just before it appears."""

    def record(manifest: PackageManifest) -> str:
        facts = {"content_root": manifest.content_root, "folder": folder.name}
        if signing is not None:
            facts["key"] = signing.key.fingerprint
        at = signing.signed_at if signing is not None else now()
        mend(project.work / DECISIONS_NAME)
        return append(project.work / LOG_NAME, "package", sha256_hex(manifest.canonical_bytes()), at=at, facts=facts)

    return record


def _contents(
    project: Project,
    finished: FinishedRun,
    *,
    owner: CardOwner,
    frozen: Path,
    pairs: dict[Split, list[Pair]],
    clauses: tuple[Clause, ...],
    shown: Progress,
) -> tuple[PackageContents, Evaluation | None]:
    record, weights = finished.record, finished.averaged_weights()
    data = _frozen_tokenizer(frozen, record.config.tokenizer_sha256)
    tokenizer = TextTokenizer(data)
    dtype: StorageDtype = PRESETS[record.config.preset].storage_dtype
    prompts = probe_prompts(pairs, tokenizer, finished)
    # The exact model is gone before the stored one is asked for the probe: two of them would not fit.
    model = model_from_state(record.config.model, weights, where=str(finished.checkpoint), device=_device(finished))
    evaluation = _card_scores(project, model, tokenizer, pairs=pairs, shown=shown)
    verdicts = hold_demands(
        clauses, model, tokenizer, pairs=pairs, evaluation=evaluation, seed=project.config.seed, shown=shown
    )
    exact = first_logits(model, tokenizer, prompts) if dtype != "float32" else ()
    del model
    manifest = read_manifest(frozen)
    tested = n_scorings(project, corpus_content_root=manifest.content_root, split="test")
    costs = Ledger(project).of_run(finished.folder)
    scored = scored_facts(project, finished.result.ema_sha256, evaluation, verdicts)
    contents = PackageContents(
        config=record.config.model,
        state=weights,
        dtype=dtype,
        frozen_tokenizer=data,
        corpus_manifest=load_manifest_bytes(frozen),
        facts=card_facts(
            finished,
            owner,
            manifest,
            evaluation=evaluation,
            n_test_scorings=tested,
            n_dev=len(pairs["dev"]),
            costs=costs,
        ).model_copy(update=scored),
        receipts=receipts_of(finished, evaluation, costs=costs),
        probe_prompts=prompts,
        prompt_template_sha256=manifest.prompt_template_sha256 or project_templates(project).sha256(OPEN_BOOK),
        origin=origin_of(finished, manifest),
        step=finished.result.steps,
        probe_tokens=WIDE_PROBE_TOKENS if _is_wide(finished) else PROBE_TOKENS,
        exact_logits=exact,
        access=declared_access(project),
    )
    return contents, evaluation


def _is_wide(finished: FinishedRun) -> bool:
    return finished.record.config.model.hidden_size >= WIDE


def _device(finished: FinishedRun) -> str:
    """Where the dev pairs are asked."""
    return "cuda" if _is_wide(finished) and torch.cuda.is_available() else "cpu"


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
    """Up to 16 prompts (4 of a wide model), drawn by id from dev (else train) among those that leave an answer room."""
    context = finished.record.config.model.context_tokens
    most = WIDE_PROBE_PROMPTS if _is_wide(finished) else PROBE_PROMPTS
    candidates = drawn_pairs(pairs["dev"] or pairs["train"], n=4 * most, seed=0, purpose="probe")
    prompts = [Prompt(pair.instruction, pair.condition) for pair in candidates]
    return tuple([prompt for prompt in prompts if len(encode(tokenizer, prompt)) < context * 3 // 4][:most])


def _card_scores(
    project: Project,
    model: LanguageModel,
    tokenizer: TextTokenizer,
    *,
    pairs: dict[Split, list[Pair]],
    shown: Progress,
) -> Evaluation | None:
    slow = model.config.hidden_size >= WIDE and model.lm_head.weight.device.type == "cpu"
    chosen = drawn_pairs(pairs["dev"], n=CARD_PAIRS, seed=project.config.seed)
    if not chosen or slow:
        return None
    shown.stage("score dev for the card", total=2 * len(chosen), unit="answers")
    return evaluate(model, tokenizer, chosen, baselines=baselines_from(pairs["train"]), advance=shown.advance)
