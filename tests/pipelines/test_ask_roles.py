"""`ask --role` and `--corpus`: who may ask a package, and what of a corpus stands before the question."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from packaged_project import SETTINGS, Packaged, copy_packaged
from small_project import FILES, write_project

from hrmbuild.config.loading import load_project
from hrmbuild.errors import AnswerIsNoError, InputError, UsageError
from hrmbuild.packaging.verify import read_package_manifest
from hrmbuild.pipelines.access import check_role
from hrmbuild.pipelines.ask import AskSettings, ask, ask_lines
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.package import package
from hrmbuild.records.package import PackageManifest
from hrmbuild.records.passage import Access

ROLES = "roles: {clerk: internal, lead: confidential}\ndefault_role: lead\n"
BADGE = "When must a lost badge be reported?"
STORM = "Who sends the list of damaged roofs?"


@pytest.fixture(scope="module")
def office(packaged_once: Packaged, tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    """The packaged project, packaged again with roles."""
    packaged = copy_packaged(packaged_once, tmp_path_factory.mktemp("office") / "project")
    config = packaged.project.config_path
    config.write_text(config.read_text(encoding="utf-8") + ROLES, encoding="utf-8")
    project = load_project(config)
    with_roles = package(project, run=packaged.run, out=project.packages_folder / "with-roles").folder
    return Packaged(project, packaged.run, with_roles)


def settings(office: Packaged, role: str | None) -> AskSettings:
    return AskSettings(max_new_tokens=2, role=role, corpus=office.project.corpus_path)


def manifest_for(label: str, access: Access | None, office: Packaged) -> PackageManifest:
    return read_package_manifest(office.package).model_copy(update={"label": label, "access": access})


def test_a_package_carries_the_roles_that_its_project_declares(office: Packaged, packaged_once: Packaged) -> None:
    access = read_package_manifest(office.package).access
    assert access is not None
    assert access.roles == {"clerk": "internal", "lead": "confidential"}
    assert read_package_manifest(packaged_once.package).access is None
    same = read_package_manifest(packaged_once.package).content_root
    assert read_package_manifest(office.package).content_root == same


def test_passages_that_the_role_may_read_stand_before_the_question(office: Packaged) -> None:
    report = ask(office.package, BADGE, settings=settings(office, None))
    best = report.sources[0]
    assert best["path"] == "policies/house/keys.md"
    assert best["label"] == "internal" and best["place"].startswith("line")
    assert 1 <= len(report.sources) <= 3
    assert report.prompt_tokens > 30
    assert ask(office.package, STORM, settings=settings(office, "lead")).sources[0]["path"].startswith("memos/")


def test_a_role_below_the_packages_label_may_not_ask(office: Packaged) -> None:
    assert read_package_manifest(office.package).label == "confidential"
    with pytest.raises(AnswerIsNoError) as refused:
        ask(office.package, BADGE, settings=AskSettings(role="clerk"))
    assert refused.value.code == "ask.role_below_label"


def test_a_role_is_checked_in_the_same_way_by_its_name_and_by_default(office: Packaged) -> None:
    access = Access(labels=("public", "internal", "secret"), roles={"a": "public", "b": "secret"}, default_role="a")
    assert check_role(manifest_for("public", access, office), None) == "a"
    assert check_role(manifest_for("secret", access, office), "b") == "b"
    with pytest.raises(AnswerIsNoError):
        check_role(manifest_for("internal", access, office), None)
    with pytest.raises(UsageError) as unknown:
        check_role(manifest_for("public", access, office), "c")
    assert unknown.value.code == "ask.unknown_role"


def test_without_declared_roles_nobody_is_checked_and_nothing_of_a_corpus_is_shown(packaged_once: Packaged) -> None:
    assert ask(packaged_once.package, BADGE, settings=AskSettings(max_new_tokens=1)).sources == ()
    for role in (None, "lead"):
        with pytest.raises(UsageError) as refused:
            ask(packaged_once.package, BADGE, settings=settings(packaged_once, role))
        assert refused.value.code == "ask.no_roles"


def test_lines_are_answered_with_their_own_passages(office: Packaged) -> None:
    lines = [json.dumps({"instruction": text}) for text in (BADGE, "zzzz qqqq", STORM)]
    badge, nothing, storm = ask_lines(office.package, lines, settings=settings(office, "lead"))
    assert badge.report is not None and badge.report.sources[0]["path"] == "policies/house/keys.md"
    assert nothing.error is not None and nothing.error.code == "ask.nothing_found"
    assert storm.report is not None and storm.report.sources[0]["path"].startswith("memos/")


def test_what_cannot_be_retrieved_from_says_so(office: Packaged, tmp_path: Path) -> None:
    with pytest.raises(InputError) as missing:
        ask(office.package, BADGE, settings=AskSettings(role="lead", corpus=tmp_path / "none.duckdb"))
    assert missing.value.code == "store.missing"


def test_a_label_that_was_raised_after_packaging_counts(office: Packaged, tmp_path: Path) -> None:
    files = {name: text.replace("label: confidential", "label: restricted") for name, text in FILES.items()}
    project = write_project(tmp_path / "raised", files | {"hrmbuild.yaml": files["hrmbuild.yaml"] + SETTINGS})
    ingest(project)
    asked = AskSettings(max_new_tokens=1, role="lead", corpus=project.corpus_path)
    found = ask(office.package, STORM + " badge", settings=asked)
    assert all(not one["path"].startswith("memos/") for one in found.sources)
