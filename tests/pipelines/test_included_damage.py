"""One row of an included base altered in many ways: `verify` of a run and of a package, with --trust, names each."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from base_project import Two, base_folder, copied
from signed_project import trust_file

from hrmbuild.audit import evidence
from hrmbuild.audit.keys import new_key
from hrmbuild.audit.manifest import digest_line, read_manifest
from hrmbuild.audit.rows import content_root, content_roots, leaf_of, salted_roots
from hrmbuild.config.loading import Project, load_project
from hrmbuild.fingerprint import canonical_json, hash_file
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.manifests import current_manifest
from hrmbuild.pipelines.package import package
from hrmbuild.pipelines.train import train
from hrmbuild.pipelines.verify import verify
from hrmbuild.records.pair import pair_id

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Built:
    """A signed company with a model that was trained on its own pairs and a base, in a folder that may be spoilt."""

    project: Project
    root: Path
    chance: random.Random

    @property
    def base(self) -> Path:
        return base_folder(self.project)

    @property
    def own(self) -> Path:
        folder = current_manifest(self.project)
        assert folder is not None
        return folder

    @property
    def tokens(self) -> Path:
        return next((self.project.work / "token-files").iterdir())

    def failed(self, kind: str, *, deep: bool = False) -> dict[str, str]:
        [artifact] = (self.project.work / kind).iterdir()
        report = verify(artifact, project=self.project, trust=self.root / "own" / "trust.yaml", deep=deep)
        return {one.name: one.detail for one in report.checks if not one.ok}


@pytest.fixture(scope="module")
def built_signed(two: Two, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("signed base")
    project = copied(two, root)
    shutil.rmtree(project.manifests_folder)
    ines = new_key("ines", root / "own")
    freeze(project, key=ines.private)
    package(project, run=train(project).folder, key=ines.private)
    trust_file(root / "own", role="ingester, packager")
    return root


@pytest.fixture
def built(built_signed: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Built:
    shutil.copytree(built_signed, tmp_path / "copy")
    project = load_project(tmp_path / "copy" / "company" / "hrmbuild.yaml")
    return Built(project, tmp_path / "copy", random.Random(request.node.name))


# --- alterations --------------------


def pairs(built: Built, change: Callable[[dict[str, Any]], None]) -> None:
    """Alter one taken row of the base's `pairs.parquet`."""
    path = built.base / "pairs.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(built.chance.choice([row for row in rows if row["split"] == "train"]))
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path, compression="zstd")


def said(row: dict[str, Any], **changes: Any) -> None:
    row["row"] = canonical_json(json.loads(row["row"]) | changes).decode()


def rows_moved(built: Built, change: Callable[[list[dict[str, Any]], int], None]) -> None:
    path = built.base / "pairs.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows, built.chance.randrange(1, 400))
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path, compression="zstd")


def swap(rows: list[dict[str, Any]], at: int) -> None:
    rows[at - 1], rows[at] = rows[at], rows[at - 1]


def flip(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1
    path.write_bytes(data)


def reseal(folder: Path, **changes: Any) -> None:
    """The manifest with other values, and its digest after it."""
    told = json.loads((folder / "manifest.json").read_bytes()) | changes
    told["evidence"] = {name: hash_file(folder / name) for name in told["evidence"]}
    data = canonical_json(told)
    (folder / "manifest.json").write_bytes(data)
    (folder / "manifest.sha256").write_bytes(digest_line(data))


def whole_pack(built: Built) -> None:
    """A row's answer, and everything in the folder that follows from it."""
    path = built.base / "pairs.parquet"
    table, salts = pq.read_table(path), evidence.read_salts(built.base)
    rows = table.to_pylist()
    row = built.chance.choice([one for one in rows if one["split"] == "train"])
    value, old = json.loads(row["row"]), row["id"]
    value["response"] = "Seven."
    value["id"] = row["id"] = pair_id(value["condition"], value["instruction"], value["response"])
    row["row"] = canonical_json(value).decode()
    salts[row["id"]] = salts.pop(old)
    leaves = [leaf_of(one["id"], one["split"], row=one["row"].encode(), salt=salts[one["id"]]) for one in rows]
    for one, leaf in zip(rows, leaves, strict=True):
        assert leaf.salted is not None
        one["leaf"], one["salted_leaf"] = leaf.content.hex(), leaf.salted.hex()
    rows.sort(key=lambda one: (("train", "dev", "test").index(one["split"]), one["id"]))
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path, compression="zstd")
    evidence.write_salts(built.base / "salts.parquet", salts)
    plain, salted = content_roots(leaves), salted_roots(leaves)
    assert salted is not None
    reseal(built.base, content_roots=plain.canonical(), roots=salted.canonical(), content_root=content_root(plain))


def in_corpus(statement: str) -> Callable[[Built], None]:
    def alter(built: Built) -> None:
        with duckdb.connect(str(built.base.parent.parent / "corpus.duckdb")) as corpus:
            taken = corpus.execute("SELECT id, unit, ordinal FROM pair WHERE split = 'train' ORDER BY id").fetchall()
            key, unit, ordinal = built.chance.choice(taken)
            given = {"id": key, "unit": unit, "ordinal": ordinal}
            corpus.execute(statement, {name: value for name, value in given.items() if f"${name}" in statement})

    return alter


