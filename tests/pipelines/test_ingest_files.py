"""Finding source files: globs, folders, links, and what is refused or declared twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from small_project import write_project

from hrmbuild.errors import ConfigError
from hrmbuild.pipelines.identity import project_templates
from hrmbuild.pipelines.source_files import Found, find_files
from hrmbuild.pipelines.units import plan_units


def found_with(folder: Path, *entries: str, files: tuple[str, ...] = ()) -> Found:
    sources = "".join(f"  - {entry}\n" for entry in entries)
    texts = {name: f"text of {name}" for name in files}
    return find_files(write_project(folder, {"hrmbuild.yaml": f"name: t\nsources:\n{sources}", **texts}))


def names(found: Found) -> list[str]:
    return [file.relative for file in found.files]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a", ["a/b/two.txt", "a/one.md", "a/two.md"]),
        ("a/**/*", ["a/b/two.txt", "a/one.md", "a/two.md"]),
        ("a/**/*.md", ["a/one.md", "a/two.md"]),
        ("**/two.*", ["a/b/two.txt", "a/two.md"]),
        ("a/*.md", ["a/one.md", "a/two.md"]),
        ("a/*", ["a/b/two.txt", "a/one.md", "a/two.md"]),
        ("a/one.md", ["a/one.md"]),
        ("./a/[ox]ne.md", ["a/one.md"]),
        ("odd[1].md", ["odd[1].md"]),
        ("?/one.md", ["a/one.md"]),
        ("a/.hidden/*", ["a/.hidden/x.md"]),
    ],
)
def test_a_path_names_the_files_that_a_shell_would(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    files = ("a/one.md", "a/two.md", "a/b/two.txt", "a/.hidden/x.md", "odd[1].md")
    assert names(found_with(tmp_path, f"{{path: '{pattern}', kind: memos}}", files=files)) == expected


def test_hidden_names_are_counted_and_own_files_are_no_sources(tmp_path: Path) -> None:
    files = (".git/x", "memo.md", "corpus.duckdb", "evaluations.jsonl", "manifests/a/manifest.json", "runs/r/run.json")
    found = found_with(tmp_path, "{path: ., kind: memos}", files=files)
    assert (names(found), found.n_hidden) == (["memo.md"], 1)


def test_an_entry_without_files_says_what_is_there_instead(tmp_path: Path) -> None:
    found = found_with(tmp_path, "{path: nowhere/*.md, kind: memos}", "{path: a/*.pdf, kind: memos}", files=("a/x.md",))
    assert found.unmatched == [(0, "there is no nowhere"), (1, "a holds no such file")]


def test_a_file_of_two_equal_entries_is_read_once(tmp_path: Path) -> None:
    found = found_with(tmp_path, "{path: a, kind: memos}", "{path: a/*.md, kind: memos}", files=("a/x.md",))
    assert [(file.relative, file.entry) for file in found.files] == [("a/x.md", 0)]


def test_two_entries_that_disagree_on_a_file_name_both_lines(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        found_with(tmp_path, "{path: a, kind: memos}", "{path: a/*.md, kind: rules}", files=("a/x.md",))
    assert caught.value.code == "config.source_twice"
    assert (caught.value.where, "hrmbuild.yaml:3" in caught.value.what) == ("hrmbuild.yaml:4", True)


def test_two_entries_that_disagree_on_many_files_are_told_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        found_with(tmp_path, "{path: a, kind: memos}", "{path: a/*, kind: rules}", files=("a/x.md", "a/y.md", "a/z.md"))
    assert "a/x.md and 2 more files" in caught.value.what and not caught.value.more


def test_a_reader_that_does_not_exist_is_a_mistake_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        found_with(tmp_path, "{path: a, kind: memos, format: docs}", files=("a/x.md",))
    assert (caught.value.code, caught.value.fix) == ("config.unknown_format", "did you mean 'docx'?")


def test_absolute_paths_are_refused_all_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        found_with(tmp_path, "{path: /etc, kind: memos}", "{path: /usr/*, kind: memos}")
    assert [caught.value.code, *(error.code for error in caught.value.more)] == ["config.absolute_path"] * 2


def test_links_are_followed_inside_and_refused_outside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "folder").mkdir(parents=True)
    (outside / "secret.md").write_text("secret")
    folder = tmp_path / "project"
    write_project(folder, {"hrmbuild.yaml": "name: t\nsources: [{path: a, kind: memos}]", "a/x.md": "x", "b/y.md": "y"})
    links = {"in.md": "../b/y.md", "same.md": "x.md", "out.md": str(outside / "secret.md"),
             "dir": str(folder / "b"), "outdir": str(outside / "folder"), "broken.md": "nothing.md"}  # fmt: skip
    for name, target in links.items():
        (folder / "a" / name).symlink_to(target)
    found = find_files(write_project(folder, {}))
    assert names(found) == ["a/x.md", "b/y.md"]
    assert {one.path: one.code for one in found.refused} == {
        "a/broken.md": "read.link_broken",
        "a/dir": "read.link_to_folder",
        "a/out.md": "read.link_outside",
        "a/outdir": "read.link_outside",
    }


def test_what_is_no_file_or_has_no_readable_name_is_refused(tmp_path: Path) -> None:
    write_project(tmp_path, {"hrmbuild.yaml": "name: t\nsources: [{path: a, kind: memos}]", "a/x.md": "x"})
    os.mkfifo(tmp_path / "a" / "pipe")
    (Path(os.fsdecode(os.fsencode(tmp_path / "a") + b"/b\xff.md"))).write_text("x")
    found = find_files(write_project(tmp_path, {}))
    assert names(found) == ["a/x.md"]
    assert [(one.path, one.code) for one in found.refused] == [
        ("a/b\\xff.md", "read.file_name"),
        ("a/pipe", "read.not_a_file"),
    ]


def test_sources_beside_the_project_have_relative_names(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    write_project(
        tmp_path,
        {"shared/x.md": "x", "project/hrmbuild.yaml": ""}
        | {"hrmbuild.yaml": "name: t\nsources: [{path: shared, kind: memos}]"},
    )
    text = "name: t\nsources: [{path: ../shared, kind: memos}]"
    assert names(find_files(write_project(folder, {"hrmbuild.yaml": text}))) == ["../shared/x.md"]


def test_a_context_in_the_folder_of_each_file_is_shown_beside_that_file_alone(tmp_path: Path) -> None:
    entry = "{path: 't/*/rows.jsonl', kind: pairs, mapping: {context: '{folder}/README.md'}}"
    texts = {f"t/{name}/{file}": name for name in ("a [1]", "b") for file in ("rows.jsonl", "README.md")}
    project = write_project(tmp_path, {"hrmbuild.yaml": f"name: t\nsources:\n  - {entry}\n", **texts})
    plan = plan_units(project, find_files(project), project_templates(project))
    shown = {unit.name: [file.relative for file in unit.context] for unit in plan.units if not unit.is_context}
    assert shown == {f"t/{name}/rows.jsonl": [f"t/{name}/README.md"] for name in ("a [1]", "b")}


def test_an_own_template_that_cannot_be_parsed_is_told_though_no_question_needs_it(tmp_path: Path) -> None:
    texts = {"my/prose/who/mail_9.j2": "Who {{ action ?", "my/prose/duty/mail_9.j2": "{% if %}", "a/x.md": "x"}
    entry = "name: t\ntemplates: my\nsources: [{path: a, kind: memos}]\n"
    project = write_project(tmp_path, {"hrmbuild.yaml": entry, **texts})
    with pytest.raises(ConfigError) as caught:
        project_templates(project)
    told = [(one.code, one.where) for one in (caught.value, *caught.value.more)]
    assert told == [("templates.syntax", f"templates/prose/{kind}/mail_9.j2:1") for kind in ("duty", "who")]
