"""`eval`: the table's keys, its counts, and the record of how often a split was looked at."""

from __future__ import annotations

import json

import pytest
from packaged_project import Packaged

from hrmbuild.errors import InputError, UsageError
from hrmbuild.pipelines.evaluate import evaluate_package
from hrmbuild.pipelines.package import package


def test_the_report_has_the_promised_keys_and_its_counts_add_up(packaged: Packaged) -> None:
    report = evaluate_package(packaged.project, split="test", show=2, most=24)
    found = report.as_dict()
    assert found.keys() >= {"exact", "n", "by_axis", "by_stratum", "baselines", "low", "high", "f1"}
    assert found["n"] == min(24, report.n_held_out)
    for heading in ("by_axis", "by_stratum", "by_kind"):
        assert sum(columns["model"]["n"] for columns in found[heading].values()) == found["n"]
    assert found["baselines"].keys() >= {"majority", "nearest", "text removed"}
    assert len(report.examples) == 2
    assert all(example.expected for example in report.examples)
    assert json.loads(json.dumps(found)) == found


def test_scoring_is_repeatable_and_every_look_at_test_is_counted(packaged: Packaged) -> None:
    first = evaluate_package(packaged.project, split="test", most=6)
    second = evaluate_package(packaged.project, split="test", most=6)
    assert (first.n_scorings, second.n_scorings) == (1, 2)
    assert first.slices == second.slices
    again = package(packaged.project, out=packaged.project.work / "again")
    assert "scored 2 times" in (again.folder / "README.md").read_text("utf-8")


def test_train_is_no_held_out_split(packaged: Packaged) -> None:
    with pytest.raises(UsageError) as caught:
        evaluate_package(packaged.project, split="train")
    assert caught.value.code == "eval.unknown_split"


def test_without_its_manifest_a_package_cannot_be_scored(packaged: Packaged) -> None:
    for path in packaged.project.manifests_folder.glob("*/manifest.json"):
        path.unlink()
    with pytest.raises(InputError) as caught:
        evaluate_package(packaged.project)
    assert caught.value.code == "package.manifest_missing"
