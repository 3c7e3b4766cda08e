"""`status`: the state of a run by facts, while it trains and after it ended in whatever way; it never writes."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

import pytest

from hrmbuild.config.presets import PRESETS
from hrmbuild.errors import InputError
from hrmbuild.pipelines.status import run_status, status
from hrmbuild.records.run import Machine, RunConfig, RunRecord, run_digest
from hrmbuild.training.events import Events
from hrmbuild.training.run_folder import RunFolder


def a_record(steps: int = 100) -> RunRecord:
    """Of a run of `nano` on a CPU."""
    sha = {name: name[0] * 64 for name in ("a", "b", "c", "d")}
    config = RunConfig(
        preset="nano", model=PRESETS["nano"].model_config_for(512, arch="hrm"), content_root=sha["a"],
        tokenizer_sha256=sha["b"], steps=steps, batch_tokens=1024, bins=1, learning_rate=1e-3, warm_up_steps=2,
        final_lr_fraction=0.1, ema_decay=0.9, seed=0, dtype="float32", eval_every_steps=5, eval_pairs=4,
        checkpoint_every_steps=5, keep_checkpoints=2,
    )  # fmt: skip
    machine = Machine(device="cpu", ranks=1, threads=1, instruction_set="AVX2", torch="2.13.0", attention="rows")
    return RunRecord(
        hrmbuild="0.1.0", config=config, config_sha256=run_digest(config), settings_sha256=sha["c"],
        manifest_sha256=sha["d"], lineage="complete", machine=machine, parameters=9, train_pairs=9, epoch_tokens=9,
        too_long={"memos/<script>alert(1)</script>.md": 3},
    )  # fmt: skip


def a_run(path: Path, *, steps: int = 20, began: bool = True, how: str | None = None, torn: str = "") -> RunFolder:
    """A folder with `steps` of 100 steps."""
    folder = RunFolder(path)
    path.mkdir(parents=True)
    folder.write_record(a_record())
    (path / "lock").write_text("1\n")
    if began:
        Events(folder.events).began(0, device="cpu", ranks=1, usd_per_hour=7.2)
    lines = [
        {"step": n, "epoch": 0, "k": 2, "lr": 0.1, "loss": 5 - n / 10, "grad_norm": 1.0, "tokens": 1000, "seconds": 0.5,
         "tokens_per_s": 2000.0, "elapsed_s": 0.6 * n} | ({"dev": {"loss": 4.0, "n_tokens": 7}} if n % 5 == 0 else {})
        for n in range(1, steps + 1)
    ]  # fmt: skip
    folder.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines) + torn)
    (folder.checkpoints / "step_000015").mkdir(parents=True)
    if how:
        Events(folder.events).ended(steps, how=how, why="because" if how == "failed" else "")
    return folder


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))}


def test_a_run_whose_folder_is_held_is_running_and_says_how_it_goes(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run", torn='{"step": 21, "epo')
    with folder.locked():
        before = listing(tmp_path)
        found = run_status(folder)
        assert listing(tmp_path) == before
    assert (found.state, found.step, found.total_steps, found.loss, found.k) == ("running", 20, 100, 3.0, 2)
    assert found.tokens_per_s == 2000 and found.dev is not None and (found.dev.loss, found.dev_step) == (4.0, 20)
    assert found.seconds_left is not None and found.seconds_left > 0.6 * 80
    assert found.checkpoint == "step_000015" and found.checkpoint_age_s is not None
    assert found.cost_usd is not None and found.sessions == 1


@pytest.mark.parametrize(("how", "state"), [(None, "dead"), ("interrupted", "interrupted"), ("failed", "failed")])
def test_a_run_that_nobody_holds_says_how_it_ended(tmp_path: Path, how: str | None, state: str) -> None:
    found = run_status(a_run(tmp_path / "run", how=how))
    assert (found.state, found.step, found.seconds_left) == (state, 20, None)
    assert found.why == ("because" if how == "failed" else "")


def test_a_killed_run_costs_up_to_when_it_was_last_seen(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    seen = dt.datetime.now(dt.UTC).timestamp() - 5000
    line = json.loads(folder.events.read_text())
    line["at"] = dt.datetime.fromtimestamp(seen - 1000, dt.UTC).isoformat()
    folder.events.write_text(json.dumps(line) + "\n")
    for path in (folder.metrics, folder.events):
        os.utime(path, (seen, seen))
    found = run_status(folder)
    assert found.cost_usd == pytest.approx(7.2 * 1000 / 3600, rel=1e-3)
    assert found.last_step_age_s == pytest.approx(5000, abs=60)


def test_a_finished_run_is_finished_even_while_its_process_still_ends(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run", how="finished")
    folder.result_json.write_text("{}")
    with folder.locked():
        assert run_status(folder).state == "finished"


def test_a_run_without_a_step_has_not_started(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run", steps=0, began=False)
    assert (run_status(folder).state, run_status(folder).step) == ("not_started", 0)
    with folder.locked():
        assert run_status(folder).state == "running"


def test_a_run_of_an_earlier_version_keeps_no_events(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run", began=False)
    assert run_status(folder).state == "dead" and run_status(folder).cost_usd is None
    (folder.checkpoints / "step_000020").mkdir()
    assert run_status(folder).state == "interrupted"


@pytest.mark.parametrize("text", ["", "{", "\x00" * 50, "null\n", '{"step": 5}\n'])
def test_whatever_stands_in_the_metrics_ends_no_status(tmp_path: Path, text: str) -> None:
    folder = a_run(tmp_path / "run")
    folder.metrics.write_text(text)
    folder.events.write_text(text)
    assert run_status(folder).step == 0


def test_a_run_that_is_not_there_is_an_error_that_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        status(None, run=tmp_path)
    assert (caught.value.code, caught.value.exit_status) == ("status.no_run", 3)


def test_an_altered_record_is_named(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    folder.run_json.write_text("{")
    with pytest.raises(InputError, match=r"no readable run\.json"):
        run_status(folder)
