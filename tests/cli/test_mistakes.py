"""Mistakes of new users: each gives one clear message, its documented exit status, and no traceback."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typed_commands import SETTINGS, Outcome, Type

RUN = [sys.executable, "-c", "from hrmbuild.cli.main import run; run()"]


def check(outcome: Outcome, status: int, code: str) -> None:
    """`--json` failed with this status and code, said what to do, and printed no traceback."""
    assert (outcome.status, outcome.json["error"]["code"]) == (status, code)
    assert outcome.json["error"]["fix"]
    assert "Traceback" not in outcome.err


def test_outside_a_project(typed: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check(typed("ingest", "--json"), 2, "config.not_found")


def test_a_settings_file_that_is_not_there(typed: Type, project: Path) -> None:
    check(typed("ingest", "--config", "hrmbuild.yml", "--json"), 2, "config.not_found")


def test_a_misspelt_key(typed: Type, project: Path) -> None:
    (project / "hrmbuild.yaml").write_text(SETTINGS.replace("train:", "trian:"))
    outcome = typed("ingest", "--json")
    check(outcome, 2, "config.unknown_key")
    assert "'train'" in outcome.json["error"]["fix"]


def test_a_wrong_type(typed: Type, project: Path) -> None:
    (project / "hrmbuild.yaml").write_text(SETTINGS.replace("steps: 3", "steps: many"))
    check(typed("ingest", "--json"), 2, "config.bad_value")


def test_a_misspelt_flag(typed: Type, project: Path) -> None:
    check(typed("ingest", "--dryrun", "--json"), 2, "usage.arguments")


def test_an_unknown_command(typed: Type, project: Path) -> None:
    check(typed("injest", "--json"), 2, "usage.arguments")


def test_an_empty_folder_and_a_source_that_matches_nothing(typed: Type, project: Path) -> None:
    (project / "memos" / "2025-05-07-phishing.eml").unlink()
    check(typed("ingest", "--json"), 1, "ingest.no_file")


def test_no_pair_at_all(typed: Type, project: Path) -> None:
    (project / "hrmbuild.yaml").write_text("name: x\nsources: [{path: notes, kind: memos}]\n")
    (project / "notes").mkdir()
    (project / "notes" / "a.txt").write_text("Hello.\n")
    check(typed("ingest", "--json"), 1, "ingest.no_pair")


def test_a_file_that_cannot_be_read_is_quarantined_and_the_rest_goes_on(typed: Type, project: Path) -> None:
    (project / "memos" / "broken.xlsx").write_bytes(b"PK\x03\x04 no workbook")
    outcome = typed("ingest", "--json")
    assert (outcome.status, outcome.json["sources"]["quarantined"]) == (0, 1)
    check(typed("ingest", "--strict", "--json"), 1, "ingest.quarantined")


def test_a_rule_that_reads_the_clock(typed: Type, project: Path) -> None:
    rules = project / "rules" / "home-claims.yaml"
    rules.write_text(rules.read_text().replace("when: days > late", "when: days > late and today() is null"))
    outcome = typed("ingest", "--json")
    assert outcome.status == 0
    assert outcome.json["reasons"]["compile.expression"] == 1
    assert "Traceback" not in outcome.err


def test_freeze_before_ingest(typed: Type, project: Path) -> None:
    check(typed("freeze", "--json"), 3, "store.missing")


def test_freeze_without_owner_and_license(typed: Type, project: Path) -> None:
    (project / "hrmbuild.yaml").write_text(SETTINGS.replace("owner: me, license: internal", "persons: keep", 1))
    typed("ingest")
    check(typed("freeze", "--json"), 2, "freeze.undeclared")


def test_freeze_after_the_settings_changed(typed: Type, project: Path) -> None:
    typed("ingest")
    (project / "hrmbuild.yaml").write_text(SETTINGS.replace("name: small", "seed: 1\nname: small", 1))
    check(typed("freeze", "--json"), 3, "freeze.stale_corpus")


def test_train_before_ingest(typed: Type, project: Path) -> None:
    check(typed("train", "--json"), 3, "store.missing")


def test_an_unknown_preset(typed: Type, project: Path) -> None:
    outcome = typed("train", "--preset", "nan", "--json")
    check(outcome, 2, "train.unknown_preset")
    assert "'nano'" in outcome.json["error"]["fix"]


def test_package_before_train(typed: Type, project: Path) -> None:
    check(typed("package", "--json"), 2, "package.no_run")


def test_ask_before_package(typed: Type, project: Path) -> None:
    check(typed("ask", "What now?", "--json"), 2, "ask.no_package")


def test_init_where_a_project_stands(typed: Type, project: Path) -> None:
    check(typed("init", project, "--json"), 2, "init.exists")


def test_a_corpus_that_is_no_database(typed: Type, project: Path) -> None:
    (project / "corpus.duckdb").write_bytes(b"hello" * 1000)
    check(typed("ingest", "--json"), 3, "store.not_a_corpus")


def test_a_corpus_that_lost_what_the_manifest_names(typed: Type, built: Path) -> None:
    (built / "memos" / "2025-05-07-phishing.eml").write_text("From: a@b.example\nSubject: x\n\nNothing.\n")
    typed("ingest")
    check(typed("train", "--steps", "4", "--json"), 3, "train.corpus_mismatch")


def test_a_run_folder_that_exists(typed: Type, built: Path) -> None:
    check(typed("train", "--json"), 2, "train.run_exists")


def test_a_package_folder_that_exists(typed: Type, built: Path) -> None:
    check(typed("package", "--json"), 2, "package.exists")


def package_of(project: Path) -> Path:
    return next(iter(sorted((project / "packages").iterdir())))


def test_an_altered_package(typed: Type, built: Path) -> None:
    weights = package_of(built) / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-100] ^= 1
    weights.write_bytes(bytes(data))
    outcome = typed("verify", package_of(built), "--json")
    assert (outcome.status, outcome.json["ok"]) == (1, False)
    assert [check for check in outcome.json["checks"] if check["ok"] is False and "model.safetensors" in str(check)]


def test_verify_of_something_else(typed: Type, project: Path) -> None:
    check(typed("verify", "memos", "--json"), 3, "verify.unknown")


def test_a_question_longer_than_the_context(typed: Type, built: Path) -> None:
    check(typed("ask", "amount 10. " * 2000, "--json"), 2, "ask.prompt_too_long")


def test_no_space_left(typed: Type, built: Path) -> None:
    """A limit on the size of files stands for a full disk: the same errors, and no device to fill."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        outcome = typed("train", "--steps", "5", "--json")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    check(outcome, 3, "disk.full")


