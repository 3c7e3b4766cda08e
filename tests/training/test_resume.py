"""A run that was interrupted ends where an undisturbed one does, to the bit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny_run import Notes, config, new_model, new_run, train_in

from hrmbuild.errors import InputError
from hrmbuild.fingerprint import hash_file
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.training.interrupt import InterruptedRunError
from hrmbuild.training.loop import train
from hrmbuild.training.metrics import StepFacts
from hrmbuild.training.step_folders import folder_of


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six steps without a stop, a checkpoint at each."""
    folder = tmp_path_factory.mktemp("whole")
    train_in(folder, config(checkpoint_every_steps=1, keep_checkpoints=9))
    return folder


def facts(folder: Path) -> list[dict]:
    """The metrics without what the clock measured."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in (*StepFacts.model_fields, "chain") if key in line} for line in lines]


def bytes_of(checkpoint: Path) -> dict[str, str]:
    """Hash of each file of a checkpoint."""
    return {path.name: hash_file(path) for path in sorted(checkpoint.iterdir())}


def copy_up_to(whole: Path, folder: Path, step: int) -> None:
    """What a kill right after the checkpoint of `step` leaves, later metrics lines and a torn one included."""
    shutil.copytree(whole, folder)
    (folder / "result.json").unlink()
    for later in range(step + 1, 7):
        shutil.rmtree(folder / "checkpoints" / folder_of(later))
    with (folder / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 7, "epo')


@pytest.mark.parametrize("step", range(1, 7))
def test_going_on_from_any_step_gives_the_same_bytes(whole: Path, tmp_path: Path, step: int) -> None:
    copy_up_to(whole, tmp_path / "run", step)
    result = train_in(tmp_path / "run", config(checkpoint_every_steps=1, keep_checkpoints=9))
    last = folder_of(6)
    assert bytes_of(tmp_path / "run" / "checkpoints" / last) == bytes_of(whole / "checkpoints" / last)
    assert facts(tmp_path / "run") == facts(whole)
    assert result.ema_sha256 == json.loads((whole / "result.json").read_text())["ema_sha256"]


def test_two_runs_give_the_same_bytes_plot_included(whole: Path, tmp_path: Path) -> None:
    train_in(tmp_path, config(checkpoint_every_steps=1, keep_checkpoints=9))
    for name in ("checkpoints/step_000006/weights.safetensors", "checkpoints/step_000006/state.json", "loss.svg"):
        assert hash_file(tmp_path / name) == hash_file(whole / name), name


def test_bfloat16_goes_on_to_the_bit_too(tmp_path: Path) -> None:
    settings = config(dtype="bfloat16", checkpoint_every_steps=3)
    train_in(tmp_path / "whole", settings)
    shutil.copytree(tmp_path / "whole", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / folder_of(6))
    train_in(tmp_path / "run", settings)
    assert bytes_of(tmp_path / "run/checkpoints/step_000006") == bytes_of(tmp_path / "whole/checkpoints/step_000006")


@pytest.mark.parametrize("name", ["weights", "moments", "ema", "rng", "state"])
def test_a_flipped_byte_passes_the_checkpoint_over_for_the_last_good_one(
    whole: Path, tmp_path: Path, name: str
) -> None:
    copy_up_to(whole, tmp_path / "run", 4)
    suffix = ".json" if name == "state" else ".safetensors"
    path = tmp_path / "run" / "checkpoints" / folder_of(4) / f"{name}{suffix}"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    notes = Notes()
    train_in(tmp_path / "run", config(checkpoint_every_steps=1, keep_checkpoints=9), notes=notes)
    assert [message for message in notes.messages if "step_000004 is passed over" in message and name in message]
    last = folder_of(6)
    assert bytes_of(tmp_path / "run" / "checkpoints" / last) == bytes_of(whole / "checkpoints" / last)


def test_every_byte_of_the_state_file_is_guarded(whole: Path, tmp_path: Path) -> None:
    from hrmbuild.training.checkpoint import Checkpoint, read_checkpoint

    folder = tmp_path / folder_of(6)
    shutil.copytree(whole / "checkpoints" / folder_of(6), folder)
    good = (folder / "state.json").read_bytes()
    assert isinstance(read_checkpoint(folder), Checkpoint)
    for place in range(0, len(good), 7):
        data = bytearray(good)
        data[place] ^= 1
        (folder / "state.json").write_bytes(data)
        assert isinstance(read_checkpoint(folder), str), f"byte {place}"


def test_a_torn_checkpoint_is_passed_over(whole: Path, tmp_path: Path) -> None:
    copy_up_to(whole, tmp_path / "run", 2)
    (tmp_path / "run" / "checkpoints" / folder_of(2) / "ema.safetensors").unlink()
    notes = Notes()
    train_in(tmp_path / "run", config(checkpoint_every_steps=1, keep_checkpoints=9), notes=notes)
    assert notes.messages[0] == "checkpoint step_000002 is passed over: ema.safetensors is missing"
    assert facts(tmp_path / "run") == facts(whole)


def test_altered_metrics_stop_a_run_before_it_goes_on(whole: Path, tmp_path: Path) -> None:
    copy_up_to(whole, tmp_path / "run", 4)
    path = tmp_path / "run" / "metrics.jsonl"
    path.write_text(path.read_text().replace('"step": 2, "epoch": 0', '"step": 2, "epoch": 1'))
    with pytest.raises(InputError) as caught:
        train_in(tmp_path / "run", config(checkpoint_every_steps=1, keep_checkpoints=9))
    assert (caught.value.code, caught.value.what) == (
        "train.metrics_altered",
        "line 2 is not the one that was written",
    )


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 143)])
def test_a_signal_finishes_the_step_saves_and_the_rest_is_the_same(
    whole: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    def signalling(model: LanguageModel, step: int) -> dict[str, float]:
        os.kill(os.getpid(), number)
        return {"exact": 0.0, "n": 1}

    settings = config(checkpoint_every_steps=6, eval_every_steps=2, keep_checkpoints=9)
    with pytest.raises(InterruptedRunError) as caught:
        train_in(tmp_path / "run", settings, score=signalling)
    assert (caught.value.exit_status, caught.value.code) == (status, "train.interrupted")
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == [folder_of(2)]
    assert signal.getsignal(number) != signalling
    train_in(tmp_path / "run", settings, score=lambda model, step: {"exact": 0.0, "n": 1})
    weights = "checkpoints/step_000006/weights.safetensors"
    assert hash_file(tmp_path / "run" / weights) == hash_file(whole / weights)


def test_a_kill_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    """SIGKILL a process that trains and saves at every step, a few times, until it gets through."""
    settings = config(steps=12, checkpoint_every_steps=1, keep_checkpoints=2)
    train_in(tmp_path / "whole", settings)
    # The process that is killed is the child of one that has loaded torch, which forks another after it.
    program = (
        f"import os, sys; sys.path[:0] = {sys.path!r}\n"
        "from pathlib import Path; from tiny_run import *\n"
        "for attempt in range(2):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        f"        train_in(Path({str(tmp_path / 'run')!r}), "
        "config(steps=12, checkpoint_every_steps=1, keep_checkpoints=2))\n"
        "        os._exit(0)\n"
        "    print(child, flush=True)\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for enough in (3, 7):
            child, began_at_s = int(process.stdout.readline()), time.monotonic()
            while not (tmp_path / "run" / "checkpoints" / folder_of(enough)).is_dir():
                assert process.poll() is None and time.monotonic() - began_at_s < 60
                time.sleep(0.005)
            os.kill(child, signal.SIGKILL)
            assert int(process.stdout.readline()) == -signal.SIGKILL
    train_in(tmp_path / "run", settings)
    assert facts(tmp_path / "run") == facts(tmp_path / "whole")
    assert bytes_of(tmp_path / "run/checkpoints/step_000012") == bytes_of(tmp_path / "whole/checkpoints/step_000012")


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    train_in(tmp_path, config(checkpoint_every_steps=1, keep_checkpoints=2))
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [folder_of(5), folder_of(6)]


def test_a_loss_that_is_not_finite_stops_before_the_update(tmp_path: Path) -> None:
    settings = config(checkpoint_every_steps=6)
    model = new_model(settings)
    run = new_run(tmp_path, settings)
    with torch.no_grad():
        model.lm_head.weight[0, 0] = float("inf")
    before = model.model.L_module.layers[0].attn.o_proj.weight.clone()
    with pytest.raises(Exception) as caught:
        train(run, model)
    assert getattr(caught.value, "code", None) == "train.not_finite" and caught.value.exit_status == 1
    assert torch.equal(before, model.model.L_module.layers[0].attn.o_proj.weight)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [folder_of(0)]
