"""A package of a tiny model: drawn weights, a tokenizer of its own, a corpus manifest written by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tiny_package import tiny_contents

from hrmbuild.assets import asset_folder
from hrmbuild.packaging.write import PackageContents, write_package


@pytest.fixture(scope="session")
def package_templates() -> Path:
    return asset_folder("templates") / "package"


@pytest.fixture(scope="session")
def contents() -> PackageContents:
    return tiny_contents()


@pytest.fixture(scope="session")
def written_package(
    contents: PackageContents, package_templates: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Made once; tests that alter something take `package`."""
    folder = tmp_path_factory.mktemp("packages") / "tiny"
    write_package(contents, folder, templates=package_templates)
    return folder


@pytest.fixture
def package(written_package: Path, tmp_path: Path) -> Path:
    """A copy that a test may alter."""
    return Path(shutil.copytree(written_package, tmp_path / "tiny"))
