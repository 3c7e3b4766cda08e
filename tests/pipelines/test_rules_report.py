"""`hrmbuild rules`: each planted fault is named with a case, and labels hide texts but not faults."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hrmbuild.cli.main import main

SETTINGS = "name: t\nsources:\n  - {path: rules, kind: rules, owner: a, license: internal, label: internal}\n"
BAD = "U,km [0..100],decision\nA,<=10,near\nB,8..50,mid\nC,9,near\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "hrmbuild.yaml").write_text(SETTINGS)
    (tmp_path / "rules" / "bad.csv").write_text(BAD)
    (tmp_path / "rules" / "good.csv").write_text("F,km,decision\nA,<=10,near\nB,-,far\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_rule_owner_reads_each_fault_with_a_case(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "--show-label", "internal", "--strict"]) == 1
    shown = capsys.readouterr().out
    assert "A says near, B says mid, for km 8; MEND" in shown
    assert "C never decides" in shown and "no rule says what happens for km" in shown
    assert "Good (rules/good.csv): 2 rules" in shown and "nothing to mend" in shown
    assert shown.count("assumed") == 1 and "no range declared, cases have km 0 to 20" in shown


def test_a_higher_label_hides_words_and_not_faults(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "--json", "--strict"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["rulesets"], report["hidden"], report["hidden_faults"]) == ([], 2, 5)


def test_a_file_that_cannot_be_read_is_a_fault_and_good_rules_are_none(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rules", "--source", "rules/good.csv", "--strict"]) == 0
    (project / "rules" / "bad.csv").write_text(BAD.replace("<=10", "<=now()"))
    assert main(["rules", "--show-label", "internal", "--source", "rules/b*", "--strict"]) == 1
    assert "column 'km [0..100]'" in capsys.readouterr().out
    assert main(["rules", "--source", "nothing"]) == 2
    assert main(["rules", "--show-label", "odd"]) == 2
