"""Shared fixtures: where real data lies, and the reasons for every skip; and one thread for every worker.

OpenMP's threads spin while they wait. Two workers with two threads each on two cores took 88 s for a test that takes
6 s with one thread each, so the tests say one before torch is imported, and what they start inherits it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["OMP_NUM_THREADS"] = "1"

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real documents, tables and pairs that nobody here wrote; beside the checkout in CI."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data is absent: real-data tests need it")
    return folder
