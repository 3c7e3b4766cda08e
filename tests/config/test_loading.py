"""Settings: every problem at once, each with its line, column and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrmbuild.config.loading import load_project
from hrmbuild.errors import ConfigError, UsageError

GOOD = "name: demo\nsources:\n  - path: a/*.md\n    kind: rules\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "hrmbuild.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_project_is_found_from_a_folder_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, GOOD)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    project = load_project(None)
    assert (project.folder, project.corpus_path) == (tmp_path, tmp_path / "corpus.duckdb")
    assert project.declared_by(0) == "hrmbuild.yaml:3"


def test_without_a_project_the_error_names_the_next_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"no hrmbuild\.yaml here") as caught:
        load_project(None)
    assert "hrmbuild init" in (caught.value.fix or "")


MISTAKES = {
    "misspelt key": ("    onwer: me\n", "hrmbuild.yaml:5:5", "did you mean 'owner'?"),
    "misspelt choice": ("    persons: kep\n", "hrmbuild.yaml:5:5", "did you mean 'keep'?"),
    "wrong type": ("train: {steps: many}\n", "hrmbuild.yaml:5:9", "correct the value"),
    "key given twice": ("    kind: memos\n", "hrmbuild.yaml:5:5", "remove one of them"),
    "undeclared label": (
        "    label: secret\n",
        "hrmbuild.yaml:5:5",
        "use one of public, internal, confidential, restricted, or declare it under labels",
    ),
    "an alias that holds itself": ("labels: &a [*a]\n", "hrmbuild.yaml:5:9", "write the value out"),
    "no YAML": ("    - : [\n", "hrmbuild.yaml:5:5", "mend the line named above"),
}


@pytest.mark.parametrize("mistake", sorted(MISTAKES))
def test_a_mistake_is_named_with_its_place_and_remedy(mistake: str, tmp_path: Path) -> None:
    added, where, fix = MISTAKES[mistake]
    with pytest.raises(ConfigError) as caught:
        load_project(write(tmp_path, GOOD + added))
    assert (caught.value.where, caught.value.fix) == (where, fix)


def test_all_problems_are_told_at_once_and_none_twice(tmp_path: Path) -> None:
    text = "name: demo\nsources:\n  - path: a/*.md\n    kind: rule\n    onwer: me\ntrian: {}\n"
    with pytest.raises(ConfigError) as caught:
        load_project(write(tmp_path, text))
    codes = [caught.value.code, *(error.code for error in caught.value.more)]
    assert codes == ["config.bad_value", "config.unknown_key", "config.unknown_key"]


def test_licence_is_taken_for_license(tmp_path: Path) -> None:
    project = load_project(write(tmp_path, GOOD + "    licence: CC0-1.0\n"))
    assert project.config.sources[0].license == "CC0-1.0"


def test_the_config_hash_ignores_spelling_and_place(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    one = load_project(write(tmp_path, GOOD))
    other = load_project(write(tmp_path / "x", "sources: [{kind: rules, path: 'a/*.md'}]\nname: demo\nseed: 0\n"))
    assert one.config_sha256 == other.config_sha256


def test_a_long_value_is_cut_in_its_message(tmp_path: Path) -> None:
    path = tmp_path / "hrmbuild.yaml"
    path.write_text(f"name: x\nseed: {'x' * 20_000}\nsources: [{{path: a, kind: rules}}]\n")
    with pytest.raises(ConfigError) as refused:
        load_project(path)
    assert len(str(refused.value)) < 500 and "hrmbuild.yaml:2:1" in str(refused.value)
