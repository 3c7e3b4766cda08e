"""`build --gpus N`: the chain goes on behind a training that several ranks did."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaged_project import SETTINGS
from small_project import FILES, write_project

from hrmbuild.errors import UsageError
from hrmbuild.pipelines.build import build
from hrmbuild.training.run_folder import RunFolder


def test_a_number_of_ranks_that_cannot_share_a_step_is_refused_before_any_starts(tmp_path: Path) -> None:
    project = write_project(tmp_path, FILES | {"hrmbuild.yaml": FILES["hrmbuild.yaml"] + SETTINGS})
    with pytest.raises(UsageError) as refused:
        build(project, gpus=7)
    assert refused.value.code == "train.ranks_do_not_divide"
    assert not project.runs_folder.is_dir() or not list(project.runs_folder.iterdir())


@pytest.mark.slow
def test_the_chain_goes_on_behind_two_ranks(tmp_path: Path) -> None:
    project = write_project(tmp_path, FILES | {"hrmbuild.yaml": FILES["hrmbuild.yaml"] + SETTINGS})
    built = build(project, gpus=2)
    assert built.exit_status == 0
    assert [stage.name for stage in built.stages] == ["ingest", "freeze", "train", "package", "verify"]
    (run,) = project.runs_folder.iterdir()
    record = RunFolder(run).record()
    assert record is not None and record.machine.ranks == 2
    assert not [stage for stage in build(project).stages if stage.done and stage.name != "verify"]
