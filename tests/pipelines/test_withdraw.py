"""Withdrawal: what it lists, what it keeps out, who says it, and that an incremental ingest ends as a fresh one."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from packaged_project import Packaged

from hrmbuild.audit.shingles import NEAR_COPY, hashes_of, share, shingles, sketch
from hrmbuild.config.loading import Project, load_project
from hrmbuild.errors import AnswerIsNoError, InputError, UsageError
from hrmbuild.pipelines.audit_absence import absence
from hrmbuild.pipelines.audit_report import ReportRequest, audit_report
from hrmbuild.pipelines.deciders import Stated
from hrmbuild.pipelines.due import due
from hrmbuild.pipelines.erase import EraseReport, erase, hold
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.keys import make_key
from hrmbuild.pipelines.progress import SilentProgress
from hrmbuild.pipelines.stages import ingest_stage
from hrmbuild.pipelines.train_corpus import frozen_corpus
from hrmbuild.pipelines.verify import verify
from hrmbuild.pipelines.withdraw import WithdrawReport, withdraw
from hrmbuild.pipelines.withdrawn_material import withdrawn_of_package
from hrmbuild.store.corpus import Corpus

MEMO = "memos/lamp.md"
MARKED = "The lamp of the north pier is lit from October to March by the keeper on duty"
BOTH = "The keeper notes every ship that passes the pier at night in the grey book"
MARKS = (MARKED, BOTH, "stored in the lower cellar behind the second door")
TEXT = f"""\
# Lamp of the pier

From: Ida Brandt
Date: 2025-03-04
Subject: Lamp of the pier

Decision: {MARKED}.

Decision: {BOTH}.

The oil is bought in April, stored in the lower cellar behind the second door, and counted on the first Monday of
each month by two persons who sign the sheet that hangs there since the audit of last year.
"""
SETTINGS = """\
name: pier
sources:
  - {path: memos, kind: memos, owner: a@pier.example, license: internal, label: internal}
  - {path: pairs, kind: pairs, owner: a@pier.example, license: internal, label: internal}
  - {path: more, kind: pairs, owner: a@pier.example, license: internal, label: internal}