def last_checkpoint(folder: Path) -> int:
    """Step of the last complete one; -1 before any."""
    states = (folder / "runs" / "long" / "checkpoints").glob("step_*/state.json")
    return max((int(path.parent.name.removeprefix("step_")) for path in states), default=-1)


def wait_for_a_checkpoint(process: subprocess.Popen[str], folder: Path, *, after: int = -1) -> None:
    deadline_s = time.monotonic() + 120
    while last_checkpoint(folder) <= after:
        assert process.poll() is None and time.monotonic() < deadline_s
        time.sleep(0.05)


def start_training(folder: Path, command: list[str] = RUN) -> subprocess.Popen[str]:
    """A long run that has saved at least one checkpoint."""
    words = [*command, "train", "--steps", "500", "--out", "runs/long"]
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_a_checkpoint(process, folder)
    return process


STOPPED_TWICE = """
import sys
from hrmbuild.cli.main import main, run
print(main(sys.argv[1:]), flush=True)
print("the first has stopped", file=sys.stderr, flush=True)
sys.argv.append("--resume")
run()
"""
"""One process for both signals: each loads torch."""


def test_a_run_that_is_asked_to_stop_saves_and_goes_on(built: Path) -> None:
    process = start_training(built, [sys.executable, "-c", STOPPED_TWICE])
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None and process.stdout.readline() == "130\n"
    wait_for_a_checkpoint(process, built, after=last_checkpoint(built))
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, "Traceback" in err) == (143, "", False)
    assert all("--resume" in told for told in err.split("the first has stopped\n"))


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_checkpoint(typed: Type, built: Path) -> None:
    process = start_training(built)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    check(typed("train", "--steps", "500", "--out", "runs/long", "--json"), 2, "train.run_exists")
    metrics = (built / "runs" / "long" / "metrics.jsonl").read_text().splitlines()
    assert len(metrics) >= 1


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("verify", "a" * 5000), 3, "path.unusable"),
        (("init", "a/" * 2500), 3, "path.unusable"),
        (("ledger", "--work", "loop"), 3, "path.unusable"),
        (("ingest", "--work", "\udcff"), 3, "store.path_not_utf8"),
        (("ingest", "--preview", "9" * 20), 2, "usage.arguments"),
        (("ask", "--jsonl"), 2, "ask.arguments"),
    ],
)
def test_a_path_that_no_system_takes_a_number_beyond_all_bounds_and_flags_that_conflict(
    typed: Type, project: Path, words: tuple[str, ...], status: int, code: str
) -> None:
    (project / "loop").symlink_to("loop")
    check(typed(*words, "--json"), status, code)


def test_streams_that_are_closed_or_full_end_in_no_traceback(project: Path) -> None:
    for redirect, status in ((">&-", 0), ("2>&- <&-", 0), (">/dev/full", 3)):
        program = f"{sys.executable} -c 'from hrmbuild.cli.main import run; run()'"
        command = f"exec {program} explain gate.not_nfc --json {redirect}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, cwd=project, check=False)
        assert (done.returncode, b"Traceback" in done.stderr) == (status, False), (redirect, done.stderr.decode())


def test_a_folder_that_takes_no_file_and_a_rank_that_is_none(
    typed: Type, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(typed("ingest", "--work", "/proc", "--json"), 3, "store.not_writable")
    monkeypatch.setenv("RANK", "y")
    monkeypatch.setenv("WORLD_SIZE", "2")
    check(typed("train", "--json"), 2, "train.ranks")
