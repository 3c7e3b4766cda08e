"""The bundle: whole, hashed, listed, silent about the machine that made it, and enough without a network."""

from __future__ import annotations

import hashlib
import json
import socket
from pathlib import Path

import pytest
from installed import REPOSITORY

pytestmark = pytest.mark.slow


def test_every_wheel_stands_in_both_lists_with_its_hash(bundle: Path) -> None:
    hashes = {hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in (bundle / "wheels").iterdir()}
    lines = (bundle / "requirements.txt").read_text().splitlines()
    document = json.loads((bundle / "bom.cdx.json").read_text())
    parts = [document["metadata"]["component"], *document["components"]]
    assert {line.rpartition("sha256:")[2] for line in lines} == hashes
    assert {part["hashes"][0]["content"] for part in parts} == hashes
    assert len(lines) == len(parts) == len(hashes)


def test_the_list_is_valid_cyclonedx_and_its_dependencies_are_in_it(bundle: Path) -> None:
    # More than a second to load: it reads grammars.
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = (bundle / "bom.cdx.json").read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    edges = {edge["ref"]: edge["dependsOn"] for edge in document["dependencies"]}
    assert set().union(*edges.values()) <= edges.keys()
    assert len(edges[document["metadata"]["component"]["bom-ref"]]) >= 15


def test_the_versions_are_those_of_the_constraints(bundle: Path) -> None:
    pinned = {line.lower().replace("_", "-") for line in (REPOSITORY / "constraints.txt").read_text().splitlines()}
    lines = [line.split()[0].partition("+")[0] for line in (bundle / "requirements.txt").read_text().splitlines()]
    assert [line for line in lines if line not in pinned and not line.startswith("hrmbuild==")] == []


def test_the_lists_name_neither_a_folder_nor_a_host(bundle: Path) -> None:
    text = (bundle / "requirements.txt").read_text() + (bundle / "bom.cdx.json").read_text()
    for forbidden in ("file:", "://", str(REPOSITORY), str(Path.home()), str(bundle.parent), socket.gethostname()):
        assert forbidden not in text