"""


def _pair(question: str, answer: str) -> str:
    return json.dumps({"instruction": question, "response": answer}) + "\n"


SHARED = _pair("What does the keeper note at night?", f"{BOTH}.")


def pier(folder: Path) -> Project:
    """A memo, pairs that two files support, and pairs of their own."""
    for name in ("memos", "pairs", "more"):
        (folder / name).mkdir(parents=True)
    (folder / MEMO).write_text(TEXT, encoding="utf-8")
    own = "".join(_pair(f"What is {n} plus {n}?", f"{n + n}") for n in range(30))
    lamp = "".join(_pair(f"When is lamp {n} lit?", f"{MARKED}, says rule {n}.") for n in range(5))
    (folder / "pairs/a.jsonl").write_text(SHARED + lamp, encoding="utf-8")
    (folder / "more/b.jsonl").write_text(SHARED + own, encoding="utf-8")
    (folder / "hrmbuild.yaml").write_text(SETTINGS, encoding="utf-8")
    return load_project(folder / "hrmbuild.yaml", sources=None, work=None)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = pier(tmp_path / "pier")
    ingest(found)
    return found


def withdrawn(project: Project, name: str, *, yes: bool = True) -> WithdrawReport:
    return withdraw(project, name, Stated("the owner asked for it"), yes=yes)


def _rows(project: Project) -> dict[str, str]:
    """Id -> all texts of a kept pair, as a reader without our tables would search them."""
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        return {one.id: one.model_dump_json() for one in corpus.pairs()}


def test_it_lists_exactly_what_a_full_text_search_finds_and_a_dry_run_changes_nothing(project: Project) -> None:
    before = (project.work / "log.jsonl").exists()
    report = withdrawn(project, "pairs/a.jsonl", yes=False)
    found = {one for one, text in _rows(project).items() if "says rule" in text}
    assert len(found) == 5
    assert set(report.pairs) == found
    (kept,) = report.kept_by_others
    assert kept.others == ("more/b.jsonl",)
    assert BOTH in _rows(project)[kept.pair]
    assert not report.recorded
    assert (project.work / "log.jsonl").exists() == before
    assert not (project.work / "decisions.jsonl").exists()


def test_the_next_ingest_keeps_file_and_near_copy_out_and_ends_as_a_fresh_one(project: Project) -> None:
    listed = set(withdrawn(project, MEMO).pairs)
    copy = project.folder / "memos/copied.txt"
    copy.write_text("Fwd: see below.\n\n" + TEXT.replace("oil", "gas"), encoding="utf-8")
    assert ingest_stage(project).state == "stale"
    report = ingest(project)
    states = {one.source.path: (one.status, (one.reason or "").partition(":")[0]) for one in report.sources}
    assert states[MEMO] == ("quarantined", "withdrawn")
    assert states["memos/copied.txt"] == ("quarantined", "withdrawn.near_copy")
    assert ingest_stage(project).state == "fresh"
    rows = _rows(project)
    assert listed
    assert listed.isdisjoint(rows)
    project.corpus_path.unlink()
    ingest(project)
    assert _rows(project) == rows


def test_pairs_that_another_source_supports_stay(project: Project) -> None:
    (kept,) = withdrawn(project, "pairs/a.jsonl").kept_by_others
    ingest(project)
    assert kept.pair in _rows(project)
    assert not any("says rule" in text for text in _rows(project).values())


def test_a_shown_document_is_a_place_of_the_pair_and_needed_by_it(tmp_path: Path) -> None:
    shared = _pair("Does rule 7 hold?", "Yes.")
    law = f"# Rule 7\n\n{MARKED}.\n"
    for name, text in (("law/seven.md", law), ("asked/a.jsonl", shared), ("b.jsonl", shared + "\n")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    entry = "kind: pairs, owner: a@pier.example, license: internal, label: internal"
    told = f"  - {{path: asked, {entry}, mapping: {{context: 'law/*'}}}}\n  - {{path: b.jsonl, {entry}}}\n"
    (tmp_path / "hrmbuild.yaml").write_text(f"name: law\nsources:\n{told}", encoding="utf-8")
    project = load_project(tmp_path / "hrmbuild.yaml", sources=None, work=None)
    ingest(project)
    shown = {one for one, text in _rows(project).items() if MARKED in text}
    for name in ("law/seven.md", "asked/a.jsonl"):
        report = withdrawn(project, name, yes=name.startswith("law"))
        assert (set(report.pairs), report.kept_by_others) == (shown, ())
    ingest(project)
    assert shown.isdisjoint(_rows(project))
    assert not any(MARKED in text for text in _rows(project).values())


def test_an_unknown_source_and_a_missing_reason_are_told(project: Project) -> None:
    with pytest.raises(UsageError, match="no source is named"):
        withdrawn(project, "memos/none.md")
    with pytest.raises(UsageError) as caught:
        withdrawn(project, f"./{MEMO}".replace("lamp", "lmap"))
    assert f"did you mean {MEMO}?" in (caught.value.fix or "")
    with pytest.raises(UsageError, match="without a reason"):
        withdraw(project, MEMO, Stated(" "))


def test_train_refuses_and_verify_says_it(project: Project) -> None:
    folder = freeze(project).folder
    report = withdrawn(project, MEMO)
    assert [one["folder"] for one in report.manifests] == [folder.name]
    with pytest.raises(AnswerIsNoError) as refused:
        frozen_corpus(project, manifest=None, corpus=None, progress=SilentProgress())
    assert refused.value.code == "withdrawn.manifest"
    said = [check.detail for check in verify(folder, project=project).checks if check.name == "withdrawn material"]
    assert said == [f"built on withdrawn material: {MEMO}"]
    ingest(project)
    newer = freeze(project).folder
    assert newer != folder
    found = absence(project, MEMO)
    assert found.absent
    quoting = {one for one, text in _rows(project).items() if MARKED in text or BOTH in text}
    assert set(found.hits) == quoting  # the pairs of other files that quote the memo
    assert len(quoting) == 6
    assert frozen_corpus(project, manifest=None, corpus=None, progress=SilentProgress()).folder == newer
    assert verify(newer, project=project).ok


@pytest.mark.slow
def test_runs_and_packages_are_named_and_verify_says_it_of_each(packaged: Packaged) -> None:
    project = packaged.project
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        path = corpus.sources()[0].source.path
    report = withdrawn(project, path)
    assert report.runs
    assert report.packages
    assert report.costs.runs == len(report.runs)
    package = project.packages_folder / report.packages[0]
    assert withdrawn_of_package(project, package) == [path]
    for folder in (package, project.runs_folder / report.runs[0]):
        assert [one.detail for one in verify(folder, project=project).checks if one.name == "withdrawn material"]


def test_what_is_past_its_day_is_due_until_it_is_withdrawn_and_a_hold_is_told(tmp_path: Path) -> None:
    project = pier(tmp_path / "pier")
    text = (project.folder / "hrmbuild.yaml").read_text(encoding="utf-8")
    (project.folder / "hrmbuild.yaml").write_text(
        text.replace("path: memos, ", "path: memos, retain_until: 2026-06-30, "), encoding="utf-8"
    )
    project = load_project(project.config_path, sources=None, work=None)
    ingest(project)
    day = dt.date(2026, 6, 30)
    assert (due(project, day).due, due(project, day).upcoming) == ((), "2026-06-30")
    (one,) = due(project, day + dt.timedelta(1)).due
    assert (one.path, one.state, one.pairs > 0) == (MEMO, "kept", True)
    assert one.next == f"hrmbuild withdraw {MEMO} --reason … --yes"
    withdrawn(project, MEMO)
    (one,) = due(project, dt.date(2027, 1, 1)).due
    assert (one.state, one.next) == ("withdrawn", "hrmbuild ingest")
    hold(project, MEMO, Stated("a suit is pending"))
    assert [told.state for told in due(project, dt.date(2027, 1, 1)).due] == ["held"]


def test_a_sketch_knows_copies_and_holds_no_words() -> None:
    told = sketch(TEXT)
    assert set(told) <= set("0123456789abcdef")
    assert share(hashes_of(told), shingles(TEXT.upper())) == 1.0
    assert share(hashes_of(told), shingles(TEXT.replace("oil", "gas"))) >= NEAR_COPY
    assert share(hashes_of(told), shingles("another text " * 30)) == 0.0
    assert share(hashes_of(sketch("")), shingles(TEXT)) == 0.0


def test_a_removed_file_is_kept_out_by_bytes_alone_and_that_is_said(project: Project, tmp_path: Path) -> None:
    shutil.move(project.folder / MEMO, tmp_path / "away.md")
    report = withdrawn(project, MEMO)
    assert not report.near_copies
    assert "same bytes" in report.notes[0]


def bytes_of(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file, raw and as its cells: compressed columns hide words from a search of bytes."""
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        yield path, path.read_bytes()
        if path.suffix == ".parquet":
            yield path, str(pq.read_table(path).to_pylist()).encode()
        if path.name == "corpus.duckdb":
            with duckdb.connect(str(path), read_only=True) as connection:
                tables = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
                for (table,) in tables:
                    yield path, str(connection.execute(f'SELECT * FROM "{table}"').fetchall()).encode()


