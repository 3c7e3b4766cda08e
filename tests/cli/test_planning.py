"""`plan`, `ledger`, `doctor` and the gate of `train`, as a user types them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typed_commands import Type

PAPER = ("plan", "--preset", "XL", "--gpus", "16", "--gpu-type", "H100", "--tokens", "60e9")


def test_plan_needs_no_project(typed: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = typed(*PAPER, "--json")
    assert (shown.status, shown.err) == (0, "")
    assert {"tokens", "steps", "flops", "memory_gib", "hours", "cost_usd", "warnings"} <= set(shown.json)
    lines = typed(*PAPER).out
    assert "published: 46 hours on 16 H100" in lines
    assert "305,176 steps" in lines
    assert list(tmp_path.iterdir()) == []


def test_plan_refuses_with_one_object_and_a_reason_lets_it_pass(typed: Type) -> None:
    words = ("plan", "--preset", "B", "--gpu-type", "H100", "--tokens", "1e6")
    refused = typed(*words, "--json")
    assert (refused.status, refused.json["error"]["code"]) == (1, "plan.insufficient")
    assert refused.json["sufficiency"]["refused"]
    assert typed(*words, "--accept-insufficient", "a trial").status == 0
    plain = typed(*words)
    assert (plain.status, plain.out.startswith("model"), "base mix" in plain.err) == (1, True, True)


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("plan", "--tokens", "-1"), 2, "usage.arguments"),
        (("plan", "--tokens", "nan"), 2, "usage.arguments"),
        (("plan", "--tokens", "1e6", "--epochs", "0"), 2, "usage.arguments"),
        (("plan", "--tokens", "1e6", "--preset", "nono"), 2, "train.unknown_preset"),
        (("plan", "--tokens", "1e6", "--gpu-type", "H10"), 2, "hardware.unknown_gpu"),
        (("plan", "--tokens", "1e6", "--gpus", "0"), 2, "usage.arguments"),
        (("plan", "--tokens", "1e6", "--accept-insufficient", " "), 2, "plan.no_reason"),
        (("plan", "--manifest", "nowhere"), 3, "manifest.missing"),
        (("plan",), 2, "plan.no_corpus"),
        (("ledger",), 2, "config.not_found"),
    ],
)
def test_mistakes_are_told(
    typed: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], status: int, code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = typed(*words, "--json")
    assert (outcome.status, outcome.json["error"]["code"]) == (status, code)


def test_train_asks_before_it_begins_anything(typed: Type, built: Path) -> None:
    before = sorted((built / "runs").iterdir())
    outcome = typed("train", "--preset", "B", "--json")
    assert (outcome.status, outcome.json["error"]["code"]) == (1, "plan.insufficient")
    assert sorted((built / "runs").iterdir()) == before


def test_the_ledger_shows_what_was_run(typed: Type, built: Path) -> None:
    shown = typed("ledger", "--json").json
    assert [(one["kind"], one["outcome"]) for one in shown["entries"]] == [
        ("train", "finished"),
        ("package", "finished"),
    ]
    assert shown["total"]["entries"] == 2
    assert "in all" in typed("ledger").out
    (built / "ledger.jsonl").unlink()
    assert "nothing was run" in typed("ledger").out


def test_doctor_says_what_it_found(typed: Type, project: Path) -> None:
    outcome = typed("doctor", "--json")
    assert outcome.status == 0
    assert all({"name", "ok", "detail", "fix"} <= set(check) for check in outcome.json["checks"])
    assert "training works here" in typed("doctor").out
    (project / "hrmbuild.yaml").write_text("name: [")
    broken = typed("doctor")
    assert (broken.status, "NO" in broken.out, broken.err) == (1, True, "")
