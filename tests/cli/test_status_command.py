"""`hrmbuild status` as it is typed: before any run, after one, by folder, by name, from outside a project."""

from __future__ import annotations

from pathlib import Path

import pytest
from typed_commands import Type


def test_before_any_run_it_says_so(typed: Type, project: Path) -> None:
    outcome = typed("status", "--json")
    assert (outcome.status, outcome.json["state"], outcome.json["step"]) == (0, "not_started", 0)
    assert outcome.json["total_steps"] is None and outcome.json["others"] == []
    assert "start one with: hrmbuild train" in typed("status").out


def test_the_newest_run_is_shown_and_the_others_are_listed(typed: Type, built: Path) -> None:
    assert typed("train", "--steps", "1", "--out", "runs/second").status == 0
    outcome = typed("status", "--json")
    shown = outcome.json
    assert (outcome.status, shown["state"], shown["step"], shown["total_steps"]) == (0, "finished", 1, 1)
    assert shown["run"].endswith("runs/second") and shown["loss"] > 0 and shown["dev"]["n_tokens"] > 0
    assert [(one["state"], one["step"], one["total_steps"]) for one in shown["others"]] == [("finished", 3, 3)]
    text = typed("status").out
    assert "runs/second" in text and "other runs" in text and "checkpoint    step_000001" in text


@pytest.mark.parametrize("given", ["runs/{}", "{}"])
def test_a_run_is_named_by_its_folder_or_its_name(typed: Type, built: Path, given: str) -> None:
    name = next(path.name for path in (built / "runs").iterdir())
    assert typed("status", given.format(name), "--json").json["step"] == 3


def test_a_run_is_seen_from_outside_its_project(
    typed: Type, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = next((built / "runs").iterdir())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert typed("status", run, "--json").json["state"] == "finished"
    outcome = typed("status", "--json")
    assert (outcome.status, outcome.json["error"]["code"]) == (2, "config.not_found")


def test_a_name_that_no_run_has_is_an_error_that_names_those_there_are(typed: Type, built: Path) -> None:
    outcome = typed("status", "runs/nothing", "--json")
    assert (outcome.status, outcome.json["error"]["code"]) == (3, "status.no_run")
    assert next((built / "runs").iterdir()).name in outcome.json["error"]["why"]


def test_a_misspelt_tracker_is_refused_before_anything_is_done(typed: Type, project: Path) -> None:
    outcome = typed("train", "--tracker", "tensorbord", "--json")
    assert (outcome.status, outcome.json["error"]["code"]) == (2, "train.unknown_tracker")
    assert "tensorboard" in outcome.json["error"]["fix"] and not (project / "runs").exists()


def test_a_run_leaves_its_page(typed: Type, built: Path) -> None:
    page = (next((built / "runs").iterdir()) / "report.html").read_text("utf-8")
    assert ">Finished<" in page and page.rstrip().endswith("</html>")
    assert typed("verify", next((built / "runs").iterdir())).status == 0
