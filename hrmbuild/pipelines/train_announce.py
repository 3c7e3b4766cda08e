"""What a training says of itself before its first step, one line each; the same stands in `run.json`."""

from __future__ import annotations

from hrmbuild.pipelines.progress import Progress
from hrmbuild.pipelines.train_init import InitialWeights
from hrmbuild.pipelines.train_settings import Epoch
from hrmbuild.records.run import RunRecord
from hrmbuild.training.run_folder import RunFolder
from hrmbuild.training.step_folders import checkpoint_folders


def announce(record: RunRecord, epoch: Epoch, initial: InitialWeights | None, *, progress: Progress) -> None:
    """What was chosen."""
    config, machine = record.config, record.machine
    progress.message(
        f"{config.preset} ({config.model.arch}): {record.parameters:,} weights, "
        f"vocabulary {config.model.vocab_size:,}; {epoch.n_pairs:,} pairs, {epoch.n_tokens:,} tokens an epoch"
    )
    progress.message(
        f"{config.steps:,} steps of {config.batch_tokens:,} tokens = {config.steps / epoch.n_steps:.1f} epochs; "
        f"lr {config.learning_rate:g} after {config.warm_up_steps} steps, down to {config.final_lr_fraction:g} of it; "
        f"EMA {config.ema_decay:g}"
    )
    progress.message(
        f"on {machine.device}: {config.dtype}, attention {machine.attention}, {machine.threads} threads, "
        f"{machine.instruction_set}, torch {machine.torch}{', compiled blocks' if machine.compiled else ''}"
    )
    if epoch.too_long:
        listed = "; ".join(f"{path}: {n:,}" for path, n in epoch.too_long.items())
        progress.message(f"left out, longer than the context of {config.model.context_tokens:,} tokens: {listed}")
    if initial is not None:
        progress.message(f"starts from the weights of {initial.name}: lineage is partial")


def announce_resumption(record: RunRecord, recorded: RunRecord, folder: RunFolder, *, progress: Progress) -> None:
    """From where the run goes on, and what differs from where it began."""
    if not checkpoint_folders(folder.checkpoints):
        progress.message("there is no complete checkpoint: the run starts again at step 0")
    before, now = recorded.machine.canonical(), record.machine.canonical()
    keys = sorted(before.keys() | now.keys())
    changed = [f"{key} {before.get(key)} -> {now.get(key)}" for key in keys if before.get(key) != now.get(key)]
    if changed:
        progress.message(f"this machine differs from where the run began ({', '.join(changed)}): bits may differ")