def _holders(folder: Path) -> set[str]:
    return {path.name for path, data in bytes_of(folder) for words in MARKS if words.encode() in data}


def _erase(project: Project, *, yes: bool = True) -> EraseReport:
    key = project.folder / "keys/ada.private.pem"
    if not key.exists():
        make_key("ada", out=key.parent, encrypt=False)
    return erase(project, "memos/lamp.md", Stated("the court asked", key=key), yes=yes)


@pytest.mark.slow
def test_after_an_erasure_the_text_stands_in_no_live_file_and_roots_still_verify(project: Project) -> None:
    (project.folder / "pairs/a.jsonl").unlink()  # its pairs quote the memo
    (project.folder / "more/b.jsonl").write_text(_pair("What is one?", "1"), encoding="utf-8")
    (project.folder / "pairs/c.jsonl").write_text(_pair("What is two?", "2"), encoding="utf-8")
    ingest(project)
    old = freeze(project).folder
    assert {"lamp.md", "pairs.parquet", "corpus.duckdb"} <= _holders(project.folder)
    with pytest.raises(AnswerIsNoError) as refused:
        _erase(project)
    assert refused.value.code == "erase.not_withdrawn"
    (n_rows,) = {len(withdrawn(project, MEMO).pairs)}
    with pytest.raises(AnswerIsNoError) as refused:
        _erase(project)
    assert refused.value.code == "erase.not_ingested"
    ingest(project)
    hold(project, MEMO, Stated("a suit is pending"))
    with pytest.raises(AnswerIsNoError, match="a suit is pending"):
        _erase(project)
    hold(project, MEMO, Stated("it is over"), release=True)
    assert not _erase(project, yes=False).done
    assert (project.folder / MEMO).exists()
    report = _erase(project)
    assert report.manifests == {old.name: n_rows}
    assert _holders(project.folder) == set()
    checks = {check.name: check for check in verify(old, project=project).checks}
    assert [(one.name, one.detail) for one in checks.values() if not one.ok] == []
    assert checks["erased"].detail.startswith(f"{n_rows} rows were erased")
    alone = subprocess.run([sys.executable, str(old / "check.py")], capture_output=True, text=True, check=False)
    assert (alone.returncode, alone.stdout.strip().endswith("some rows erased")) == (0, True), alone.stdout
    freeze(project)
    changes = audit_report(None, ReportRequest(), project=project).value["changes"]["rows"]
    assert (changes["removed"], changes["erased"]) == (n_rows, [n_rows, 0])
    with pytest.raises(InputError, match=f"the texts of {n_rows} rows of this manifest were erased"):
        audit_report(old, ReportRequest(), project=project)
    before = {path.name: path.read_bytes() for path in old.iterdir()}
    _erase(project)  # as after a kill: everything may be done twice
    assert {path.name: path.read_bytes() for path in old.iterdir()} == before
    pairs = old / "pairs.parquet"
    pairs.write_bytes(pairs.read_bytes()[:-9] + b"x" + pairs.read_bytes()[-8:])
    assert not verify(old, project=project).ok


