"""`package --require`: a package that is not good enough is never written, and the card says what scoring found."""

from __future__ import annotations

from dataclasses import replace

import pytest
from packaged_project import Packaged

from hrmbuild.config.project import PackageConfig
from hrmbuild.errors import AnswerIsNoError, UsageError
from hrmbuild.pipelines.evaluate import EvaluationRequest, evaluate_package
from hrmbuild.pipelines.package import package


def test_what_does_not_hold_writes_nothing_and_names_its_figure(packaged: Packaged) -> None:
    out = packaged.project.work / "demanded"
    with pytest.raises(AnswerIsNoError) as caught:
        package(packaged.project, out=out, require="n>=1, exact>100%, extraction<=1")
    assert caught.value.code == "package.require_failed"
    assert "exact>100% (" in caught.value.what and "n>=1" not in caught.value.what
    assert not out.exists() and not list(out.parent.glob("demanded*"))


def test_the_settings_demand_it_of_every_package(packaged: Packaged) -> None:
    config = packaged.project.config.model_copy(update={"package": PackageConfig(require="n>=100000")})
    project = replace(packaged.project, config=config)
    with pytest.raises(AnswerIsNoError):
        package(project, out=project.work / "demanded")
    config = config.model_copy(update={"package": PackageConfig(require="exactly>1")})
    with pytest.raises(UsageError) as caught:
        package(replace(project, config=config), out=project.work / "demanded")
    assert caught.value.where == "hrmbuild.yaml: package.require"
    report = package(project, out=project.work / "demanded", require="n>=1")
    assert "Demanded before the package was made" in (report.folder / "README.md").read_text("utf-8")


def test_the_card_repeats_every_scoring_of_its_weights(packaged: Packaged) -> None:
    evaluate_package(packaged.project, EvaluationRequest(split="test", most=6, extraction=True))
    again = package(packaged.project, out=packaged.project.work / "again")
    card = (again.folder / "README.md").read_text("utf-8")
    assert "| the test split | 6 |" in card and "| verbatim continuation of trained spans |" in card
    assert "scored 1 times" in card
    first = (packaged.package / "README.md").read_text("utf-8")
    assert "scored on" not in first
