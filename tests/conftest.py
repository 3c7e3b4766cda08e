"""Shared fixtures: where real data lies, and the reasons for every skip; and one thread for every worker.

OpenMP's threads spin while they wait. Two workers with two threads each on two cores took 88 s for a test that takes
6 s with one thread each, so the tests say one before torch is imported, and what they start inherits it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ["OMP_NUM_THREADS"] = "1"

REPOSITORY = Path(__file__).resolve().parent.parent


MakeOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def make_once(tmp_path_factory: pytest.TempPathFactory) -> MakeOnce:
    """`make_once(name, make)`: a folder that `make(folder)` filled, made once for all workers and not once in each.

    `make` creates the folder. It is everybody's: read it, or copy it.
    """
    base = tmp_path_factory.getbasetemp()
    common = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = common / name / "made", common / name / "done"
        folder.parent.mkdir(exist_ok=True)
        with (common / name / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # what a failure in another worker left
                make(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real documents, tables and pairs that nobody here wrote; beside the checkout in CI."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data is absent: real-data tests need it")
    return folder
