"""Trace, prove, export, views and making again, on the small project that went the whole road."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from packaged_project import Packaged
from small_project import rewrite

from hrmbuild.audit.evidence import EvidenceRow, read_evidence
from hrmbuild.audit.export_files import neutral
from hrmbuild.errors import AnswerIsNoError, HrmbuildError, InputError, UsageError
from hrmbuild.files import entries_of
from hrmbuild.pipelines.audit_export import export
from hrmbuild.pipelines.audit_prove import check_proof, prove_pair
from hrmbuild.pipelines.audit_trace import trace
from hrmbuild.pipelines.manifests import current_manifest
from hrmbuild.pipelines.progress import SilentProgress
from hrmbuild.pipelines.verify import verify
from hrmbuild.records.pair import SPLITS

VIEWS = {
    "audit_pairs": "id split axis label condition kind stratum book derivation boundary instruction response "
    "answer_type answer_value answer_unit content_key valid_from valid_until n_occurrences paths",
    "audit_occurrences": "pair_id path source_sha256 locator text template_sha256 query inputs",
    "audit_sources": "path sha256 n_bytes kind format declared_by owner license label effective_from effective_until "
    "status reason records records_without_pair made kept rejected not_read",
    "audit_rejections": "path stage code gate detail source_sha256 locator text pair_id",
    "audit_conflicts": "code pair_id path locator text response valid_from valid_until other_pair_id other_path "
    "other_locator other_text other_response other_valid_from other_valid_until",
    "audit_findings": "path finding done n pair_id locator detail",
    "audit_log('log.jsonl')": "n told_at event sha256 facts previous link",
}
"""Columns never change: auditors' own queries rest on them. New ones come at the end."""


def frozen(packaged: Packaged) -> Path:
    folder = current_manifest(packaged.project)
    assert folder is not None
    return folder


def rows(packaged: Packaged) -> list[EvidenceRow]:
    return list(read_evidence(frozen(packaged)))


def row_of(packaged: Packaged, **wanted: str) -> EvidenceRow:
    return next(row for row in rows(packaged) if wanted.items() <= row.value.items())