_KILLED = """\
import os, sys
import hrmbuild.files as files
left = int(sys.argv[2])
real = os.replace
def replace(one, other):
    global left
    left -= 1
    if left < 0:
        os._exit(137)
    real(one, other)
os.replace = replace
from hrmbuild.cli.main import main
sys.exit(main(["audit", "erase", "memos/lamp.md", "--reason", "court", "--key", "keys/ada.private.pem", "--yes",
               "--config", sys.argv[1]]))
"""


@pytest.mark.slow
def test_a_kill_at_any_rename_leaves_an_erasure_that_the_same_command_finishes(project: Project) -> None:
    for name in ("pairs/a.jsonl", "more/b.jsonl"):
        (project.folder / name).write_text(_pair(f"What is {name}?", "a file"), encoding="utf-8")
    ingest(project)
    old = freeze(project).folder
    withdrawn(project, MEMO)
    ingest(project)
    make_key("ada", out=project.folder / "keys", encrypt=False)
    settings = project.folder / "hrmbuild.yaml"
    for n in range(7):
        ended = subprocess.run(
            [sys.executable, "-c", _KILLED, str(settings), str(n)], cwd=project.folder, capture_output=True, check=False
        )
        if ended.returncode == 0:
            break
        assert ended.returncode == 137, ended.stderr.decode()
    else:
        assert _erase(project).done
    assert _holders(project.folder) == set()
    assert verify(old, project=project).ok


@pytest.mark.slow
def test_an_altered_pack_is_not_erased_into_a_new_hash(project: Project) -> None:
    old = freeze(project).folder
    withdrawn(project, MEMO)
    ingest(project)
    rejections = old / "rejections.parquet"
    rejections.write_bytes(rejections.read_bytes() + b" ")
    with pytest.raises(InputError) as refused:
        _erase(project)
    assert refused.value.code == "evidence.altered"
