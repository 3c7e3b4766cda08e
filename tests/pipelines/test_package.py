"""`package`: from a finished run, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaged_project import Packaged
from safetensors.torch import load_file, save_file
from small_project import rewrite, write_project

from hrmbuild.errors import ConfigError, InputError, UsageError
from hrmbuild.inference.load import load_package, read_ema
from hrmbuild.pipelines.package import package
from hrmbuild.pipelines.train import train
from hrmbuild.pipelines.verify import verify
from hrmbuild.records.package import PackageManifest


def _manifest(folder: Path) -> PackageManifest:
    return PackageManifest.model_validate_json((folder / "manifest.json").read_bytes())


def test_the_package_holds_the_averaged_weights_of_training(packaged_once: Packaged) -> None:
    model = load_package(packaged_once.package).model
    trained = read_ema(packaged_once.run / "checkpoints" / "step_000004")
    held = model.state_dict()
    assert held.keys() == trained.keys()
    assert all((held[name] == trained[name]).all() for name in held)
    manifest = _manifest(packaged_once.package)
    assert manifest.weights_sha256 == manifest.trained_weights_sha256
    assert packaged_once.package.name.startswith("small-nano-0.1.0-")


def test_what_began_as_another_model_never_claims_a_complete_lineage(packaged: Packaged) -> None:
    project = packaged.project
    run = train(project, steps=1, out=project.work / "further", init_from=packaged.package)
    folder = package(project, run=run.folder, out=project.work / "further-package").folder
    assert _manifest(folder).lineage == run.record.lineage != "complete"
    card = " ".join((folder / "README.md").read_text("utf-8").split())
    assert f"- Lineage: {run.record.lineage}" in card
    assert "scratch" not in card and "trained from given weights" in card
    assert verify(folder, project=project).ok


def test_the_card_tells_the_schedule_that_was_used(packaged_once: Packaged) -> None:
    card = (packaged_once.package / "README.md").read_text("utf-8")
    assert "trained from scratch" in card and "- Lineage: complete\n" in card
    assert "| 0.002 after 10 steps of linear warm-up, then a cosine to 0.1 of it |" in card
    assert "(EMA, decay 0)" in card
    assert "rare kinds weigh more than their share" in card


def test_packaging_a_run_twice_gives_one_content_root(packaged: Packaged) -> None:
    report = package(packaged.project, out=packaged.project.work / "again")
    assert report.manifest.content_root == _manifest(packaged.package).content_root
    assert report.as_dict()["root"] == report.manifest.content_root
    assert "README.md" in report.as_dict()["files"]


def test_a_package_that_exists_is_not_overwritten(packaged: Packaged) -> None:
    with pytest.raises(UsageError) as caught:
        package(packaged.project)
    assert caught.value.code == "package.exists"


def test_without_a_model_block_nothing_is_packaged(packaged: Packaged) -> None:
    project = rewrite(packaged.project, "  contact: desk@small.example\n", "  contact: ''\n")
    with pytest.raises(ConfigError, match=r"model\.contact"):
        package(project, out=project.work / "other")


def test_without_a_run_the_next_command_is_named(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    with pytest.raises(ConfigError):
        package(project)
    settings = project.config_path.read_text() + "model: {name: a, contact: b, intended_use: c, excluded_use: d}\n"
    project.config_path.write_text(settings)
    with pytest.raises(UsageError, match="no run has finished"):
        package(rewrite(project, "name: small", "name: small"))


def test_a_run_that_has_not_finished_is_refused(packaged: Packaged) -> None:
    (packaged.run / "result.json").unlink()
    with pytest.raises(UsageError) as caught:
        package(packaged.project, run=packaged.run, out=packaged.project.work / "other")
    assert caught.value.code == "package.run_unfinished"


def test_altered_weights_of_a_run_are_refused(packaged: Packaged) -> None:
    path = packaged.run / "checkpoints" / "step_000004" / "ema.safetensors"
    state = load_file(path)
    save_file({name: tensor * 2 for name, tensor in state.items()}, path)
    with pytest.raises(InputError) as caught:
        package(packaged.project, out=packaged.project.work / "other")
    assert caught.value.code == "package.run_altered"
    assert not (packaged.project.work / "other").exists()


def test_a_run_without_its_manifest_is_refused(packaged: Packaged) -> None:
    for path in packaged.project.manifests_folder.glob("*/manifest.json"):
        path.unlink()
    with pytest.raises(InputError) as caught:
        package(packaged.project, out=packaged.project.work / "other")
    assert caught.value.code == "package.manifest_missing"


def test_an_altered_evidence_file_is_refused(packaged: Packaged) -> None:
    (path,) = packaged.project.manifests_folder.glob("*/pairs.parquet")
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InputError) as caught:
        package(packaged.project, out=packaged.project.work / "other")
    assert caught.value.code == "package.evidence_altered"
