"""A base mix that is frozen once and included by root: from two projects to one model, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from base_project import Two, base_folder, company, copied, frozen_base, rows, write

from hrmbuild.audit.evidence import read_rows
from hrmbuild.audit.manifest import digest_line, read_manifest
from hrmbuild.config.loading import Project, load_project
from hrmbuild.errors import AnswerIsNoError, ConfigError, InputError
from hrmbuild.pipelines.audit_report import ReportRequest, audit_report
from hrmbuild.pipelines.audit_trace import trace
from hrmbuild.pipelines.freeze import freeze, is_frozen_as
from hrmbuild.pipelines.included_rows import read_left_out
from hrmbuild.pipelines.manifests import current_manifest
from hrmbuild.pipelines.package import package
from hrmbuild.pipelines.progress import SilentProgress
from hrmbuild.pipelines.train import train
from hrmbuild.pipelines.train_corpus import frozen_corpus, token_data
from hrmbuild.pipelines.verify import verify
from hrmbuild.records.manifest import Manifest


def test_leaks_and_duplicates_are_left_out_and_named(two: Two) -> None:
    (included,) = two.manifest.includes or ()
    folder = two.project.manifests_folder / two.manifest.content_root[:12]
    listed = read_left_out(folder)
    n_base_train = two.base.splits["train"].pairs
    assert sum(included.left_out.values()) == len(listed) == n_base_train - included.taken.pairs > 0
    by_id = {row["id"]: row for row in read_rows(base_folder(two.project), "train")}
    in_train = [by_id[one.id]["instruction"] for one in listed]
    told = {text: one.code for text, one in zip(in_train, listed, strict=True)}
    assert all("folders on the desk" in text for text in told)
    planted = {text: code for text, code in two.planted.items() if text in told}
    assert planted and planted == told
    assert included.lineage == two.manifest.lineage == "complete"
    makers = {(one.source.license, one.source.maker) for one in included.sources}
    assert makers == {("CC0-1.0", "model"), ("MIT", "person")}
    assert is_frozen_as(two.project, folder)


def test_the_own_root_is_that_of_the_own_rows_and_the_training_root_binds_both(two: Two) -> None:
    alone = read_manifest(two.root / "alone")
    assert two.manifest.content_root == alone.content_root == alone.training_root
    assert two.manifest.training_root != two.manifest.content_root
    assert two.manifest.tokenizer.sha256 != alone.tokenizer.sha256


def test_nothing_of_the_base_is_ingested_again(two: Two) -> None:
    sources = {entry.source.path for entry in two.manifest.sources}
    assert sources == {"own.jsonl"} and two.manifest.splits["train"].pairs < 150


def test_token_files_hold_own_and_included_rows_by_id_and_score_own_ones(two: Two) -> None:
    frozen = frozen_corpus(two.project, manifest=None, corpus=None, progress=SilentProgress())
    data = token_data(two.project, frozen, progress=SilentProgress())
    (included,) = two.manifest.includes or ()
    ids = [bytes(one).hex() for one in data.splits["train"].ids]
    assert ids == sorted(ids) and len(ids) == two.manifest.splits["train"].pairs + included.taken.pairs
    assert data.splits["test"].n_pairs == two.manifest.splits["test"].pairs
    assert data.files.content_root == two.manifest.training_root


def altered_row(project: Project) -> None:
    path = base_folder(project) / "pairs.parquet"
    path.write_bytes(path.read_bytes()[:-9] + b"x" + path.read_bytes()[-8:])


def missing(project: Project) -> None:
    shutil.rmtree(base_folder(project))


@pytest.mark.parametrize(("harm", "code"), [(altered_row, "evidence.altered"), (missing, "include.missing")])
def test_a_base_that_is_not_the_frozen_one_stops_freeze_and_train(
    two: Two, tmp_path: Path, harm: Callable[[Project], None], code: str
) -> None:
    project = copied(two, tmp_path)
    harm(project)
    for step in (freeze, train):
        with pytest.raises(InputError) as caught:
            step(project)
        assert caught.value.code == code
    checks = {one.name: one for one in verify(project.manifests_folder / two.manifest.content_root[:12]).checks}
    assert checks["include base-mix"].ok and "not at hand" in checks["include base-mix"].detail
    told = verify(project.manifests_folder / two.manifest.content_root[:12], project=project)
    assert told.ok == (harm is missing)


def test_another_root_and_an_unknown_stratum_are_named(two: Two, tmp_path: Path) -> None:
    copied(two, tmp_path)
    again = f"include:\n  - {{manifest: ../other, root: {two.base.content_root}}}\n"
    cases = {
        "config.bad_value": {"include:\n": again},
        "include.other_root": {f"root: {two.base.content_root}": f"root: {'ab' * 32}"},
        "include.unknown_stratum": {"root: ": "strata: [generel], root: "},
    }
    for code, changed in cases.items():
        with pytest.raises(ConfigError) as caught:
            freeze(company(tmp_path / "company", two.base, **changed))
        assert caught.value.code == code


def test_a_base_that_includes_others_is_refused_and_says_what_to_include(two: Two, tmp_path: Path) -> None:
    copied(two, tmp_path)
    text = (tmp_path / "company" / "hrmbuild.yaml").read_text()
    (tmp_path / "above").mkdir()
    nested = f"../company/manifests/{two.manifest.content_root[:12]}, root: {two.manifest.content_root}"
    before, _, after = text.partition("include:")
    after = after[after.index("train:") :]
    (tmp_path / "above" / "hrmbuild.yaml").write_text(f"{before}include:\n  - {{manifest: {nested}}}\n{after}")
    with pytest.raises(ConfigError) as caught:
        freeze(load_project(tmp_path / "above" / "hrmbuild.yaml"))
    assert caught.value.code == "include.nested"
    assert "base-mix" in str(caught.value.fix) and two.base.content_root in str(caught.value.fix)


@pytest.mark.slow
def test_a_base_above_the_highest_label_is_refused(two: Two, tmp_path: Path) -> None:
    copied(two, tmp_path)
    shutil.rmtree(tmp_path / "base")
    base = frozen_base(tmp_path / "base", [], label="confidential")
    project = company(tmp_path / "company", base)
    with pytest.raises(AnswerIsNoError) as caught:
        freeze(project, max_label="internal")
    assert caught.value.code == "include.above_max_label"
    assert freeze(project).manifest.label == "confidential"


@pytest.mark.slow
def test_from_two_projects_to_a_verified_package(two: Two, tmp_path: Path) -> None:
    project = copied(two, tmp_path)
    report = train(project)
    config = report.record.config
    assert config.includes is not None and config.includes.content_roots == (two.base.content_root,)
    assert set(report.coverage.as_dict()["strata"]) == {"own", "general", "logic"}
    assert "base-mix: logic.jsonl" in report.coverage.as_dict()["sources"]
    found = verify(report.folder, project=project, deep=True)
    assert [one for one in found.checks if not one.ok] == []
    told = {one.name: one.detail for one in found.checks}
    assert told["batches"].startswith("6 steps") and "same bytes" in told["token files"]
    made = package(project, run=report.folder).folder
    assert verify(made, project=project).ok
    assert two.base.content_root in (made / "README.md").read_text()
    bom = (made / "bom.cdx.json").read_text()
    assert two.base.content_root in bom and "general.jsonl" in bom
    assert "included_corpus_1" in (made / "provenance.json").read_text()


def altered(two: Two, folder: Path, change: Callable[[Manifest], Manifest]) -> list[str]:
    """Names of the failed checks of a manifest that was changed, and its digest with it."""
    shutil.copytree(two.project.manifests_folder / two.manifest.content_root[:12], folder)
    data = change(two.manifest).canonical_bytes()
    (folder / "manifest.json").write_bytes(data)
    (folder / "manifest.sha256").write_bytes(digest_line(data))
    return [one.name for one in verify(folder, project=two.project).checks if not one.ok]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "check"),
    [
        ({"left_out": {}}, "includes"),
        ({"lineage": "partial: a given tokenizer"}, "includes"),
        ({"leak_words": None}, "included rows left out"),
        ({"manifest_sha256": "0" * 64}, "include base-mix"),
        ({"label": "restricted"}, "includes"),
    ],
)
def test_what_a_manifest_says_of_an_include_is_checked(
    two: Two, tmp_path: Path, changed: dict[str, object], check: str
) -> None:
    def change(manifest: Manifest) -> Manifest:
        (one,) = manifest.includes or ()
        return manifest.model_copy(update={"includes": (one.model_copy(update=changed),)})

    with_corpus = Two(two.root, replace(two.project, work=tmp_path), two.base, two.manifest, two.planted)
    shutil.copytree(two.project.manifests_folder, tmp_path / "manifests")
    assert check in altered(with_corpus, tmp_path / "altered", change)


@pytest.mark.slow
def test_of_two_bases_with_one_name_the_first_holds_and_both_are_told_apart(two: Two, tmp_path: Path) -> None:
    copied(two, tmp_path)
    asked = [row["instruction"] for row in read_rows(base_folder(two.project), "train") if row["stratum"] == "logic"]
    otherwise = [{"instruction": one, "response": "Nowhere."} for one in asked[:40]]
    write(tmp_path / "other" / "logic.jsonl", [])
    other = frozen_base(tmp_path / "other", [*rows(5000, 20, "What follows {} and {}?"), *otherwise], logic=False)
    text = (tmp_path / "company" / "hrmbuild.yaml").read_text()
    line = f"  - {{manifest: ../other/manifests/{other.content_root[:12]}, root: {other.content_root}}}\ntrain:"
    (tmp_path / "company" / "hrmbuild.yaml").write_text(text.replace("train:", line, 1))
    project = load_project(tmp_path / "company" / "hrmbuild.yaml")
    manifest = freeze(project).manifest
    first, second = manifest.includes or ()
    assert 20 < second.left_out["include.contradiction"] <= 40
    names = {f"base-mix {one.content_root[:12]}" for one in (first, second)}
    told = {source.path.partition(":")[0] for source in manifest.trained_sources}
    assert told == {"own.jsonl", *names}
    folder = project.manifests_folder / manifest.content_root[:12]
    report = verify(current_manifest(project) or folder, project=project, deep=True)
    assert report.ok and {f"include {name}" for name in names} <= {one.name for one in report.checks}
    value = audit_report(None, ReportRequest(), project=project, page=False).value["included"]
    assert {one["name"] for one in value["corpora"]} == names
    assert {one["sides"][0]["path"] for one in value["conflicts"]} >= {
        f"base-mix {first.content_root[:12]}: logic.jsonl"
    }
    gone = next(
        one for one in read_left_out(current_manifest(project) or folder) if one.content_root == other.content_root
    )
    assert trace(project, gone.id).found["base"]["content_root"] in (first.content_root, second.content_root)
    assert first == (two.manifest.includes or ())[0].model_copy(update={"taken": first.taken, "sources": first.sources})
    assert 0 < second.taken.pairs <= 20 < second.left_out["include.duplicate"]
