"""Templates are strict, sandboxed, found in two places and hashed; documents stay data."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrmbuild.assets import asset_folder
from hrmbuild.errors import ConfigError
from hrmbuild.pairs.environment import Templates


def _templates(folder: Path, **files: str) -> Templates:
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".j2")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Templates([folder])


def test_a_missing_value_is_an_error_that_names_the_template(tmp_path: Path) -> None:
    templates = _templates(tmp_path, a="{{ amount }}")
    with pytest.raises(ConfigError, match="'amount' is undefined") as caught:
        templates.render("a.j2", other=1)
    assert caught.value.code == "templates.refused" and caught.value.where == "templates/a.j2:1"


@pytest.mark.parametrize(
    "attack", ["{{ x.__class__.__mro__ }}", "{{ ''.__class__ }}", "{{ x.append(1) }}", "{{ x.__init__ }}"]
)
def test_the_sandbox_refuses_what_reaches_out(tmp_path: Path, attack: str) -> None:
    with pytest.raises(ConfigError):
        _templates(tmp_path, a=attack).render("a.j2", x=[])


def test_a_template_cannot_read_a_file_outside_its_folders(tmp_path: Path) -> None:
    (tmp_path / "secret.j2").write_text("secret")
    inside = tmp_path / "inside"
    with pytest.raises(ConfigError):
        _templates(inside, a="{% include '../secret.j2' %}").render("a.j2")


def test_text_of_a_document_is_never_a_template(tmp_path: Path) -> None:
    templates = _templates(tmp_path, a="{{ text }}")
    assert templates.render("a.j2", text="{{ 7 * 7 }}{% raw %}") == "{{ 7 * 7 }}{% raw %}"


def test_the_first_folder_wins_and_the_tree_hash_sees_every_change(tmp_path: Path) -> None:
    own, built_in = tmp_path / "own", tmp_path / "built_in"
    _templates(own, kind__mail_1="own")
    both = _templates(built_in, kind__mail_1="built in", kind__form_1="form", kind__deeper__x="no")
    merged = Templates([own, built_in])
    assert merged.render("kind/mail_1.j2") == "own" and both.render("kind/mail_1.j2") == "built in"
    assert merged.wordings("kind") == ["kind/form_1.j2", "kind/mail_1.j2"]
    assert merged.tree_sha256() != both.tree_sha256()
    assert merged.sha256("kind/form_1.j2") == both.sha256("kind/form_1.j2")


def test_a_broken_template_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _templates(tmp_path, a="x\n{% if %}").render("a.j2")
    assert caught.value.where == "templates/a.j2:2"


def test_an_unknown_template_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no template b\.j2"):
        _templates(tmp_path, a="x").render("b.j2")


def test_built_in_templates_are_found() -> None:
    assert "prompt/open_book.j2" in Templates([asset_folder("templates")]).names()
