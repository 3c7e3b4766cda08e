"""The whole road on a small company: what each command prints and promises."""

from __future__ import annotations

import json
from pathlib import Path

from typed_commands import Type


def test_build_ends_verified_and_a_second_build_does_nothing(typed: Type, built: Path) -> None:
    outcome = typed("build", "--json")
    stages = {stage["stage"]: stage for stage in outcome.json["stages"]}
    assert (outcome.status, outcome.json["ok"]) == (0, True)
    assert [name for name, stage in stages.items() if stage["done"]] == ["verify"]
    assert stages["verify"]["report"]["ok"] is True


def test_the_bare_command_shows_every_stage_fresh(typed: Type, built: Path) -> None:
    outcome = typed("--json")
    assert [stage["state"] for stage in outcome.json["stages"]] == ["fresh"] * 4


def test_a_changed_source_makes_everything_behind_it_stale(typed: Type, built: Path) -> None:
    (built / "memos" / "new.txt").write_text("From: Desk\nSubject: Keys\n\nWe decided to change the locks.\n")
    outcome = typed("--json")
    assert [stage["state"] for stage in outcome.json["stages"]] == ["stale"] * 4
    assert outcome.json["next"] == "hrmbuild ingest"


def test_a_dry_build_says_what_would_run_and_changes_nothing(typed: Type, project: Path) -> None:
    before = sorted(project.rglob("*"))
    outcome = typed("build", "--dry-run", "--json")
    assert [stage["done"] for stage in outcome.json["stages"]] == [False] * 5
    assert sorted(project.rglob("*")) == before


def test_a_dry_ingest_and_a_preview_write_nothing(typed: Type, project: Path) -> None:
    before = sorted(project.rglob("*"))
    outcome = typed("ingest", "--preview", "2", "--json")
    assert (outcome.status, outcome.json["dry_run"]) == (0, True)
    assert {pair["declared_by"] for pair in outcome.json["preview"]} == {"hrmbuild.yaml:3", "hrmbuild.yaml:5"}
    assert sorted(project.rglob("*")) == before


def test_ingest_twice_reads_nothing_again(typed: Type, project: Path) -> None:
    first, second = typed("ingest", "--json").json, typed("ingest", "--json").json
    assert (first["sources"]["read"], second["sources"]["read"], second["sources"]["unchanged"]) == (2, 0, 2)
    assert first["pairs"] == second["pairs"]


def test_one_question_and_many(typed: Type, built: Path, monkeypatch) -> None:
    import io
    import sys

    one = typed("ask", "Home claims\n1. If theft: refer.\nCase: theft.\nWhat is decided?", "--json").json
    assert {"response", "tokens", "seconds", "sources"} <= set(one)
    lines = [{"instruction": "What is decided?", "id": "a"}, {"question": "?"}]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(json.dumps(line) for line in lines)))
    many = typed("ask", "--jsonl")
    answered = [json.loads(line) for line in many.out.splitlines()]
    assert (many.status, answered[0]["id"], "response" in answered[0]) == (3, "a", True)
    assert answered[1]["error"]["code"] == "ask.bad_line"


def test_eval_scores_by_axis_beside_its_baselines(typed: Type, built: Path) -> None:
    scored = typed("eval", "--split", "test", "--show", "2", "--show-label", "internal", "--json").json
    assert {"exact", "n", "by_axis", "by_stratum", "baselines"} <= set(scored)
    assert {"majority", "nearest"} <= {name.split()[0] for name in scored["baselines"]}
    assert len(scored["examples"]) == 2


def test_every_json_answer_is_one_object(typed: Type, built: Path) -> None:
    for command in (["ingest"], ["freeze"], ["train"], ["verify", "manifests"], ["build", "--dry-run"]):
        assert isinstance(typed(*command, "--json").json, dict)


def test_every_command_explains_itself(typed: Type) -> None:
    for command in ("init", "ingest", "freeze", "train", "package", "verify", "ask", "eval", "build"):
        outcome = typed(command, "--help")
        assert outcome.status == 0
        assert len(outcome.out.splitlines()) > 5
