"""Did a run train on what its manifest says, in the order that its settings say? Token files, mix, and every step.

Owns those checks. The plan of every epoch is made again and each step's digest held against `metrics.jsonl`. Of token
files at hand the ids are compared with the manifest's rows; their tokens are taken as they are, unless `deep` encodes
the manifest again and makes the plan of that.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hrmbuild.audit.checks import Check, not_looked_at
from hrmbuild.audit.erased import ERASED_NAME
from hrmbuild.audit.evidence import TOKENIZER_NAME
from hrmbuild.audit.manifest import load_manifest_bytes, read_manifest
from hrmbuild.config.loading import Project
from hrmbuild.config.project import MixConfig, StratumMix
from hrmbuild.errors import HrmbuildError, InputError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.pipelines.includes import included_folders
from hrmbuild.pipelines.progress import Progress, SilentProgress
from hrmbuild.pipelines.train_corpus import FrozenCorpus, encoded_again, train_ids
from hrmbuild.pipelines.train_mix import resolve_mix, run_repeats, source_repeats, source_stock
from hrmbuild.pipelines.train_settings import too_long
from hrmbuild.records.run import RunConfig, RunMix, RunRecord
from hrmbuild.records.token_files import token_files_sha256
from hrmbuild.tokens.batch import Int64s, step_digest
from hrmbuild.tokens.files import TokenData, folder_name, open_token_files
from hrmbuild.tokens.mix import Repeats, repeats_in
from hrmbuild.tokens.tokenizer import load_tokenizer
from hrmbuild.training.feed import run_plan, trained_slots
from hrmbuild.training.metrics import read_metrics
from hrmbuild.training.run_folder import RunFolder


class _Step(NamedTuple):
    """What the plan puts into a step: no machine changes it."""

    batch: str
    epoch: int
    tokens: int
    response_tokens: int


def check_batches(
    run: RunFolder, record: RunRecord, *, manifest: Path, project: Project, deep: bool, progress: Progress | None
) -> Iterator[Check]:
    """The checks of a run whose manifest is at hand; token files and includes are looked for in the project."""
    config = record.config
    try:
        frozen = _frozen(manifest, project)
        if (frozen.manifest.content_root, frozen.tokenizer.sha256) != (config.content_root, config.tokenizer_sha256):
            yield Check("batches", False, "the run names another corpus or tokenizer than its manifest")
            return
        if frozen.manifest.run_includes != config.includes:
            yield Check("batches", False, "the run names other included corpora than its manifest")
            return
        with tempfile.TemporaryDirectory(prefix="hrmbuild-") as scratch:
            why_not = _why_not_encoded(frozen, deep=deep)
            again = None if why_not else _encoded(Path(scratch) / "tokens", frozen, progress or SilentProgress())
            yield from _tokens_checks(record, frozen, project.work, again, why_not=why_not)
            data = again or _open(project.work, config)
            if data is None:
                yield not_looked_at("batches", "no token files are at hand: --deep makes them again")
                return
            yield from _shown_checks(run, record, frozen, data)
    except HrmbuildError as error:
        yield Check("batches", False, f"{error.what} ({error.where})" if error.where else error.what)


def _shown_checks(run: RunFolder, record: RunRecord, frozen: FrozenCorpus, data: TokenData) -> Iterator[Check]:
    config = record.config
    slots = trained_slots(data.splits["train"], config.model.context_tokens)
    mixed = _mix_check(frozen, data, slots, config)
    yield mixed
    if not mixed.ok:
        return  # Its plan is not that of any settings.
    repeats = run_repeats(frozen.manifest, data, slots, mix=config.mix, seed=config.seed)
    yield _stated_check(record, frozen, data, slots, repeats)
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


def _why_not_encoded(frozen: FrozenCorpus, *, deep: bool) -> str | None:
    if not deep:
        return "--deep does"
    if len(frozen.included) < len(frozen.manifest.includes or ()):
        return "an included corpus is not at hand"
    packs = (frozen.folder, *frozen.included.values())
    return "texts of it were erased" if any((one / ERASED_NAME).exists() for one in packs) else None


def _encoded(folder: Path, frozen: FrozenCorpus, progress: Progress) -> TokenData:
    """The manifest encoded again.

    Raises:
        InputError: `evidence.unreadable`: a row without texts; the checks of rows name it.
    """
    try:
        return encoded_again(folder, frozen, progress=progress)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError("evidence.unreadable", f"a row cannot be encoded: {error!r}", where=str(frozen.folder),
                         fix="restore the manifest's folder") from error  # fmt: skip


def _tokens_checks(
    record: RunRecord, frozen: FrozenCorpus, work: Path, again: TokenData | None, *, why_not: str | None
) -> Iterator[Check]:
    """The token files at hand, and those that the run says it read, beside the manifest."""
    name = "token files"
    try:
        held = _open(work, record.config)
    except InputError as error:
        yield Check(name, False, f"{error.what} ({error.where})")
        return
    known = again or held
    if again is not None and held is not None and held.files != again.files:
        yield Check(name, False, "the manifest encodes to other bytes")
    elif known is not None and record.token_files_sha256 not in (None, token_files_sha256(known.files)):
        read = "the manifest encodes to" if again is not None else "are at hand"
        yield Check(name, False, f"the run read other token files than {read}")
    elif again is not None:
        yield Check(name, True, "the manifest encodes to the same bytes" if held else "not at hand; encoded again")
    else:
        if held is not None and len(frozen.included) == len(frozen.manifest.includes or ()):
            yield _ids_check(frozen, held)
        yield not_looked_at(name, f"their tokens were not encoded again from the manifest ({why_not})")


def _ids_check(frozen: FrozenCorpus, held: TokenData) -> Check:
    ids = (bytes.fromhex(one) for one in train_ids(frozen))
    both = zip_longest(held.splits["train"].ids, ids)
    same = all(ours is not None and ours.tobytes() == theirs for ours, theirs in both)
    told = f"{held.splits['train'].n_pairs:,} rows, those of the manifest's train split"
    return Check("token ids", same, told if same else "they hold other rows than the train split of the manifest")


def _stated_check(record: RunRecord, frozen: FrozenCorpus, data: TokenData, slots: Int64s, repeats: Repeats) -> Check:
    """What `run.json` states beside its settings: no hash covers it."""
    first = repeats_in(repeats, 0)
    lineage = record.lineage if record.config.init_weights_sha256 is not None else frozen.manifest.lineage
    wrong = [
        told
        for told, stated, found in (
            ("lineage", record.lineage, lineage),
            ("pairs", record.train_pairs, int((slots > 0).sum())),
            ("tokens of an epoch", record.epoch_tokens, int((slots if first is None else slots * first).sum())),
            ("pairs over the context", record.too_long, too_long(frozen, data, slots)),
        )
        if stated != found
    ]
    told = f"{record.train_pairs:,} pairs, {sum(record.too_long.values()):,} over the context, lineage {lineage}"
    return Check("run.json beside the manifest", not wrong, f"differ: {', '.join(wrong)}" if wrong else told)


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
    planned, done = _steps(config, data, slots, repeats), 0
    try:
        for line in read_metrics(run.metrics):
            wanted = next(planned)
            if line.get("batch") != wanted.batch:
                return Check("batches", False, f"step {done + 1} trained on other pairs than its plan says")
            if (other := _other_than(wanted, line)) is not None:
                return Check("batches", False, f"step {done + 1} states another {other} than its plan")
            done += 1
    except InputError as error:
        return Check("batches", False, error.what)
    except ValueError as error:
        return Check("batches", False, f"its settings give no plan: {error}")
    return Check("batches", True, f"{done:,} steps trained on the pairs of their plans, in that order")


def _other_than(wanted: _Step, line: dict[str, Any]) -> str | None:
    """The first thing that a line states otherwise."""
    names = ("epoch", "tokens", "response_tokens")
    return next((name for name in names if line.get(name) != getattr(wanted, name)), None)


def _steps(config: RunConfig, data: TokenData, slots: Int64s, repeats: Repeats) -> Iterator[_Step]:
    epoch, train = 0, data.splits["train"]
    while True:
        plan = run_plan(config, slots, repeats=repeats, epoch=epoch)
        for number in range(plan.n_steps):
            bins = plan.step(number)
            pairs = np.concatenate(bins)
            tokens, responses = int(slots[pairs].sum()), int(train.response_lengths[pairs].sum())
            yield _Step(step_digest(train, bins), epoch, tokens, responses)
        epoch += 1
