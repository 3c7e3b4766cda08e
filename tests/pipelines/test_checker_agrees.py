"""The stand-alone checker and `verify` say the same of 50 packs, altered and not, also where every hash fits."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_project import write_project

from hrmbuild.audit.evidence import EVIDENCE_NAMES
from hrmbuild.fingerprint import canonical_json, draw_below, hash_file, hash_value
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.verify_manifest import verify_manifest

Change = Callable[[Path], None]


def seal(folder: Path) -> None:
    """As a forger would: every listed hash fits, and so does the digest of the manifest."""
    path = folder / "manifest.json"
    told = json.loads(path.read_bytes())
    told["evidence"] = {name: hash_file(folder / name) for name in told["evidence"]}
    path.write_bytes(canonical_json(told))
    path.with_name("manifest.sha256").write_text(f"{hash_file(path)}  manifest.json\n")


def rows(change: Callable[[list[dict[str, Any]]], object], name: str = "pairs.parquet") -> Change:
    def edited(folder: Path) -> None:
        table = pq.read_table(folder / name)
        values = table.to_pylist()
        change(values)
        pq.write_table(pa.Table.from_pylist(values, schema=table.schema), folder / name)
        seal(folder)

    return edited


def told(**keys: Any) -> Change:
    def edited(folder: Path) -> None:
        path = folder / "manifest.json"
        value = json.loads(path.read_bytes())
        for key, new in keys.items():
            value[key] = {**value[key], **new} if isinstance(new, dict) else new
        path.write_bytes(canonical_json(value))
        seal(folder)

    return edited


def flipped(name: str, number: int) -> Change:
    def edited(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[draw_below(len(data), "flip", number, name)] ^= 1 << draw_below(8, "bit", number, name)
        (folder / name).write_bytes(data)

    return edited


def sealed_flip(name: str, number: int) -> Change:
    def edited(folder: Path) -> None:
        flipped(name, number)(folder)
        seal(folder)

    return edited


def other_word(values: list[dict[str, Any]]) -> None:
    row = json.loads(values[3]["row"])
    row["response"] += "!"
    values[3]["row"] = canonical_json(row).decode()


def whole_other_row(values: list[dict[str, Any]]) -> None:
    """Every hash of the row fits, only the roots do not."""
    row = json.loads(values[3]["row"])
    row["kind"] += ".x"
    values[3]["row"] = canonical_json(row).decode()


def to_dev(values: list[dict[str, Any]]) -> None:
    row = json.loads(values[0]["row"])
    row["split"] = "dev"
    values[0] |= {"row": canonical_json(row).decode(), "split": "dev"}


def nothing(folder: Path) -> None:
    return None


CHANGES: dict[str, Change] = {
    **{f"nothing {i}": nothing for i in range(6)},
    "sealed again": seal,
    "listed again in order": rows(lambda values: None),
    **{f"a byte of {name}": flipped(name, 1) for name in (*EVIDENCE_NAMES, "manifest.json", "manifest.sha256")},
    **{f"another byte of {name}": flipped(name, 2) for name in (*EVIDENCE_NAMES, "manifest.json")},
    **{f"{name} is gone": (lambda folder, name=name: (folder / name).unlink()) for name in sorted(EVIDENCE_NAMES)[:5]},
    "a byte of the leaves, sealed": sealed_flip("leaves.bin", 3),
    "an empty list of chunks, sealed": lambda folder: (
        (folder / "chunks.json").write_bytes(canonical_json({"chunks": {}})), seal(folder)
    )[-1],
    "a word, sealed": rows(other_word),
    "a kind, sealed": rows(whole_other_row),
    "a row gone, sealed": rows(lambda values: values.pop(5)),
    "a row twice, sealed": rows(lambda values: values.insert(5, dict(values[5]))),
    "two rows swapped, sealed": rows(lambda values: values.insert(0, values.pop(1))),
    "a leaf in its column, sealed": rows(lambda values: values[2].update(leaf=hash_value(1))),
    "a salted leaf in its column, sealed": rows(lambda values: values[2].update(salted_leaf=hash_value(1))),
    "more tokens, sealed": rows(lambda values: values[2].update(response_tokens=99)),
    "another split, sealed": rows(to_dev),
    "another salt, sealed": rows(lambda values: values[0].update(salt=bytes(32)), "salts.parquet"),
    "a salt gone, sealed": rows(lambda values: values.pop(0), "salts.parquet"),
    "another content root": told(content_root="0" * 64),
    "another root of dev": told(roots={"dev": "0" * 64}),
    "another content root of train": told(content_roots={"train": "0" * 64}),
    "another number of pairs": told(splits={"dev": {"pairs": 1, "instruction_tokens": 0, "response_tokens": 0}}),
}  # fmt: skip


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = write_project(tmp_path_factory.mktemp("agrees"))
    ingest(project)
    return freeze(project).folder


@pytest.mark.slow
def test_the_checker_and_verify_agree_on_fifty_packs(frozen: Path, tmp_path: Path) -> None:
    assert len(CHANGES) >= 50
    verdicts: dict[str, tuple[bool, bool]] = {}
    checker = tmp_path / "check.py"
    shutil.copy(frozen / "check.py", checker)
    for name, change in CHANGES.items():
        folder = Path(shutil.copytree(frozen, tmp_path / hash_value(name)[:12]))
        change(folder)
        alone = subprocess.run([sys.executable, "-I", str(checker), str(folder)], capture_output=True, check=False)
        verdicts[name] = verify_manifest(folder).intact, alone.returncode == 0
    good = {name for name, (ours, _) in verdicts.items() if ours}
    assert {name: both for name, both in verdicts.items() if both[0] != both[1]} == {}
    assert {name.split(" ")[0] for name in good} == {"nothing", "sealed", "listed"}
