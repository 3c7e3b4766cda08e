"""`hrmbuild templates`: eight wordings in three registers a kind; own templates are used, faults have a place."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrmbuild.cli.main import main
from hrmbuild.pipelines.templates_check import list_templates

FILE = ["--source", "rules/a.csv", "--show-label", "internal"]
SETTINGS = "name: t\ntemplates: own\nsources:\n  - {path: rules, kind: rules, owner: a, license: internal}\n"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "hrmbuild.yaml").write_text(SETTINGS)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.csv").write_text("F,km [0..100],decision\nA,<=10,near\nB,-,far\n")
    (tmp_path / "own" / "rules" / "outcome").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "own" / "rules" / "outcome"


def test_every_kind_has_eight_wordings_in_three_registers_and_there_are_enough_kinds() -> None:
    kinds = list_templates(None).kinds
    assert [one.kind for one in kinds if len(one.wordings) < 8 or len(one.registers) < 3] == []
    tables = [one for one in kinds if one.kind.startswith("tables/")]
    assert len(tables) >= 20 and len(kinds) - len(tables) >= 12


def test_own_wordings_override_and_extend(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own / "form_1.j2").write_text("MINE, instead")
    (own / "slang_1.j2").write_text("MINE, besides")
    assert main(["templates", "test", "rules/outcome", *FILE]) == 0
    shown = capsys.readouterr().out
    assert "- MINE, instead" in shown and "rules/outcome/slang_1.j2\n  - MINE, besides" in shown


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Who?\n{{ nobody }}", "bad.j2:2: the template cannot be rendered: 'nobody' is undefined"),
        ("\n\n{{ ''.__class__.__mro__ }}", "bad.j2:3: the template cannot be rendered: access to attribute"),
        ("{# nothing #}", "bad.j2:1: it makes no text"),
        ("a\n{% if %}", "bad.j2:2: the template cannot be parsed"),
    ],
)
def test_what_fails_has_its_file_and_line(own: Path, capsys: pytest.CaptureFixture[str], text: str, told: str) -> None:
    (own / "bad.j2").write_text(text)
    assert main(["templates", "test", "rules.outcome", *FILE]) == 1
    assert f"templates/rules/outcome/{told}" in capsys.readouterr().out


def test_a_misspelt_kind_is_refused_and_the_right_one_named(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own.rename(own.parent / "outcom")
    (own.parent / "outcom" / "form_9.j2").write_text("x")
    for command in (["templates", "test"], ["ingest", "--dry-run"]):
        assert main(command) == 2
        assert "rules/outcome/" in capsys.readouterr().err


def test_a_source_of_the_project_may_be_tried(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["templates", "test", "rules.outcome", "--source", "rules/a.csv"]) == 2
    assert main(["templates", "test", "rules.outcome", "--source", "rules/a.csv", "--show-label", "internal"]) == 0
    assert "km" in capsys.readouterr().out
    assert main(["templates", "test", "nonsense"]) == 2
