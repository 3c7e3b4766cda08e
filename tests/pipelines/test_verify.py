"""`verify`: what it recognises, what it finds, and how far back it goes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from packaged_project import Packaged

from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError
from hrmbuild.pipelines.verify import recognise, verify
from hrmbuild.records.run import RunRecord, run_digest


def _failures(path: Path, project: Project | None = None) -> dict[str, str]:
    return {check.name: check.detail for check in verify(path, project=project).checks if not check.ok}


def test_each_kind_is_recognised_and_intact(packaged_once: Packaged) -> None:
    (manifest,) = packaged_once.project.manifests_folder.glob("*/manifest.json")
    for path, kind in (
        (packaged_once.package, "package"),
        (packaged_once.run, "run"),
        (manifest.parent, "manifest"),
        (manifest, "manifest"),
        (packaged_once.package / "manifest.json", "package"),
    ):
        report = verify(path)
        assert (report.kind, report.ok, report.authentic) == (kind, True, None)


def test_with_the_project_the_chain_goes_back_to_the_sources(packaged_once: Packaged) -> None:
    report = verify(packaged_once.package, project=packaged_once.project)
    assert report.ok, [check for check in report.checks if not check.ok]
    names = {check.name for check in report.checks}
    assert names >= {"run", "prompt template", "chain", "corpus: rows", "corpus: sources", "corpus: quotes"}
    assert {"run: metrics.jsonl", "run: batches", "run: no other file"} <= names
    alone = verify(packaged_once.package)
    assert {"run", "chain"} <= set(alone.not_looked_at) and "corpus: rows" not in {one.name for one in alone.checks}


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (lambda p: (p.project.folder / "memos" / "storm.md").write_text("other"), "corpus: sources"),
        (lambda p: next(p.project.manifests_folder.glob("*/check.py")).write_text("other"), "corpus: file check.py"),
        (lambda p: (p.run / "result.json").unlink(), "run"),
        (lambda p: (p.package / "probe.json").unlink(), "file probe.json"),
    ],
)
def test_a_fault_anywhere_on_the_chain_is_found_from_the_package(
    packaged: Packaged, spoil: Callable[[Packaged], object], name: str
) -> None:
    spoil(packaged)
    assert name in _failures(packaged.package, packaged.project)


def test_another_run_of_equal_settings_does_not_stand_for_the_packaged_one(packaged: Packaged) -> None:
    other = packaged.run.parent / "0-begun-again"
    shutil.copytree(packaged.run, other)
    (other / "result.json").unlink()
    assert _failures(packaged.package, packaged.project) == {}
    (packaged.run / "result.json").unlink()
    detail = _failures(packaged.package, packaged.project)["run"]
    assert "0-begun-again" in detail and packaged.run.name in detail


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [("loss", 0.001, "the loss"), ("dev", {"loss": 0.001, "n_tokens": 9}, "the dev score")],
)
def test_a_result_that_its_metrics_do_not_show_is_named(packaged: Packaged, key: str, value: object, told: str) -> None:
    path = packaged.run / "result.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {key: value}))
    assert _failures(packaged.run).keys() == {"result.json"}
    assert told in _failures(packaged.run)["result.json"]


def test_given_weights_and_a_complete_lineage_contradict(packaged: Packaged) -> None:
    record = RunRecord.model_validate_json((packaged.run / "run.json").read_bytes())
    config = record.config.model_copy(update={"init_weights_sha256": "0" * 64})
    began = record.model_copy(update={"config": config, "config_sha256": run_digest(config)})
    (packaged.run / "run.json").write_text(began.model_dump_json())
    assert "lineage" in _failures(packaged.run)["run.json"]


def test_several_faults_of_a_run_are_all_named(packaged: Packaged) -> None:
    run = packaged.run
    lines = (run / "metrics.jsonl").read_text().splitlines()
    (run / "metrics.jsonl").write_text("\n".join([lines[0].replace('"k": 2', '"k": 3'), *lines[1:]]) + "\n")
    record = json.loads((run / "run.json").read_bytes())
    record["config"]["learning_rate"] = 0.5
    (run / "run.json").write_text(json.dumps(record))
    (run / "checkpoints" / "step_000004" / "moments.safetensors").unlink()
    (run / "notes.txt").write_text("x")
    failures = _failures(run)
    assert failures["metrics.jsonl"] == "line 1 does not continue the line before"
    assert failures["run.json"] == "its settings are not those that its hash names"
    assert "moments.safetensors missing" in failures["checkpoint step_000004"]
    assert failures["no other file"] == "extra: notes.txt"
    assert "result.json" in failures


@pytest.mark.parametrize("name", ["weights.safetensors", "ema.safetensors", "rng.safetensors", "state.json"])
def test_an_altered_byte_of_a_checkpoint_is_named(packaged: Packaged, name: str) -> None:
    path = packaged.run / "checkpoints" / "step_000004" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    assert name in _failures(packaged.run)["checkpoint step_000004"]


def test_an_unfinished_run_is_intact_and_says_so(packaged: Packaged) -> None:
    (packaged.run / "result.json").unlink()
    report = verify(packaged.run)
    assert report.ok
    assert "result.json" in report.not_looked_at and "result.json" not in {
        one.name for one in report.checks if one.ok and one.looked_at
    }


def test_a_package_without_its_manifest_is_still_a_package(packaged: Packaged) -> None:
    (packaged.package / "manifest.json").unlink()
    assert recognise(packaged.package) == "package"
    assert _failures(packaged.package).keys() == {"manifest.json"}


def test_a_package_of_another_project_is_checked_without_its_chain(packaged: Packaged) -> None:
    shutil.rmtree(packaged.project.manifests_folder)
    report = verify(packaged.package, project=packaged.project)
    assert report.ok
    assert any(check.name == "chain" and "not at hand" in check.detail for check in report.checks)
    assert "chain" in report.not_looked_at


def test_what_is_none_of_them_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        verify(tmp_path)
    assert caught.value.code == "verify.unknown"
    with pytest.raises(InputError) as caught:
        verify(tmp_path / "nowhere")
    assert caught.value.code == "verify.not_found"
