"""Verification: good manifests are intact; each kind of damage is named, and one never hides another."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_project import FLOOD, write_project

from hrmbuild.audit.evidence import EVIDENCE_NAMES
from hrmbuild.audit.manifest import read_manifest
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import canonical_json, hash_file, sha256_hex
from hrmbuild.pipelines.corpus_checks import CorpusDifference, compare_with_corpus
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.verify_manifest import verify_manifest


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its frozen manifest in `frozen/`; tests copy it."""
    folder = tmp_path_factory.mktemp("original")
    project = write_project(folder)
    ingest(project)
    freeze(project, out=folder / "frozen")
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "project"))


def failed(folder: Path, *, deep: bool = False) -> list[str]:
    report = verify_manifest(folder / "frozen", corpus=folder / "corpus.duckdb", sources=folder, deep=deep)
    assert report.ok == report.intact == (not [check for check in report.checks if not check.ok])
    return [check.name for check in report.checks if not check.ok]


def run_checker(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(folder / "frozen" / "check.py")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def edit_manifest(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change the manifest as a forger would: canonical bytes, and the digest file fits."""
    path = folder / "frozen" / "manifest.json"
    told = json.loads(path.read_bytes())
    change(told)
    path.write_bytes(canonical_json(told))
    path.with_name("manifest.sha256").write_text(f"{hash_file(path)}  manifest.json\n")


def edit_rows(folder: Path, change: Callable[[list[dict[str, object]]], object], name: str = "pairs.parquet") -> None:
    path = folder / "frozen" / name
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def test_a_good_manifest_is_intact_with_corpus_and_sources(folder: Path) -> None:
    report = verify_manifest(folder / "frozen", corpus=folder / "corpus.duckdb", sources=folder, deep=True)
    assert [check for check in report.checks if not check.ok] == []
    names = [check.name for check in report.checks]
    assert {"rows", "content_root", "roots", "counts", "token counts", "corpus", "sources", "quotes"} <= set(names)
    assert (report.as_dict()["intact"], report.as_dict()["authentic"]) == (True, None)
    assert run_checker(folder).returncode == 0
    assert verify_manifest(folder / "frozen" / "manifest.json").ok


FLIPPED = [*((name, 0.5) for name in (*EVIDENCE_NAMES, "manifest.sha256")),
           ("manifest.json", 0.1), ("manifest.json", 0.9), ("pairs.parquet", 0.9)]  # fmt: skip


@pytest.mark.parametrize(("name", "place"), FLIPPED)
def test_flipping_any_byte_names_the_file(folder: Path, name: str, place: float) -> None:
    path = folder / "frozen" / name
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 1
    path.write_bytes(data)
    named = failed(folder)
    assert any(name in check for check in named), named


def test_missing_and_extra_files_are_named(folder: Path) -> None:
    (folder / "frozen" / "salts.parquet").unlink()
    (folder / "frozen" / "note.txt").write_text("hello")
    (folder / "frozen" / "more").mkdir()
    (folder / "frozen" / "more" / "x").write_text("x")
    report = verify_manifest(folder / "frozen")
    bad = {check.name: check.detail for check in report.checks if not check.ok}
    assert bad["file salts.parquet"] == "missing" and bad["no extra file"] == "extra: more (folder), more/x, note.txt"
    assert set(bad) == {"file salts.parquet", "no extra file", "roots"}


def change_response(rows: list[dict[str, object]]) -> None:
    row = json.loads(str(rows[0]["row"]))
    row["response"] += " Indeed."
    rows[0]["row"] = canonical_json(row).decode()


def swap_rows(rows: list[dict[str, object]]) -> None:
    rows[0], rows[1] = rows[1], rows[0]


def drop_row(rows: list[dict[str, object]]) -> None:
    del rows[5]


def repeat_row(rows: list[dict[str, object]]) -> None:
    rows.insert(1, rows[0])


def space_in_row(rows: list[dict[str, object]]) -> None:
    rows[0]["row"] = str(rows[0]["row"]).replace(":", ": ", 1)


def more_tokens(rows: list[dict[str, object]]) -> None:
    rows[0]["response_tokens"] = 99


def no_json(rows: list[dict[str, object]]) -> None:
    rows[0]["row"] = "[1, 2"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (change_response, {"rows", "content_roots", "content_root", "roots", "leaves", "counts"}),
        (swap_rows, {"rows"}),
        (drop_row, {"content_roots", "content_root", "roots", "leaves", "counts"}),
        (repeat_row, {"rows", "content_roots", "content_root", "roots", "leaves", "counts"}),
        (space_in_row, {"rows", "content_roots", "content_root", "roots", "leaves", "counts"}),
        (no_json, {"rows", "content_roots", "content_root", "roots", "leaves", "counts"}),
        (more_tokens, {"counts", "token counts"}),
    ],
)
def test_altered_rows_are_found_by_every_check_they_break(
    folder: Path, change: Callable[[list[dict[str, object]]], None], named: set[str]
) -> None:
    edit_rows(folder, change)
    found = set(failed(folder, deep=True)) - {"file pairs.parquet", "corpus", "quotes", "tokenizer training"}
    assert found == named
    assert run_checker(folder).returncode == 1


def test_an_altered_row_is_found_even_where_every_hash_was_made_to_fit(folder: Path) -> None:
    edit_rows(folder, more_tokens)
    digest = hash_file(folder / "frozen" / "pairs.parquet")
    evidence = read_manifest(folder / "frozen").evidence
    edit_manifest(folder, lambda told: told.update(evidence={**evidence, "pairs.parquet": digest}))
    assert failed(folder, deep=True) == ["counts", "token counts"]


def test_another_content_root_is_found(folder: Path) -> None:
    edit_manifest(folder, lambda told: told.update(content_root="0" * 64))
    assert failed(folder) == ["content_root"]
    assert "content_root differs" in run_checker(folder).stdout
    (folder / "frozen" / "manifest.json").write_text("[")
    said = run_checker(folder)
    assert (said.returncode, said.stdout, "Traceback" in said.stderr) == (1, "", False)
    assert "its manifest cannot be read" in said.stderr


def test_a_manifest_in_other_bytes_is_refused(folder: Path) -> None:
    path = folder / "frozen" / "manifest.json"
    path.write_bytes(json.dumps(json.loads(path.read_bytes()), indent=1).encode())
    assert failed(folder) == ["manifest.json", "manifest.json in manifest.sha256"]
    with pytest.raises(InputError, match="canonical") as caught:
        read_manifest(folder / "frozen")
    assert caught.value.code == "manifest.altered"


def test_what_is_no_manifest_is_said_to_be_none(folder: Path) -> None:
    path = folder / "frozen" / "manifest.json"
    path.write_bytes(b'{"format":2}')
    assert failed(folder) == ["manifest.json", "manifest.json in manifest.sha256"]
    path.unlink()
    with pytest.raises(InputError, match="no manifest here") as caught:
        verify_manifest(folder / "frozen")
    assert caught.value.code == "manifest.missing"


def difference(folder: Path) -> CorpusDifference:
    manifest = read_manifest(folder / "frozen")
    return compare_with_corpus(folder / "frozen", manifest, corpus=folder / "corpus.duckdb")


def in_corpus(folder: Path, statement: str) -> str:
    """Run a statement that names the first pair as `?`; its id."""
    with duckdb.connect(str(folder / "corpus.duckdb")) as connection:
        victim = str(connection.execute("SELECT id FROM pair ORDER BY id").fetchall()[0][0])
        connection.execute(statement, [victim])
    return victim


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE candidate SET response = 'No.' WHERE pair_id = ?",
        'UPDATE candidate SET occurrence = replace(occurrence, \'"text":"\', \'"text":"!\') WHERE pair_id = ?',
        "UPDATE pair SET label = 'public' WHERE id = ?",
        "UPDATE candidate SET answer = '{}' WHERE pair_id = ?",
        "UPDATE candidate SET answer = 'no JSON' WHERE pair_id = ?",
    ],
)
def test_an_altered_row_of_the_corpus_is_named_though_every_hash_in_the_pack_is_intact(
    folder: Path, change: str
) -> None:
    victim = in_corpus(folder, change)
    found = difference(folder)
    assert (found.missing, found.altered, found.extra) == ((), (victim,), ())
    assert failed(folder) == ["corpus"]


def test_a_row_that_the_corpus_lost_is_named(folder: Path) -> None:
    victim = in_corpus(folder, "DELETE FROM pair WHERE id = ?")
    assert difference(folder).missing == (victim,) and failed(folder) == ["corpus"]


def test_a_row_that_was_put_into_the_corpus_is_extra(folder: Path) -> None:
    """Nothing was ingested since freeze, and yet there is a pair that the manifest would have taken."""
    in_corpus(
        folder,
        """INSERT INTO candidate SELECT * REPLACE (repeat('f', 64) AS pair_id, 1000000 AS ordinal, 'Yes.' AS response)
           FROM candidate WHERE pair_id = ? LIMIT 1""",
    )
    in_corpus(
        folder,
        "INSERT INTO pair SELECT * REPLACE (repeat('f', 64) AS id, 1000000 AS ordinal) FROM pair WHERE id = ?",
    )
    found = difference(folder)
    assert (found.extra, found.lost, found.n_later) == (("f" * 64,), (), 0)
    assert failed(folder) == ["corpus"]


def test_pairs_of_a_later_ingest_are_no_difference(folder: Path) -> None:
    ingest(write_project(folder, {"memos/new.md": FLOOD}))
    found = difference(folder)
    assert found.is_empty and found.n_later > 0
    assert failed(folder) == []


def test_pairs_above_the_label_are_neither_extra_nor_later(folder: Path) -> None:
    shutil.rmtree(folder / "frozen")
    freeze(write_project(folder, {}), out=folder / "frozen", max_label="internal")
    assert read_manifest(folder / "frozen").left_out > 0
    assert difference(folder).is_empty and difference(folder).n_later == 0


def test_a_lost_source_takes_its_rows_along(folder: Path) -> None:
    (folder / "memos/storm.md").unlink()
    ingest(write_project(folder, {}))
    assert difference(folder).missing and failed(folder) == ["corpus", "sources", "quotes"]


def test_altered_and_missing_sources_are_named_and_other_quotes_still_checked(folder: Path) -> None:
    (folder / "memos/storm.md").unlink()
    (folder / "policies/travel.md").write_text("something else")
    report = verify_manifest(folder / "frozen", sources=folder)
    bad = {check.name: check.detail for check in report.checks if not check.ok}
    assert bad["sources"] == "missing: memos/storm.md; altered: policies/travel.md"
    assert "stand in files that are missing or altered" in bad["quotes"]


def test_a_quote_that_stands_elsewhere_is_found(folder: Path) -> None:
    # The forger changes the source and its hash, so that only reading the words again can tell.
    path = folder / "policies/travel.md"
    old = hash_file(path)
    path.write_text(path.read_text().replace("14 days", "15 days"))
    new = hash_file(path)

    def rehash(rows: list[dict[str, object]]) -> None:
        for row in rows:
            row["row"] = str(row["row"]).replace(old, new)

    edit_rows(folder, rehash)
    edit_manifest(folder, lambda told: told.update(json.loads(json.dumps(told).replace(old, new))))
    report = verify_manifest(folder / "frozen", sources=folder)
    bad = {check.name: check.detail for check in report.checks if not check.ok}
    assert "sources" not in bad and "policies/travel.md, line" in bad["quotes"]


def test_the_digest_file_is_what_sha256sum_reads(folder: Path) -> None:
    frozen = folder / "frozen"
    assert (
        frozen / "manifest.sha256"
    ).read_text() == f"{sha256_hex((frozen / 'manifest.json').read_bytes())}  manifest.json\n"