def left_out(built: Built, *, more: bool) -> None:
    path = built.own / "included_left_out.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    taken = next(evidence.read_evidence(built.base, "train"))
    added = json.loads(lines[0]) | {"id": taken.id}
    path.write_bytes(b"".join([*lines, canonical_json(added) + b"\n"] if more else lines[1:]))


def token_file(name: str, *, sealed: bool) -> Callable[[Built], None]:
    def alter(built: Built) -> None:
        flip(built.tokens / "train" / name, built.chance)
        if sealed:
            state = built.tokens / "token-files.json"
            told = json.loads(state.read_bytes())
            told["splits"]["train"]["sha256"][name] = hash_file(built.tokens / "train" / name)
            state.write_bytes(canonical_json(told))

    return alter


def run_record(built: Built) -> None:
    [path] = (built.project.work / "runs").glob("*/run.json")
    told = json.loads(path.read_bytes())
    told["config"]["includes"]["content_roots"] = ["ab" * 32]
    path.write_text(json.dumps(told))


def packaged_manifest(built: Built) -> None:
    [path] = (built.project.work / "packages").glob("*/corpus-manifest.json")
    path.write_bytes(path.read_bytes().replace(b'"maker":"model"', b'"maker":"person"'))


BASE, BOTH, RUN, PACKAGE = "include base-mix", ("runs", "packages"), ("runs",), ("packages",)
ALTERATIONS: dict[str, tuple[Callable[[Built], object], str, tuple[str, ...]]] = {
    "an answer": (lambda b: pairs(b, lambda row: said(row, response="Seven.")), BASE, BOTH),
    "a question": (lambda b: pairs(b, lambda row: said(row, instruction="How many?")), BASE, BOTH),
    "a source": (lambda b: pairs(b, lambda row: said(row, stratum="logic", label="restricted")), BASE, BOTH),
    "an id": (lambda b: pairs(b, lambda row: row.update(id="0" * 64)), BASE, BOTH),
    "a leaf": (lambda b: pairs(b, lambda row: row.update(leaf="0" * 64)), BASE, BOTH),
    "a salted leaf": (lambda b: pairs(b, lambda row: row.update(salted_leaf="0" * 64)), BASE, BOTH),
    "a side": (lambda b: pairs(b, lambda row: row.update(split="dev")), BASE, BOTH),
    "a number of tokens": (lambda b: pairs(b, lambda row: row.update(response_tokens=99)), BASE, BOTH),
    "a row taken out": (lambda b: rows_moved(b, lambda rows, at: rows.pop(at)), BASE, BOTH),
    "a row twice": (lambda b: rows_moved(b, lambda rows, at: rows.insert(at, dict(rows[at]))), BASE, BOTH),
    "two rows exchanged": (lambda b: rows_moved(b, swap), BASE, BOTH),
    "the whole pack, sealed again": (whole_pack, BASE, BOTH),
    "a byte of the pairs": (lambda b: flip(b.base / "pairs.parquet", b.chance), BASE, BOTH),
    "a salt": (lambda b: flip(b.base / "salts.parquet", b.chance), BASE, BOTH),
    "a sorted leaf": (lambda b: flip(b.base / "leaves.bin", b.chance), BASE, BOTH),
    "a byte of the manifest": (lambda b: flip(b.base / "manifest.json", b.chance), BASE, BOTH),
    "the manifest, sealed again": (lambda b: reseal(b.base, lineage="partial: a given tokenizer"), BASE, BOTH),
    "a row of the corpus file": (
        in_corpus("UPDATE candidate SET response = 'Seven.' WHERE unit = $unit AND ordinal = $ordinal"), BASE, BOTH),
    "a row out of the corpus file": (in_corpus("DELETE FROM pair WHERE id = $id"), BASE, BOTH),
    "a split in the corpus file": (in_corpus("UPDATE pair SET split = 'dev' WHERE id = $id"), BASE, BOTH),
    "a row less left out": (lambda b: left_out(b, more=False), "corpus: included rows left out", BOTH),
    "a row more left out": (lambda b: left_out(b, more=True), "corpus: included rows left out", BOTH),
    "a token": (token_file("tokens.bin", sealed=False), "token files", BOTH),
    "a token, sealed again": (token_file("tokens.bin", sealed=True), "token files", BOTH),
    "an id of the tokens, sealed again": (token_file("ids.bin", sealed=True), "token files", BOTH),
    "a length, sealed again": (token_file("index.bin", sealed=True), "token files", BOTH),
    "a source of the tokens, sealed again": (token_file("sources.bin", sealed=True), "token files", BOTH),
    "the roots in the run": (run_record, "run.json", RUN),
    "the manifest in the package": (packaged_manifest, "file corpus-manifest.json", PACKAGE),
}  # fmt: skip


def test_nothing_altered_is_ok(built: Built) -> None:
    assert built.failed("runs", deep=True) == {} and built.failed("packages") == {}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_what_was_altered_is_named(built: Built, name: str) -> None:
    alter, check, kinds = ALTERATIONS[name]
    alter(built)
    for kind in kinds:
        failed = built.failed(kind)
        assert any(check in one for one in failed), (kind, failed)
        print(f"{name} ({kind}): " + "; ".join(f"{one}: {failed[one]}" for one in sorted(failed))[:300])
    assert read_manifest(built.own).includes
