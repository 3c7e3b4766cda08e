"""Rows of an included base mix in the auditor's hands: followed, proved, drawn, exported; or why they cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pytest
from base_project import Two, base_folder, copied

from hrmbuild.audit.evidence import EvidenceRow, read_evidence
from hrmbuild.config.loading import Project
from hrmbuild.errors import AnswerIsNoError, InputError, UsageError
from hrmbuild.pipelines.audit_export import export
from hrmbuild.pipelines.audit_pairs import frozen_pack
from hrmbuild.pipelines.audit_prove import check_proof, prove_pair
from hrmbuild.pipelines.audit_report import ReportRequest, audit_report
from hrmbuild.pipelines.audit_sample import SampleRequest, audit_sample
from hrmbuild.pipelines.audit_trace import trace
from hrmbuild.pipelines.base_pairs import TAKEN, Base, bases_at_hand
from hrmbuild.pipelines.deciders import Stated
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.train import train
from hrmbuild.pipelines.verify import verify
from hrmbuild.pipelines.withdraw import withdraw


@pytest.fixture(scope="module")
def base(two: Two) -> Base:
    pack = frozen_pack(two.project, None)
    [found] = bases_at_hand(two.project, pack.folder, pack.manifest)
    return found


@pytest.fixture(scope="module")
def taken(base: Base) -> list[EvidenceRow]:
    return [row for row in read_evidence(base.pack.folder) if base.fate(row.value) == TAKEN]


def test_every_taken_row_and_no_other_is_said_to_be_trained_on(two: Two, base: Base, taken: list[EvidenceRow]) -> None:
    assert len(taken) == base.included.taken.pairs > 400
    assert len({one.code for one in base.left_out.values()}) == 3
    for one in base.left_out.values():
        found = trace(two.project, one.id).found
        told = found["base"] or found["also_in"][0]
        assert told["fate"] == f"not trained on: {one.code}, because of the pair {one.because}"
        assert (found["base"] is None) == (one.id == one.because) and bool(found["manifests"]) == (
            one.id == one.because
        )


@pytest.mark.parametrize("key", ["id", "salted_leaf"])
def test_a_base_row_is_followed_to_its_place_in_the_base(
    two: Two, base: Base, taken: list[EvidenceRow], key: str
) -> None:
    row = taken[7]
    found = trace(two.project, getattr(row, key)).found
    told = {name: found["base"][name] for name in ("name", "content_root", "fate")}
    assert told == {"name": "base-mix", "content_root": two.base.content_root, "fate": TAKEN}
    [place] = found["occurrences"]
    line = (two.root / "base" / place["paths"][0]).read_text().splitlines()[place["locator"]["line_from"] - 1]
    assert json.loads(line)["instruction"] == found["instruction"] and place["file"] == "as frozen"
    assert [one["folder"] for one in found["manifests"]] == [two.manifest.content_root[:12]]


def test_a_base_row_is_proved_in_the_roots_of_the_base(two: Two, taken: list[EvidenceRow], tmp_path: Path) -> None:
    made = prove_pair(two.project, taken[3].id, with_row=True, out=tmp_path / "proof.json")
    assert made.base is not None and made.proof.root == two.base.roots.train
    checked = check_proof(two.project, tmp_path / "proof.json")
    assert checked.ok and checked.against == str(base_folder(two.project))


def test_a_base_file_is_followed_by_its_path_and_by_its_hash(two: Two, base: Base) -> None:
    found = trace(two.project, "base-mix: logic.jsonl").found
    assert found["n_pairs"] == 200 and 0 < found["base"]["trained_on"] < 200
    assert trace(two.project, found["sha256"][:9]).found == found


def test_a_sample_says_what_it_was_not_drawn_from_and_a_base_has_one_of_its_own(
    two: Two, taken: list[EvidenceRow]
) -> None:
    own = audit_sample(None, SampleRequest("dice", 5), project=two.project).value
    assert own["base"] is None and own["not_drawn_from"] == {"base-mix": len(taken)}
    drawn = audit_sample(None, SampleRequest("dice", len(taken) + 9, base="base-mix"), project=two.project).value
    assert drawn["of"] == drawn["n"] == len(taken) and drawn["not_drawn_from"] == {}
    assert {one["leaf"] for one in drawn["pairs"]} == {row.salted_leaf for row in taken}
    with pytest.raises(UsageError) as caught:
        audit_sample(None, SampleRequest("dice", base="other"), project=two.project)
    assert caught.value.code == "audit.no_base" and "base-mix" in str(caught.value.fix)


def test_an_export_holds_the_base_rows_or_says_that_it_does_not(
    two: Two, taken: list[EvidenceRow], tmp_path: Path
) -> None:
    plain = export(two.project, out=tmp_path / "plain", max_label="internal", form="jsonl")
    assert plain.n_pairs == 150 and plain.includes[0]["file"] is None
    assert "not in this export" in (tmp_path / "plain" / "README.md").read_text()
    whole = export(two.project, out=tmp_path / "whole", max_label="internal", form="jsonl", with_bases=True)
    lines = [json.loads(line) for line in (tmp_path / "whole" / "base_1.jsonl").read_text().splitlines()]
    assert [one["leaf"] for one in lines] == [row.salted_leaf for row in taken] and whole.n_pairs == 150 + len(taken)
    assert {path for one in lines for path in one["sources"]} == {"base-mix: general.jsonl", "base-mix: logic.jsonl"}
    assert "base-mix: logic.jsonl" in (tmp_path / "whole" / "README.md").read_text()


@pytest.mark.slow
def test_the_report_and_the_diff_tell_what_is_included_and_both_sides_of_a_conflict(two: Two, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    request = ReportRequest(since=two.root / "alone", show_label="internal")
    value = audit_report(None, request, project=two.project, out=page).value
    told, text = value["included"], page.read_text()
    assert [one["path"] for one in told["files"]] == ["base-mix: general.jsonl", "base-mix: logic.jsonl"]
    assert {one["value"]: one["files"] for one in value["sources"]["licenses"]} == {
        "CC0-1.0": 1,
        "MIT": 1,
        "internal": 1,
    }
    assert {one["name"] for one in value["tokens"]["by_stratum"]} == {"own", "general", "logic"}
    assert two.base.content_root in text and two.manifest.training_root in text and "logic.jsonl" in text
    assert len(told["conflicts"]) == told["contradictions"] > 0
    short = " ".join(one["text"] for one in value["in_short"])
    assert "None is" not in short and "maker is a language model" in short and "included corpora contradicted" in short
    for one in told["conflicts"]:
        (own, base), asked = one["sides"], one["question"]
        assert asked in two.planted and base["answer"] == "Nobody counted them." != own["answer"]
    assert any("base-mix" in one for one in value["limits"])
    model = next(
        row["text"] for part in value["public_summary"] for row in part["rows"] if "Synthetic" in row["heading"]
    )
    assert f"a model: {next(one['pairs'] for one in told['files'] if one['maker'] == 'model'):,} pairs" in model
    changes = value["changes"]
    assert (
        changes["included_pairs"] == [0, told["pairs"]] and two.base.content_root in changes["includes"]["base-mix"][1]
    )
    assert [one["path"] for one in changes["included"]["added"]] == [one["path"] for one in told["files"]]
    hidden = audit_report(None, ReportRequest(), project=two.project, page=False).value["included"]["conflicts"]
    assert all(side["answer"] is None for one in hidden for side in one["sides"] if side["path"] == "own.jsonl")


def test_plain_duckdb_lists_included_files_and_pairs(two: Two, base: Base, taken: list[EvidenceRow]) -> None:
    given = [str(two.project.manifests_folder / two.manifest.content_root[:12]), str(base.pack.folder)]
    with duckdb.connect(str(two.project.corpus_path), read_only=True) as corpus:
        files = corpus.execute("SELECT base, path, maker, pairs FROM audit_included_files(?)", given[:1]).fetchall()
        rows = corpus.execute("SELECT id, trained_on, code, because FROM audit_included_pairs(?, ?)", given).fetchall()
        sides = (
            "SELECT i.response, p.response FROM audit_included_pairs(?, ?) AS i JOIN audit_pairs AS p ON p.id = because"
        )
        both = corpus.execute(f"{sides} WHERE code = 'include.contradiction'", given).fetchall()
    assert files == [(base.name, one.source.path, one.source.maker, one.count.pairs) for one in base.included.sources]
    assert sorted(key for key, trained, *_ in rows if trained) == [row.id for row in taken]
    assert {key: (code, why) for key, _, code, why in rows if code} == {
        key: (one.code, one.because) for key, one in base.left_out.items()
    }
    assert both and all(theirs == "Nobody counted them." != ours for theirs, ours in both)
    assert len(rows) == sum(count.pairs for count in two.base.splits.values())


def ask_all(project: Project, key: str, out: Path) -> list[InputError]:
    """What each command says that needs the base."""
    told: list[InputError] = []
    for ask in (
        lambda: trace(project, key),
        lambda: trace(project, "general.jsonl"),
        lambda: prove_pair(project, key),
        lambda: audit_sample(None, SampleRequest("dice", base="base-mix"), project=project),
        lambda: export(project, out=out, max_label="internal", with_bases=True),
    ):
        with pytest.raises(InputError) as caught:
            ask()
        told.append(caught.value)
    return told


def test_a_base_that_is_absent_or_another_is_named_with_its_root_and_place(
    two: Two, taken: list[EvidenceRow], tmp_path: Path
) -> None:
    project = copied(two, tmp_path)
    place = base_folder(project)
    manifest = place / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"name":"base-mix"', b'"name":"base-fix"'))
    told = ask_all(project, taken[0].id, tmp_path / "out")
    assert {one.code for one in told} == {"include.altered"}
    assert all(two.base.content_root in one.what and str(place) in str(one.where) for one in told)
    shutil.move(place, tmp_path / "elsewhere")
    told = ask_all(project, taken[0].id, tmp_path / "out")
    assert {one.code for one in told} == {"include.missing"}
    assert all(two.base.content_root in one.what and str(place.resolve()) in str(one.why) for one in told)
    folder = project.manifests_folder / two.manifest.content_root[:12]
    checks = {one.name: one.detail for one in verify(folder, project=project).checks}
    assert two.base.content_root in checks["include base-mix"] and str(place.resolve()) in checks["include base-mix"]


@pytest.mark.slow
def test_from_a_step_of_a_run_to_the_line_of_the_base(two: Two, tmp_path: Path) -> None:
    project = copied(two, tmp_path)
    run = train(project).folder
    shown: dict[str, str] = {}
    for step in range(1, 7):
        told = trace(project, str(run), step=step).found["step"]
        assert told["as_planned"] and sum(told["from"].values()) == len(told["pairs"])
        shown |= {one["id"]: one["base"] for one in told["pairs"]}
    assert set(shown.values()) == {None, "base-mix"}
    followed = trace(project, next(key for key, base in shown.items() if base)).found
    assert followed["runs"] == [run.name] and followed["base"]["content_root"] == two.base.content_root
    with pytest.raises(UsageError):
        trace(project, str(run), step=7)


@pytest.mark.slow
def test_a_withdrawn_file_of_a_base_is_listed_refused_and_left_out_by_the_next_freeze(two: Two, tmp_path: Path) -> None:
    project = copied(two, tmp_path)
    listed = withdraw(project, "base-mix: logic.jsonl", Stated("the owner asked"), yes=True)
    [before] = listed.manifests
    [was] = two.manifest.includes or ()
    assert before["pairs"] == next(one.count.pairs for one in was.sources if one.source.path == "logic.jsonl")
    with pytest.raises(AnswerIsNoError) as caught:
        train(project)
    assert caught.value.code == "withdrawn.manifest" and "base-mix: logic.jsonl" in caught.value.what
    ingest(project)
    made = freeze(project)
    [included] = made.manifest.includes or ()
    assert [one.source.path for one in included.sources] == ["general.jsonl"]
    assert included.left_out["include.withdrawn"] > 100
    assert verify(made.folder, project=project).ok
    gone = next(row for row in read_evidence(base_folder(project), "train") if row.value["stratum"] == "logic")
    assert trace(project, gone.id).found["base"]["fate"].endswith(f"because of the source {listed.source}")
