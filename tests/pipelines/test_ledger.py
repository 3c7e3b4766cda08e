"""The ledger: every entry is opened before and closed after, whatever ends the work."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from packaged_project import Packaged
from small_project import FILES, rewrite, write_project

from hrmbuild.config.loading import Project
from hrmbuild.errors import AnswerIsNoError, InputError
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.ledger import Ledger
from hrmbuild.pipelines.ledger_entries import LedgerEntry, totals
from hrmbuild.pipelines.train import train
from hrmbuild.records.ledger import Opened
from hrmbuild.records.run import Machine
from hrmbuild.training.metrics import read_metrics

GPU = Machine(
    device="NVIDIA H100 80GB HBM3", ranks=2, threads=8, instruction_set="AVX512", torch="2.13.0", attention="varlen"
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return write_project(tmp_path / "project")


def opened(ledger: Ledger, project: Project, *, machine: Machine = GPU) -> Opened:
    return ledger.training(project.runs_folder / "r", preset="nano", machine=machine, dtype="float32")


def only(ledger: Ledger) -> LedgerEntry:
    (entry,) = ledger.entries()
    return entry


def test_a_finished_entry_has_its_price_energy_and_no_host(project: Project) -> None:
    ledger = Ledger(project)
    with ledger.recorded(opened(ledger, project)) as entry:
        assert only(ledger).outcome == "running"
        entry.answers = 12
    found = only(ledger)
    shown = found.as_dict()
    assert (found.outcome, shown["answers"], shown["subject"]) == ("finished", 12, "runs/r")
    assert (shown["hardware"], shown["usd_per_hour"], shown["power_w"]) == ("H100", 2.0, 700)
    assert shown["gpu_hours"] == pytest.approx(2 * shown["seconds"] / 3600, abs=1e-6)
    assert found.usd == pytest.approx(2.0 * found.gpu_hours)
    assert found.energy_kwh == pytest.approx(0.7 * found.gpu_hours)
    assert str(project.work) not in ledger.path.read_text()
    assert not list((project.work / ".ledger").iterdir())


def test_a_failed_and_an_interrupted_one_keep_why(project: Project) -> None:
    ledger = Ledger(project)
    with pytest.raises(AnswerIsNoError), ledger.recorded(opened(ledger, project)):
        raise AnswerIsNoError("train.not_finite", "the loss is nan")
    with pytest.raises(KeyboardInterrupt), ledger.recorded(opened(ledger, project)):
        raise KeyboardInterrupt
    with pytest.raises(ZeroDivisionError), ledger.recorded(opened(ledger, project)):
        _ = 1 / 0
    ended = [(entry.outcome, entry.as_dict()["code"]) for entry in ledger.entries()]
    assert ended == [("failed", "train.not_finite"), ("interrupted", None), ("failed", "internal.bug")]


def test_a_cpu_is_one_machine_whatever_its_ranks_and_its_price_comes_from_the_settings(project: Project) -> None:
    priced = rewrite(project, "seed: 3\n", "seed: 3\nhardware: {usd_per_hour: 0.36, power_w: 100, peak_tflops: 1}\n")
    ledger = Ledger(priced)
    machine = GPU.model_copy(update={"device": "cpu", "ranks": 4})
    with ledger.recorded(opened(ledger, priced, machine=machine)):
        pass
    found = only(ledger)
    assert found.opened.devices == 1
    assert found.usd == pytest.approx(0.36 * found.gpu_hours)
    unpriced = Ledger(project)
    with unpriced.recorded(opened(unpriced, project, machine=machine)):
        pass
    assert totals(unpriced.entries())["usd"] is None  # a part is no bill


def only_line(project: Project) -> dict[str, str]:
    (line,) = Ledger(project).path.read_text().splitlines()
    return json.loads(line)


KILLED = """
import sys
from pathlib import Path
from hrmbuild.config.loading import load_project
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.ledger import Ledger
project = load_project(Path(sys.argv[1]))
ledger = Ledger(project)
line = ledger.opened("eval", Path("packages/p"), preset="nano", device="cpu")
with ledger.recorded(line):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_a_killed_process_is_found_by_the_next_command_and_a_living_one_is_left(project: Project) -> None:
    command = [sys.executable, "-c", KILLED, str(project.config_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        assert only(Ledger(project)).outcome == "running"
        os.kill(process.pid, signal.SIGKILL)
    lock = next((project.work / ".ledger").iterdir())
    opened_at = dt.datetime.fromisoformat(only_line(project)["at"]).timestamp()
    os.utime(lock, (opened_at + 40, opened_at + 40))
    found = only(Ledger(project))
    assert (found.outcome, found.as_dict()["seconds"]) == ("killed", 40)
    assert only(Ledger(project)).outcome == "killed"
    assert not list((project.work / ".ledger").iterdir())
    assert len(Ledger(project).path.read_text().splitlines()) == 2


def test_a_torn_line_is_passed_over_and_the_next_starts_on_its_own(project: Project) -> None:
    ledger = Ledger(project)
    with ledger.recorded(opened(ledger, project)):
        pass
    with ledger.path.open("a") as file:
        file.write('{"event": "ope')
    with ledger.recorded(opened(ledger, project)):
        pass
    assert [entry.outcome for entry in ledger.entries()] == ["finished", "finished"]


def test_a_line_of_a_later_version_changes_nothing_and_an_altered_one_is_told(project: Project) -> None:
    ledger = Ledger(project)
    with ledger.recorded(opened(ledger, project)):
        pass
    with ledger.path.open("a") as file:
        file.write(json.dumps({"event": "audited", "id": "x"}) + "\n")
    assert only(ledger).outcome == "finished"
    with ledger.path.open("a") as file:
        file.write(json.dumps({"event": "opened", "id": 7}) + "\n")
    with pytest.raises(InputError) as caught:
        ledger.entries()
    assert caught.value.code == "ledger.unreadable"


def test_a_run_that_was_trained_and_packaged_is_billed_and_its_package_has_the_receipt(packaged: Packaged) -> None:
    train, package = Ledger(packaged.project).entries()
    shown = train.as_dict()
    lines = read_metrics(packaged.run / "metrics.jsonl")
    assert (shown["kind"], shown["outcome"], shown["steps"], shown["first_step"]) == ("train", "finished", 4, 0)
    assert shown["tokens"] == sum(line["tokens"] for line in lines)
    assert shown["step_seconds"] == pytest.approx(sum(line["seconds"] for line in lines), abs=0.01)
    assert shown["seconds"] >= shown["step_seconds"]
    assert shown["flops"] > 0
    assert (package.opened.kind, package.outcome) == ("package", "finished")
    receipts = json.loads((packaged.package / "receipts.json").read_text())
    assert [one["id"] for one in receipts["ledger"]] == [train.opened.id]
    assert receipts["gpu_hours"] == pytest.approx(train.gpu_hours, abs=1e-6)
    assert receipts["cost_usd"] is None


def n_steps(project: Project) -> int:
    return sum(len(read_metrics(path)) for path in project.runs_folder.glob("*/metrics.jsonl"))


@pytest.mark.slow
def test_a_run_killed_in_the_middle_costs_what_it_computed_and_so_does_its_resumption(tmp_path: Path) -> None:
    settings = "train: {preset: nano, steps: 12, batch_tokens: 1024, threads: 1, dtype: float32, eval_pairs: 4,\n"
    settings += "        eval_every_steps: 12, checkpoint_every_steps: 4}\n"
    project = write_project(tmp_path / "project", FILES | {"hrmbuild.yaml": FILES["hrmbuild.yaml"] + settings})
    ingest(project)
    command = [sys.executable, "-m", "hrmbuild", "train", "--config", str(project.config_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and n_steps(project) < 6:
            time.sleep(0.02)
        process.kill()
    killed = only(Ledger(project)).as_dict()
    assert killed["outcome"] == "killed"
    assert killed["steps"] >= 6
    train(project, resume=True)
    _, resumed = (entry.as_dict() for entry in Ledger(project).entries())
    assert (resumed["outcome"], resumed["first_step"] + resumed["steps"]) == ("finished", 12)
    assert resumed["first_step"] in (4, 8)