def test_the_columns_of_the_views_are_these(packaged_once: Packaged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(packaged_once.project.work)
    with duckdb.connect("corpus.duckdb", read_only=True) as connection:
        found = {view: [column[0] for column in connection.execute(f"FROM {view}").description or []] for view in VIEWS}
        assert found == {view: columns.split() for view, columns in VIEWS.items()}
        [(n, made, kept)] = connection.execute("SELECT count(*), sum(made), sum(kept) FROM audit_sources").fetchall()
        [(occurrences,)] = connection.execute("SELECT count(*) FROM audit_occurrences").fetchall()
        broken = "SELECT count(*) FROM (SELECT previous, lag(link) OVER (ORDER BY n) AS before FROM audit_log())"
        assert connection.execute(f"{broken} WHERE before <> previous").fetchall() == [(0,)]
    assert (n, kept) == (5, occurrences) and made >= kept


def test_a_pair_is_followed_to_its_words_and_on_to_the_package(packaged_once: Packaged) -> None:
    row = row_of(packaged_once, derivation="quoted", label="internal")
    for name in (row.id, row.id[:12], row.salted_leaf):
        found = trace(packaged_once.project, name, show_label="internal").as_dict()
        assert (found["kind"], found["id"], found["instruction"]) == ("pair", row.id, row.value["instruction"])
    [one] = found["occurrences"]
    assert one["stands"] is True and one["text_again"] == one["text"] and one["file"] == "as frozen"
    assert one["template"].endswith(".j2") and one["declared"][0]["owner"] == "compliance@small.example"
    assert [m["folder"] for m in found["manifests"]] == [frozen(packaged_once).name]
    assert (found["runs"], found["packages"]) == ([packaged_once.run.name], [packaged_once.package.name])
    evaluated = trace(packaged_once.project, row_of(packaged_once, derivation="evaluated").id, show_label="internal")
    assert evaluated.as_dict()["occurrences"][0]["inputs"]["ruleset"] == "parking"


def test_a_source_and_a_package_are_followed_to_their_pairs(packaged_once: Packaged) -> None:
    by_path = trace(packaged_once.project, "memos/storm.md").as_dict()
    assert trace(packaged_once.project, by_path["sha256"][:12]).as_dict() == by_path
    wanted = [row.id for row in rows(packaged_once) if by_path["sha256"] in row.row]
    assert (by_path["n_pairs"], [one["id"] for one in by_path["pairs"]]) == (len(wanted), wanted)
    package = trace(packaged_once.project, str(packaged_once.package)).as_dict()
    assert {one["path"]: one["pairs"] for one in package["sources"]}["memos/storm.md"] == len(wanted)
    assert package["runs"] == by_path["runs"] == [packaged_once.run.name]


def test_above_the_label_no_word_is_shown(packaged_once: Packaged, tmp_path: Path) -> None:
    secret = [row for row in rows(packaged_once) if row.value["label"] == "confidential"]
    export(None, out=tmp_path / "out", form="jsonl", manifest=frozen(packaged_once), max_label="internal")
    went_out = "".join(path.read_text() for path in sorted((tmp_path / "out").iterdir()))
    for row in secret:
        told = json.dumps(trace(packaged_once.project, row.id, show_label="internal").as_dict(), ensure_ascii=False)
        words = [row.value["instruction"], row.value["response"], row.value["occurrences"][0]["text"], "Storm"]
        assert [text for text in words if text in told or (text in went_out and len(text) > 20)] == []
        with pytest.raises(AnswerIsNoError, match="which is not shown"):
            prove_pair(packaged_once.project, row.id, with_row=True, show_label="internal")
    assert trace(packaged_once.project, secret[0].id, show_label="confidential").as_dict()["shown"]


def test_a_proof_is_checked_and_another_manifest_is_no_proof(packaged_once: Packaged, tmp_path: Path) -> None:
    row = row_of(packaged_once, label="internal")
    file = tmp_path / "proof.json"
    prove_pair(packaged_once.project, row.salted_leaf[:16], out=file, with_row=True, show_label="internal")
    assert check_proof(packaged_once.project, file).against == str(frozen(packaged_once))
    alone = check_proof(None, file)
    assert (alone.ok, alone.against, alone.proof.row) == (True, None, row.row)
    golden = Path(__file__).resolve().parent.parent / "golden" / "manifest_1"
    assert not check_proof(None, file, manifest=golden).ok
    told = json.loads(file.read_bytes())
    file.write_text(json.dumps({**told, "row": told["row"].replace("a", "e", 1)}))
    assert "another leaf" in check_proof(packaged_once.project, file).detail


def test_the_three_forms_of_an_export_hold_the_same_pairs_each_time(packaged_once: Packaged, tmp_path: Path) -> None:
    manifest = frozen(packaged_once)
    for form in ("parquet", "jsonl", "csv"):
        for name in (form, f"{form} again"):
            report = export(None, out=tmp_path / name, form=form, manifest=manifest, max_label="confidential",
                            with_croissant=True)  # fmt: skip
        first, second = ([(path.name, path.read_bytes()) for path in sorted((tmp_path / name).iterdir())]
                         for name in (form, f"{form} again"))  # fmt: skip
        assert first == second and report.n_pairs == len(rows(packaged_once)) and report.label == "confidential"
    for split in SPLITS:
        table = pq.read_table(tmp_path / "parquet" / f"{split}.parquet").to_pylist()
        lines = [json.loads(line) for line in (tmp_path / "jsonl" / f"{split}.jsonl").read_text().splitlines()]
        with (tmp_path / "csv" / f"{split}.csv").open(newline="") as file:
            cells = list(csv.DictReader(file))
        assert [{k: v for k, v in row.items() if v is not None} for row in table] == lines
        assert [row["response"] for row in cells] == [neutral(row["response"]) for row in lines]
        assert [row["leaf"] for row in lines] == [row.salted_leaf for row in read_evidence(manifest, split)]
    assert not [name for name, _ in entries_of(tmp_path) if "incomplete" in name]
    card = (tmp_path / "csv" / "README.md").read_text()
    assert "memos/storm.md" in card and "Nothing of the manifest was left out" in card


@pytest.mark.parametrize("begin", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1"])
def test_no_cell_is_a_formula(begin: str) -> None:
    assert neutral(begin) == f"'{begin}"
    assert neutral(f"a{begin}") == f"a{begin}"


def test_mistakes_are_told(packaged_once: Packaged, tmp_path: Path) -> None:
    project, out = packaged_once.project, tmp_path / "out"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "bad.json").write_text("{}")
    for code, kind, call in (
        ("audit.bad_pair", UsageError, lambda: trace(project, "memos/none.md")),
        ("audit.no_pair", InputError, lambda: trace(project, "0" * 64)),
        ("audit.unknown_label", UsageError, lambda: trace(project, rows(packaged_once)[0].id, show_label="secret")),
        ("audit.unknown_role", UsageError, lambda: export(project, out=out, role="nobody")),
        ("audit.unknown_format", UsageError, lambda: export(project, out=out, form="xml")),
        ("audit.nothing_to_export", AnswerIsNoError, lambda: export(project, out=out)),
        ("audit.export_exists", UsageError, lambda: export(project, out=tmp_path / "full", max_label="internal")),
        ("audit.no_manifest", UsageError, lambda: export(None, out=out)),
        ("audit.bad_proof", InputError, lambda: check_proof(None, tmp_path / "bad.json")),
    ):
        with pytest.raises(kind) as told:
            call()
        assert isinstance(told.value, HrmbuildError) and (told.value.code, bool(told.value.fix)) == (code, True)
    assert not out.exists()


class _Stops(SilentProgress):
    """Ctrl-C after so many files."""

    def __init__(self, files: int) -> None:
        self.left, self.stage_total = files, {}

    def stage(self, name: str, *, total: int | None, unit: str) -> None:
        self.name = name
        self.stage_total[name] = total

    def advance(self, n: int = 1, *, note: str = "", left_s: float | None = None, before: bool = False) -> None:
        if self.name == "ingest":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


def test_making_again_goes_on_where_it_was_stopped(packaged: Packaged, tmp_path: Path) -> None:
    project, folder, state = packaged.project, frozen(packaged), tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        verify(folder, project=project, deep=state, progress=_Stops(3))
    assert state.is_dir()
    again = _Stops(99)
    report = verify(folder, project=project, deep=state, progress=again)
    told = {check.name: check.detail for check in report.checks if check.name in ("made again", "gates again")}
    assert report.ok and again.stage_total["ingest"] == 2 and "each query, rule and quote" in told["made again"]
    assert len(told) == 2 and not state.exists()
    other = rewrite(project, "scenarios: 60", "scenarios: 50")
    checks = {check.name: check for check in verify(folder, project=other, deep=True).checks}
    assert checks["made again"].detail.startswith("not done") and not checks["made again"].looked_at
