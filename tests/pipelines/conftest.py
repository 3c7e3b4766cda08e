"""Fixtures of the pipelines after training: made once, copied for tests that spoil something."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from base_project import Two, build_two, two_in
from packaged_project import Packaged, build_packaged, copy_packaged, packaged_in
from signed_project import Frozen, build_signed, copy_signed, signed_in


@pytest.fixture(scope="session")
def packaged_once(make_once: Callable[..., Path]) -> Packaged:
    return packaged_in(make_once("packaged", build_packaged))


@pytest.fixture
def packaged(packaged_once: Packaged, tmp_path: Path) -> Packaged:
    return copy_packaged(packaged_once, tmp_path / "project")


@pytest.fixture(scope="session")
def two(make_once: Callable[..., Path]) -> Two:
    return two_in(make_once("two", build_two))


@pytest.fixture(scope="session")
def signed_once(make_once: Callable[..., Path]) -> Frozen:
    return signed_in(make_once("signed", build_signed))


@pytest.fixture
def signed(signed_once: Frozen, tmp_path: Path) -> Frozen:
    return copy_signed(signed_once, tmp_path)
