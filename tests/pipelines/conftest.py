"""Fixtures of the pipelines after training: made once, copied for tests that spoil something."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaged_project import Packaged, build_packaged, copy_packaged


@pytest.fixture(scope="session")
def packaged_once(tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    return build_packaged(tmp_path_factory.mktemp("packaged") / "project")


@pytest.fixture
def packaged(packaged_once: Packaged, tmp_path: Path) -> Packaged:
    return copy_packaged(packaged_once, tmp_path / "project")
