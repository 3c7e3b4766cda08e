"""Shared fixtures: where real data lies, and the reasons for every skip."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real documents, tables and pairs that nobody here wrote; beside the checkout in CI."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data is absent: real-data tests need it")
    return folder
