"""Withdrawal and erasure on the example and on a project with all its parts, held against searches of every text."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from packaged_project import Packaged
from test_withdraw import bytes_of, pier, withdrawn

from hrmbuild.assets import asset_folder
from hrmbuild.audit.evidence import read_evidence, read_salts
from hrmbuild.config.loading import Project, load_project
from hrmbuild.pipelines.decided import read_decided
from hrmbuild.pipelines.deciders import Stated
from hrmbuild.pipelines.erase import erase
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.keys import make_key
from hrmbuild.pipelines.review import Reviewer, desk_of, draw
from hrmbuild.pipelines.review_choice import Wanted
from hrmbuild.pipelines.verify import verify
from hrmbuild.records.pair import Pair
from hrmbuild.review.desk import Edited
from hrmbuild.store.corpus import Corpus

pytestmark = pytest.mark.slow

EXAMPLE_SETTINGS = """\
name: example
sources:
  - {path: memos, kind: memos, owner: a@b.example, license: internal}
  - {path: policies, kind: rules, owner: a@b.example, license: internal}
"""


def word_runs(text: str, n: int) -> set[tuple[str, ...]]:
    words = re.findall(r"[^\W_]+", text.casefold())
    return {tuple(words[at : at + n]) for at in range(len(words) - n + 1)}


def test_of_every_memo_and_policy_of_the_example_it_lists_what_a_full_text_search_finds(tmp_path: Path) -> None:
    """Runs of eight words find no pair that is not listed; a listed pair shows a run of the file, if only of four."""
    for name in ("memos", "policies"):
        shutil.copytree(asset_folder("examples") / name, tmp_path / name)
    (tmp_path / "hrmbuild.yaml").write_text(EXAMPLE_SETTINGS, encoding="utf-8")
    project = load_project(tmp_path / "hrmbuild.yaml", sources=None, work=None)
    ingest(project)
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        texts = {one.id: f"{one.instruction}\n{one.response}" for one in corpus.pairs()}
    by_run: dict[tuple[str, ...], set[str]] = {}
    for one, text in texts.items():
        for run in word_runs(text, 8) | word_runs(text, 4):
            by_run.setdefault(run, set()).add(one)
    n_listed = n_short = 0
    for path in sorted([*tmp_path.glob("memos/*.[mt]*"), *tmp_path.glob("policies/*")]):
        report = withdrawn(project, path.relative_to(tmp_path).as_posix(), yes=False)
        text = path.read_text(encoding="utf-8")
        found, short = ({one for run in word_runs(text, n) for one in by_run.get(run, ())} for n in (8, 4))
        kept = {one.pair for one in report.kept_by_others}
        assert found - kept <= set(report.pairs), path
        assert set(report.pairs) <= short, path
        n_listed, n_short = n_listed + len(report.pairs), n_short + len(set(report.pairs) - found)
    assert n_listed > 1000
    assert n_short < n_listed / 100


def test_a_pair_of_two_sources_stays_and_no_row_keeps_what_the_erased_one_said(tmp_path: Path) -> None:
    project = pier(tmp_path / "pier")
    ingest(project)
    name = "pairs/a.jsonl"
    old = freeze(project).folder
    report = withdrawn(project, name)
    (kept,) = report.kept_by_others
    ingest(project)
    make_key("ada", out=project.folder / "keys", encrypt=False)
    stated = Stated("the court asked", key=project.folder / "keys/ada.private.pem")
    assert erase(project, name, stated, yes=True).manifests == {old.name: len(report.pairs) + 1}
    assert not [path.name for path, data in bytes_of(project.folder) if b"says rule" in data]
    gone = [row.value for row in read_evidence(old) if row.value.get("erased")]
    assert {one["id"] for one in gone} == {*report.pairs, kept.pair}
    assert all(set(one) <= {"source_sha256", "inputs"} for row in gone for one in row["occurrences"])
    assert [(one.name, one.detail) for one in verify(old, project=project).checks if not one.ok] == []
    new = freeze(project).folder
    (carried,) = [row.value for row in read_evidence(new) if row.id == kept.pair]
    assert [one["source_sha256"] != report.source for one in carried["occurrences"]] == [True]
    assert verify(new, project=project).ok
    proved = [read_salts(folder).get(kept.pair) for folder in (old, new)]
    assert proved[0] is None
    assert proved[1] is not None


def edit_one(project: Project, words: str) -> Pair:
    """A reviewer writes one pair anew in which the words stand."""
    who = Reviewer(project, "ada", None, None)
    wanted = Wanted(show_label="restricted", n=10_000)
    sample = draw(project, wanted, who)
    pair = next(one for one in sample.pairs if words in one.response and one.answer.type == "text")
    edited = Edited(pair.instruction, f"{pair.response} So it stands there.", pair.answer.value)
    desk_of(project, wanted, sample, who).decide(pair.id, "edit", reason="too short", edited=edited)
    return pair


def test_with_run_package_and_edit_the_text_stands_nowhere_after_an_erasure(packaged: Packaged) -> None:
    project, memo, words = packaged.project, "memos/storm.md", "storm desk answers calls until 20:00"
    assert speakers(project, words) >= {Path(memo).name, "corpus.duckdb", "pairs.parquet"}
    pair = edit_one(project, words)
    assert "edits.jsonl" in speakers(project, words)
    ingest(project)
    edited = freeze(project).folder
    report = withdrawn(project, memo)
    assert report.runs
    assert report.packages
    ingest(project)
    make_key("ada", out=project.folder / "keys", encrypt=False)
    stated = Stated("the court asked", key=project.folder / "keys/ada.private.pem")
    told = erase(project, memo, stated, yes=True)
    assert told.edits == 1
    assert speakers(project, words) == set()
    found = read_decided(project)
    assert (found.edits, set(found.refused)) == ({}, {pair.id})
    assert [(one.name, one.detail) for one in verify(edited, project=project).checks if not one.ok] == []
    ingest(project)
    assert verify(freeze(project).folder, project=project).ok


def speakers(project: Project, words: str) -> set[str]:
    return {path.name for path, data in bytes_of(project.folder) if words.encode() in data}
