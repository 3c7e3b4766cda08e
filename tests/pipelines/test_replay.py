"""Steps of a run trained again: the same bits where nothing was touched, a named step where something was."""

from __future__ import annotations

import json

import pytest
from packaged_project import Packaged

from hrmbuild.errors import UsageError
from hrmbuild.pipelines.replay import replay
from hrmbuild.training.metrics import CHAIN_START, StepFacts, next_link
from hrmbuild.training.run_folder import RunFolder
from hrmbuild.training.step_folders import checkpoint_folders, step_of

NONCES = [f"nonce {number}" for number in range(40)]


def rewritten(files: RunFolder, step: int, **changes: object) -> None:
    """The record of a run, told otherwise from `step` on and chained anew, as somebody would who wants to deceive."""
    chain, lines = CHAIN_START, []
    for text in files.metrics.read_text().splitlines():
        line = json.loads(text) | (changes if json.loads(text)["step"] == step else {})
        facts = StepFacts.model_validate({key: line[key] for key in StepFacts.model_fields if key in line})
        chain = next_link(chain, facts)
        lines.append(json.dumps(line | {"chain": chain}))
    files.metrics.write_text("".join(f"{line}\n" for line in lines))


def test_replayed_steps_are_bit_equal_and_change_nothing_in_the_run(packaged: Packaged) -> None:
    files = RunFolder(packaged.run)
    before = {path: path.stat().st_mtime_ns for path in sorted(packaged.run.rglob("*"))}
    report = replay(packaged.project, packaged.run, nonce="an auditor's", steps=4)
    assert (report.ok, report.different_steps, report.unlike_machine, report.end) == (True, (), (), 4)
    assert report.weights is True
    assert {path: path.stat().st_mtime_ns for path in sorted(packaged.run.rglob("*"))} == before
    assert not list(packaged.project.work.glob(".replay-*"))
    rewritten(files, 4, loss=1.25)
    altered = replay(packaged.project, packaged.run, nonce="an auditor's", steps=4)
    assert (altered.ok, altered.different_steps) == (False, ("step 4: loss",))


def test_the_nonce_picks_among_all_kept_states(packaged_once: Packaged) -> None:
    from hrmbuild.pipelines import replay as module

    files = RunFolder(packaged_once.run)
    record, lines = module._record_of(files), module.read_metrics(files.metrics)
    kept = {step_of(one) for one in checkpoint_folders(files.checkpoints)} - {4}
    assert {module._start(files, record, lines, nonce=one) for one in NONCES} == kept | {0}


def test_a_replay_needs_a_nonce(packaged_once: Packaged) -> None:
    with pytest.raises(UsageError) as caught:
        replay(packaged_once.project, packaged_once.run, nonce=" ")
    assert caught.value.code == "replay.no_nonce"
