"""A run of two ranks that held half of the model each: checked, packaged and asked like any other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_project import FILES, write_project

from hrmbuild.config.loading import Project, load_project
from hrmbuild.errors import InputError
from hrmbuild.inference.load import load_package, read_ema
from hrmbuild.model.digest import weights_sha256
from hrmbuild.model.weights import fused_state
from hrmbuild.pipelines.finished_run import read_finished_run
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.package import package
from hrmbuild.pipelines.verify_run import verify_run_folder

pytestmark = pytest.mark.slow

SETTINGS = """\
train: {preset: nano, steps: 4, batch_tokens: 1024, threads: 1, dtype: float32, eval_pairs: 4, eval_every_steps: 4,
        sharding: fsdp}
model: {name: small nano, contact: desk@small.example, intended_use: Tests., excluded_use: Everything else.}
"""
LAST = "checkpoints/step_000004"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    files = FILES | {"hrmbuild.yaml": FILES["hrmbuild.yaml"] + SETTINGS}
    made = write_project(tmp_path_factory.mktemp("sharded") / "project", files)
    ingest(made)
    freeze(made)
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "hrmbuild"]
    command = [sys.executable, "-m", *launcher, "train", "--config", str(made.config_path), "--out", "runs/two"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, cwd=made.work, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "2 ranks, each holds its rows of the model (fsdp), as asked" in done.stderr
    return made


def copied(project: Project, folder: Path) -> tuple[Project, Path]:
    shutil.copytree(project.work, folder)
    return load_project(folder / "hrmbuild.yaml"), folder / "runs" / "two"


def test_it_is_verified_and_packaged_with_the_weights_that_both_ranks_wrote(project: Project, tmp_path: Path) -> None:
    copy, run = copied(project, tmp_path / "project")
    finished = read_finished_run(run)
    assert finished.record.machine.sharding == "fsdp" and finished.record.machine.ranks == 2
    assert [check for check in verify_run_folder(run) if not check.ok] == []
    assert len(list((run / LAST).glob("ema-*.safetensors"))) == 2
    packaged = load_package(package(copy, run=run).folder)
    assert weights_sha256(fused_state(packaged.model)) == finished.result.ema_sha256
    assert weights_sha256(read_ema(run / LAST)) == finished.result.ema_sha256


@pytest.mark.parametrize("name", ["ema-00001-of-00002.safetensors", "ema-00002-of-00002.safetensors"])
def test_an_altered_part_is_neither_verified_nor_packaged(project: Project, tmp_path: Path, name: str) -> None:
    copy, run = copied(project, tmp_path / "project")
    path = run / LAST / name
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    assert next(check.detail for check in verify_run_folder(run) if not check.ok).startswith(f"{name} altered")
    with pytest.raises(InputError, match="its bytes are not those that were written"):
        package(copy, run=run)
    path.unlink()
    assert [check.detail for check in verify_run_folder(run) if not check.ok] == [f"{name} missing"]
    with pytest.raises(InputError):
        package(copy, run=run)
