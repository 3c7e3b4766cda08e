"""Did a run train on what its manifest says, in the order that its settings say? Token files, mix, and every step.

Owns those checks. The plan of every epoch is made again and each step's digest held against `metrics.jsonl`. Token
files at hand are taken as they are (their own hashes hold); `deep` encodes the manifest again and compares.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from hrmbuild.audit.checks import Check
from hrmbuild.audit.evidence import TOKENIZER_NAME
from hrmbuild.audit.manifest import load_manifest_bytes, read_manifest
from hrmbuild.config.loading import Project
from hrmbuild.config.project import MixConfig, StratumMix
from hrmbuild.errors import HrmbuildError, InputError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.pipelines.includes import included_folders
from hrmbuild.pipelines.progress import Progress, SilentProgress
from hrmbuild.pipelines.train_corpus import FrozenCorpus, encode_into
from hrmbuild.pipelines.train_mix import resolve_mix, run_repeats, source_repeats, source_stock
from hrmbuild.records.run import RunConfig, RunMix
from hrmbuild.records.token_files import TokenFiles
from hrmbuild.tokens.batch import Int64s, step_digest
from hrmbuild.tokens.files import TokenData, folder_name, open_token_files
from hrmbuild.tokens.mix import Repeats
from hrmbuild.tokens.tokenizer import load_tokenizer
from hrmbuild.training.feed import run_plan, trained_slots
from hrmbuild.training.metrics import read_metrics
from hrmbuild.training.run_folder import RunFolder


def check_batches(
    run: RunFolder, config: RunConfig, *, manifest: Path, project: Project, deep: bool, progress: Progress | None
) -> Iterator[Check]:
    """The checks of a run whose manifest is at hand; token files and includes are looked for in the project."""
    work = project.work
    try:
        frozen = _frozen(manifest, project)
        if (frozen.manifest.content_root, frozen.tokenizer.sha256) != (config.content_root, config.tokenizer_sha256):
            yield Check("batches", False, "the run names another corpus or tokenizer than its manifest")
            return
        if frozen.manifest.run_includes != config.includes:
            yield Check("batches", False, "the run names other included corpora than its manifest")
            return
        if deep:
            yield _encoded_check(frozen, work, progress or SilentProgress())
        data = _open(work, config)
    except HrmbuildError as error:
        yield Check("batches", False, f"{error.what} ({error.where})" if error.where else error.what)
        return
    if data is None:
        yield Check("batches", True, "the token files are not at hand: order not compared (train writes them again)")
        return
    slots = trained_slots(data.splits["train"], config.model.context_tokens)
    mixed = _mix_check(frozen, data, slots, config)
    yield mixed
    if not mixed.ok:
        return  # Its plan is not that of any settings.
    repeats = run_repeats(frozen.manifest, data, slots, mix=config.mix, seed=config.seed)
    yield _order_check(run, config, data, slots, repeats)


def _frozen(folder: Path, project: Project) -> FrozenCorpus:
    data = load_manifest_bytes(folder)
    manifest = read_manifest(folder)
    included = included_folders(project, manifest)
    return FrozenCorpus(folder, manifest, sha256_hex(data), load_tokenizer(folder / TOKENIZER_NAME), included)


def _open(work: Path, config: RunConfig) -> TokenData | None:
    root, digest = config.training_root, config.tokenizer_sha256
    folder = work / "token-files" / folder_name(root, digest)
    return open_token_files(folder, content_root=root, tokenizer_sha256=digest) if folder.is_dir() else None


def _encoded_check(frozen: FrozenCorpus, work: Path, progress: Progress) -> Check:
    """The manifest encoded again: the same bytes in every file."""
    if len(frozen.included) < len(frozen.manifest.includes or ()):
        return Check("token files", True, "not encoded again: an included corpus is not at hand")
    with tempfile.TemporaryDirectory(prefix="hrmbuild-") as temporary:
        made: TokenFiles = encode_into(Path(temporary) / "tokens", frozen, progress=progress)
    folder = work / "token-files" / folder_name(made.content_root, made.tokenizer_sha256)
    if not folder.is_dir():
        return Check("token files", True, "not at hand; the manifest can be encoded")
    try:
        held = open_token_files(folder, content_root=made.content_root, tokenizer_sha256=made.tokenizer_sha256).files
    except InputError as error:
        return Check("token files", False, f"{error.what} ({error.where})")
    told = "the manifest encodes to the same bytes" if made == held else "the manifest encodes to other bytes"
    return Check("token files", made == held, told)


def _mix_check(frozen: FrozenCorpus, data: TokenData, slots: Int64s, config: RunConfig) -> Check:
    if config.repeats != source_repeats(frozen.manifest):
        return Check("mix", False, "the repeats of its sources are not those of the manifest")
    if config.mix is None:
        return Check("mix", True, "every epoch shows every pair")
    try:
        again = resolve_mix(_asked(config.mix), source_stock(frozen.manifest, data, slots))
    except HrmbuildError as error:
        return Check("mix", False, f"it cannot be resolved: {error.what}")
    if again != config.mix:
        return Check("mix", False, "weights, caps and repeats come to other numbers than the run's")
    told = ", ".join(f"{name} {one.shown_millionths / 10_000:g} %" for name, one in config.mix.strata.items())
    return Check("mix", True, f"resolved again: an epoch shows {told}")


def _asked(mix: RunMix) -> MixConfig:
    """The settings that a run's mix was resolved from, the cap for all strata written into each."""
    strata = {
        name: StratumMix(weight=one.weight, repeat=one.repeat, max_pairs_per_file=one.max_pairs_per_file)
        for name, one in mix.strata.items()
    }
    return MixConfig(strata=strata, epoch_tokens=mix.epoch_tokens)


def _order_check(run: RunFolder, config: RunConfig, data: TokenData, slots: Int64s, repeats: Repeats) -> Check:
    """Every step that was done shows the pairs that its epoch's plan puts there."""
    planned, done = _digests(config, data, slots, repeats), 0
    try:
        for line in read_metrics(run.metrics):
            if line.get("batch") != next(planned):
                return Check("batches", False, f"step {done + 1} trained on other pairs than its plan says")
            done += 1
    except InputError as error:
        return Check("batches", False, error.what)
    except ValueError as error:
        return Check("batches", False, f"its settings give no plan: {error}")
    return Check("batches", True, f"{done:,} steps trained on the pairs of their plans, in that order")


def _digests(config: RunConfig, data: TokenData, slots: Int64s, repeats: Repeats) -> Iterator[str]:
    epoch = 0
    while True:
        plan = run_plan(config, slots, repeats=repeats, epoch=epoch)
        for number in range(plan.n_steps):
            yield step_digest(data.splits["train"], plan.step(number))
        epoch += 1
