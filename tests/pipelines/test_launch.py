"""How many ranks a training has, who starts them, and what is refused before any of them starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrmbuild.config.loading import Project, load_project
from hrmbuild.config.project import TrainConfig
from hrmbuild.errors import UsageError
from hrmbuild.pipelines.launch import launch
from hrmbuild.pipelines.progress import SilentProgress
from hrmbuild.pipelines.resumed_run import refuse_missing
from hrmbuild.pipelines.train_settings import Flags, settings_sha256, shape_for
from hrmbuild.tokens.plan import StepShape


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "hrmbuild.yaml").write_text("name: small\nsources: [{path: rules, kind: rules}]\n")
    return load_project(tmp_path / "hrmbuild.yaml")


def started(project: Project, gpus: int | None) -> object:
    return launch(project, command=["train"], gpus=gpus, flags=Flags(), progress=SilentProgress())


def test_one_rank_needs_no_launch(project: Project) -> None:
    assert started(project, 1) is None


@pytest.mark.parametrize(("gpus", "nearest"), [(3, 2), (7, 8), (9000, 2048)])
def test_a_number_that_does_not_divide_a_step_names_the_nearest(project: Project, gpus: int, nearest: int) -> None:
    with pytest.raises(UsageError) as caught:
        started(project, gpus)
    assert (caught.value.code, caught.value.where) == ("train.ranks_do_not_divide", "--gpus")
    assert str(caught.value.fix).endswith(f"--gpus {nearest}")


def test_under_a_launcher_the_number_must_agree(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert started(project, None) is None and started(project, 4) is None
    with pytest.raises(UsageError, match="one of 4 that a launcher started") as caught:
        started(project, 2)
    assert caught.value.code == "train.ranks_differ"


def test_a_step_that_would_stay_whole_is_cut_for_several_ranks_and_stays_cut() -> None:
    nano = TrainConfig(preset="nano")
    assert shape_for(nano, ranks=1) == StepShape(1, 2048)
    assert shape_for(nano, ranks=4) == StepShape(4, 512)
    assert shape_for(nano, ranks=1, recorded_bins=4) == shape_for(nano, ranks=2, recorded_bins=4) == StepShape(4, 512)
    assert shape_for(TrainConfig(preset="XL"), ranks=8) == StepShape(16, 12288)
    with pytest.raises(UsageError, match="4 ranks cannot share a step of 2,048 tokens in 2 bins equally"):
        shape_for(nano, ranks=4, recorded_bins=2)


def test_a_misspelt_run_is_refused_with_the_nearest_one(project: Project) -> None:
    for name in ("nano-1a2b3c4d-5e6f70", "weekend"):
        (project.runs_folder / name).mkdir(parents=True)
        (project.runs_folder / name / "run.json").write_text("{}")
    with pytest.raises(UsageError) as caught:
        refuse_missing(project, project.runs_folder / "weekened")
    assert caught.value.code == "train.no_such_run"
    assert f"did you mean --out {project.runs_folder / 'weekend'}?" in str(caught.value.fix)
    refuse_missing(project, project.runs_folder / "weekend")


def test_when_a_run_is_saved_or_stopped_is_not_what_it_is() -> None:
    plain = settings_sha256(TrainConfig())
    assert settings_sha256(TrainConfig(checkpoint_minutes=1, stop_on_spike=3)) == plain
    assert settings_sha256(TrainConfig(seed=1)) != plain
