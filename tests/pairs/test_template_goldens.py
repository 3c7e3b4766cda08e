"""Every wording is rendered once and equals what a person read; every kind has eight wordings in three registers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hrmbuild.assets import asset_folder
from hrmbuild.pairs.environment import Templates
from hrmbuild.pairs.table_kinds import KINDS

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "golden"))
from render_templates import FOLDER, VALUES, renders

TEMPLATES = Templates([asset_folder("templates")])
KIND_FOLDERS = sorted(
    {n.rpartition("/")[0] for n in TEMPLATES.names() if n.startswith(("prose/", "memos/", "tables/", "texts/"))}
)


def test_every_template_renders_as_it_was_read() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.txt")} == renders()


@pytest.mark.parametrize("kind", KIND_FOLDERS)
def test_a_kind_has_eight_wordings_in_three_registers_and_no_two_are_alike(kind: str) -> None:
    names = TEMPLATES.wordings(kind)
    assert {name.rpartition("/")[2].split("_")[0] for name in names} >= {"policy", "mail", "form"}
    assert len({TEMPLATES.render(name, **VALUES) for name in names}) == len(names) >= 8


def test_every_kind_of_table_question_has_wordings() -> None:
    assert {f"tables/{kind.name}" for kind in KINDS} <= set(KIND_FOLDERS)
