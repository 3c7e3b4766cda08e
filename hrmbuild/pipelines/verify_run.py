"""Whether a run folder is what training wrote: settings, chain of metrics, every byte of every checkpoint.

Owns the checks of a run. It must not look outside the folder. A run that has not finished yet is intact as far as it
goes; that it is not finished is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError

from hrmbuild.audit.checks import Check, named, not_looked_at
from hrmbuild.errors import HrmbuildError, InputError
from hrmbuild.fingerprint import hash_file, strict_json
from hrmbuild.inference.load import EMA_KIND
from hrmbuild.model.digest import weights_sha256
from hrmbuild.records.checkpoint import CheckpointState, is_intact
from hrmbuild.records.run import RunRecord, RunResult, run_digest
from hrmbuild.shards import ShardFiles, shard_names
from hrmbuild.training.metrics import CHAIN_START, StepFacts, next_link, read_metrics
from hrmbuild.training.run_folder import RunFolder
from hrmbuild.training.step_folders import STATE_NAME, checkpoint_folders

_KNOWN = {"run.json", "metrics.jsonl", "result.json", "lock", "checkpoints"}
_FOR_PEOPLE = {"events.jsonl", "loss.svg", "report.html", "trackers"}
"""They enter no hash, so nothing can be said of them."""
_WEIGHTS = "weights"


def verify_run_folder(folder: Path) -> Iterator[Check]:
    """All checks of one run."""
    files = RunFolder(folder)
    record, first = _record_check(files)
    yield first
    chain, last, metrics = _metrics_check(files)
    yield metrics
    for checkpoint in reversed(checkpoint_folders(files.checkpoints)):
        yield _checkpoint_check(checkpoint, record, chain)
    yield _result_check(files, record, chain, last)
    yield _no_other_check(folder)


def _record_check(files: RunFolder) -> tuple[RunRecord | None, Check]:
    try:
        record = files.record()
    except InputError as error:
        return None, Check("run.json", False, f"{error.what}: {error.why}")
    if record is None:
        return None, Check("run.json", False, "missing")
    if run_digest(record.config) != record.config_sha256:
        return record, Check("run.json", False, "its settings are not those that its hash names")
    config = record.config
    if config.init_weights_sha256 is not None and record.lineage == "complete":
        return record, Check("run.json", False, "its lineage is complete, though it began from given weights")
    return record, Check("run.json", True, f"{config.preset}, {config.steps} steps, corpus {config.content_root[:12]}…")


def _metrics_check(files: RunFolder) -> tuple[list[str], StepFacts | None, Check]:
    """The chain after each step, the last step (as far as it holds), and whether each line continues the one before."""
    chain: list[str] = [CHAIN_START]
    last: StepFacts | None = None
    try:
        for number, line in enumerate(read_metrics(files.metrics), start=1):
            facts = StepFacts.model_validate({key: line[key] for key in StepFacts.model_fields if key in line})
            link = next_link(chain[-1], facts)
            if facts.step != number or link != line.get("chain"):
                return chain, last, Check("metrics.jsonl", False, f"line {number} does not continue the line before")
            chain.append(link)
            last = facts
    except InputError as error:
        return chain, last, Check("metrics.jsonl", False, error.what)
    except (ValidationError, TypeError, AttributeError):
        return chain, last, Check("metrics.jsonl", False, f"line {len(chain)} is no line of metrics")
    if last is None:
        return chain, last, not_looked_at("metrics.jsonl", "it tells of no step, so there is nothing to look at")
    return chain, last, Check("metrics.jsonl", True, f"{len(chain) - 1} steps, each chained to the one before")


def _checkpoint_check(folder: Path, record: RunRecord | None, chain: list[str]) -> Check:
    name = f"checkpoint {folder.name}"
    try:
        state = CheckpointState.model_validate(strict_json((folder / STATE_NAME).read_bytes()))
    except (OSError, ValueError, ValidationError) as error:
        return Check(name, False, f"{STATE_NAME} cannot be read: {str(error).splitlines()[0]}")
    wrong = ["it is a symbolic link"] if folder.is_symlink() else []
    wrong += [*_state_problems(state, record, chain), *_file_problems(folder, state)]
    return Check(name, not wrong, named(wrong) if wrong else f"{len(state.files)} files, step {state.step}")


def _state_problems(state: CheckpointState, record: RunRecord | None, chain: list[str]) -> Iterator[str]:
    if not is_intact(state):
        yield f"{STATE_NAME} was altered"
    if record is not None and state.config_sha256 != record.config_sha256:
        yield "it belongs to a run with other settings"
    if record is not None and (state.content_root, state.tokenizer_sha256) != (
        record.config.content_root, record.config.tokenizer_sha256
    ):  # fmt: skip
        yield "it names another corpus or tokenizer than the run"
    if state.step < len(chain) and chain[state.step] != state.metrics_sha256:
        yield "the metrics do not lead to it"
    if state.step >= len(chain):
        yield f"metrics.jsonl does not reach step {state.step}"


def _file_problems(folder: Path, state: CheckpointState) -> Iterator[str]:
    for name, expected in sorted(state.files.items()):
        path = folder / name
        if not path.is_file() or path.is_symlink():
            yield f"{name} missing"
        elif hash_file(path) != expected:
            yield f"{name} altered"
    for path in sorted(folder.iterdir()):
        if path.name not in state.files and path.name != STATE_NAME:
            yield f"{path.name} extra"
    for kind, told, expected in (
        (EMA_KIND, "the averaged weights", state.ema_sha256),
        (_WEIGHTS, "the weights", state.weights_sha256),
    ):
        try:
            if _all_there(folder, kind, state) and weights_sha256(ShardFiles(folder, kind)) != expected:
                yield f"{told} are not those that were recorded"
        except (HrmbuildError, SafetensorError) as error:
            yield f"{told} cannot be read: {str(error).splitlines()[0]}"


def _all_there(folder: Path, kind: str, state: CheckpointState) -> bool:
    """Whether every file of some weights is there; one that is not has been told already."""
    return all((folder / name).is_file() for name in shard_names(kind, list(state.files)))


def _result_check(files: RunFolder, record: RunRecord | None, chain: list[str], last: StepFacts | None) -> Check:
    try:
        result = files.result()
    except InputError as error:
        return Check("result.json", False, f"{error.what}: {error.why}")
    if result is None:
        return not_looked_at("result.json", f"not there: the run has not finished ({len(chain) - 1} steps)")
    wrong = list(_result_problems(files, result, chain, last))
    if record is not None and result.steps != record.config.steps:
        wrong.append(f"it tells of {result.steps} steps, the settings of {record.config.steps}")
    if files.metrics.is_file() and not files.metrics.read_bytes().endswith(b"\n"):
        wrong.append("metrics.jsonl goes on after its last line")
    return Check("result.json", not wrong, named(wrong) if wrong else f"{result.steps} steps, loss {result.loss:.4f}")


def _result_problems(files: RunFolder, result: RunResult, chain: list[str], last: StepFacts | None) -> Iterator[str]:
    if result.metrics_sha256 != chain[-1] or result.steps != len(chain) - 1:
        yield "the metrics do not lead to it"
    elif last is not None:  # What the card repeats of it; the clock's figures stand in no chain.
        if result.loss != last.loss:
            yield "the loss is not that of the last step"
        if result.dev != last.dev:
            yield "the dev score is not that of the last step"
    checkpoint = files.checkpoints / result.checkpoint
    try:
        state = CheckpointState.model_validate(strict_json((checkpoint / STATE_NAME).read_bytes()))
    except (OSError, ValueError, ValidationError):
        yield f"its checkpoint {result.checkpoint} cannot be read"
        return
    if (state.ema_sha256, state.weights_sha256) != (result.ema_sha256, result.weights_sha256):
        yield f"its weights are not those of {result.checkpoint}"


def _no_other_check(folder: Path) -> Check:
    expected = _KNOWN | _FOR_PEOPLE
    extra = [path.name for path in sorted(folder.iterdir()) if path.name not in expected or path.is_symlink()]
    checkpoints = folder / "checkpoints"
    known = {path.name for path in checkpoint_folders(checkpoints)}
    if checkpoints.is_dir():
        extra += [f"checkpoints/{p.name}" for p in sorted(checkpoints.iterdir()) if p.name not in known]
    told = f"nothing but what training writes; in no hash: {', '.join(sorted(_FOR_PEOPLE))}"
    return Check("no other file", not extra, f"extra: {named(extra)}" if extra else told)
