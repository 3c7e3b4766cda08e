"""The ledger: every entry is opened before and closed after, whatever ends the work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small_project import rewrite, write_project

from hrmbuild.config.loading import Project
from hrmbuild.errors import AnswerIsNoError, InputError
from hrmbuild.pipelines.ledger import Ledger, LedgerEntry, totals
from hrmbuild.records.ledger import Opened
from hrmbuild.records.run import Machine

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


KILLED = """
import sys
from pathlib import Path
from hrmbuild.config.loading import load_project
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
    assert only(Ledger(project)).outcome == "killed"
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
