"""What doctor says of a machine that is well, and of one where something is broken."""

from __future__ import annotations

import importlib.metadata
import resource
import shutil
from pathlib import Path

import pytest
import torch
from small_project import write_project

from hrmbuild.model.attention import AttentionBackend
from hrmbuild.pipelines import doctor as module
from hrmbuild.pipelines.doctor import DoctorReport, Examined, doctor
from hrmbuild.pipelines.doctor_devices import attention, kernel_difference


def named(report: DoctorReport, name: str) -> Examined:
    return next(check for check in report.checks if check.name == name)


def test_outside_a_project_everything_is_looked_at_and_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    report = doctor()
    assert report.ok, [check for check in report.checks if check.needed and not check.ok]
    names = {check.name for check in report.checks}
    assert {
        "python",
        "versions",
        "processor",
        "memory",
        "compute type",
        "disk space",
        "disk writes",
        "locks",
        "clock",
    } < names
    assert {"limits", "templates", "offline", "attention rows", "optional transformers"} < names
    assert "none here" in named(report, "project").detail
    assert named(report, "offline").ok
    assert list(tmp_path.iterdir()) == []
    assert all(set(check) == {"name", "ok", "detail", "fix", "needed"} for check in report.as_dict()["checks"])


def test_wrong_settings_are_a_finding_and_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = write_project(tmp_path / "project")
    monkeypatch.chdir(project.work)
    assert named(doctor(), "project").ok
    project.config_path.write_text("name: x\nsourcse: []\n")
    report = doctor()
    assert not report.ok
    assert "sourcse" in named(report, "project").detail


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [check.ok for check in module._disk(tmp_path)] == [True, True]
    shutil_usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil_usage)
    space, writes = module._disk(tmp_path / "gone")  # opening fails, as a missing permission does to others than root
    assert (space.ok, writes.ok) == (True, False)
    assert "--work" in (writes.fix or "")
    (locks,) = module._locks(tmp_path / "gone")
    assert not locks.ok


def test_a_limit_on_the_size_of_files_is_told() -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**40, before[1]))
        (found,) = module._limits()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (found.ok, found.needed) == (False, False)
    assert "ulimit -f unlimited" in (found.fix or "")


def test_versions_outside_their_range_and_missing_ones_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["torch<3,>=99", "not-there-at-all>=1", "numpy>=2.0,<3", 'pytest>=99; extra == "test"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: asked)
    (found,) = module._versions()
    assert not found.ok
    assert "torch" in found.detail
    assert "not-there-at-all is missing" in found.detail
    assert "numpy" not in found.detail
    assert "pytest" not in found.detail


@pytest.mark.parametrize(
    ("installed", "sign", "bound", "holds"),
    [
        ("2.13.0+cpu", ">=", "2.9", True),
        ("3.0", "<", "3", False),
        ("2", ">=", "2.0.0", True),
        ("1.9", "<", "1.10", True),
    ],
)
def test_versions_compare_as_numbers(installed: str, sign: str, bound: str, holds: bool) -> None:
    assert module._holds(installed, sign, bound) is holds


def test_a_check_that_breaks_down_is_a_finding() -> None:
    def broken():
        raise RuntimeError("CUDA driver version is insufficient\nmore")
        yield

    (found,) = module._guarded("GPUs", broken, needed=True)
    assert (found.ok, found.needed) == (False, True)
    assert "CUDA driver version is insufficient" in found.detail


def test_every_kernel_that_runs_here_agrees_and_the_default_is_needed() -> None:
    found = {check.name: check for check in attention()}
    assert found["attention rows"].needed
    assert [check.name for check in found.values() if check.needed] == ["attention rows"]
    assert all(found[f"attention {name}"].ok for name in ("dense", "rows", "sdpa"))
    for name in ("flex", "varlen"):
        assert not found[f"attention {name}"].ok or torch.cuda.is_available()


def test_a_kernel_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = kernel_difference(AttentionBackend.SDPA, torch.device("cpu"), torch.float32)
    assert right < 1e-5
    exact = torch.nn.functional.scaled_dot_product_attention
    wrong = lambda *given, attn_mask=None: exact(*given)  # noqa: E731 - the mask is lost
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", wrong)
    assert kernel_difference(AttentionBackend.SDPA, torch.device("cpu"), torch.float32) > 1e-2
    found = {check.name: check for check in attention()}
    assert "DISAGREES" in found["attention sdpa"].detail


def test_templates_that_are_gone_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> Path:
        raise FileNotFoundError(f"this installation of hrmbuild lacks its {name}/ folder; install it again")

    monkeypatch.setattr(module, "asset_folder", gone)
    assert [check.ok for check in module._assets()] == [False, False, False]


def test_little_space_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=2**20))
    first = next(iter(module._disk(tmp_path)))
    assert not first.ok
    assert "free some space" in (first.fix or "")
