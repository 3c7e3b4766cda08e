"""Freeze: what it wants, what it writes, and that the same corpus gives the same bytes."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from small_project import FILES, FLOOD, rewrite, write_project

from hrmbuild.audit.evidence import EVIDENCE_NAMES, read_evidence, read_rejections, read_rows, read_salts
from hrmbuild.audit.manifest import read_manifest
from hrmbuild.config.loading import Project, load_project
from hrmbuild.errors import AnswerIsNoError, ConfigError, HrmbuildError, InputError, UsageError
from hrmbuild.pipelines.freeze import FreezeReport, freeze, is_frozen_as
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.manifests import all_manifests, current_manifest
from hrmbuild.records.pair import SPLITS
from hrmbuild.tokens.tokenizer import load_tokenizer


def frozen(project: Project) -> FreezeReport:
    ingest(project)
    return freeze(project)


@pytest.fixture(scope="module")
def frozen_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was ingested and frozen."""
    folder = tmp_path_factory.mktemp("frozen") / "project"
    frozen(write_project(folder))
    return folder


@pytest.fixture
def project(frozen_once: Path, tmp_path: Path) -> Project:
    """A copy in `tmp_path` that a test may change."""
    shutil.copytree(frozen_once, tmp_path, dirs_exist_ok=True)
    return load_project(tmp_path / "hrmbuild.yaml")


def folder_of(project: Project) -> Path:
    """Its one manifest."""
    (folder,) = all_manifests(project)
    return folder


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_manifest_holds_exactly_the_kept_pairs_with_their_tokens(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    told, report = ingest(project), freeze(project)
    manifest = read_manifest(report.folder)
    assert report.folder.name == manifest.content_root[:12] and current_manifest(project) == report.folder
    assert report.n_pairs == told.balance.distinct_pairs == sum(1 for _ in read_evidence(report.folder))
    assert [entry.source.path for entry in manifest.sources] == sorted(set(FILES) - {"hrmbuild.yaml"})
    assert sum(entry.kept for entry in manifest.sources) == told.balance.kept
    assert (manifest.label, manifest.lineage, manifest.name, manifest.seed) == ("confidential", "complete", "small", 3)
    tokenizer = load_tokenizer(report.folder / "tokenizer.json")
    n_tokens = sum(len(tokenizer.encode(row["response"])) for row in read_rows(report.folder, "train"))
    assert manifest.splits["train"].response_tokens == n_tokens > 0
    assert set(bytes_of(report.folder)) == {*EVIDENCE_NAMES, "manifest.json", "manifest.sha256"}


def test_freezing_again_writes_nothing(project: Project) -> None:
    folder = folder_of(project)
    times = {path: path.stat().st_mtime_ns for path in project.manifests_folder.rglob("*")}
    second = freeze(project)
    assert (second.folder, second.unchanged) == (folder, True)
    assert {path: path.stat().st_mtime_ns for path in project.manifests_folder.rglob("*")} == times


def test_freezing_again_restores_what_was_damaged_and_nothing_else(project: Project) -> None:
    folder = folder_of(project)
    before = bytes_of(folder)
    (folder / "pairs.parquet").write_bytes(b"PAR1")
    (folder / "tokenizer.json").unlink()
    (folder / "manifest.sha256").unlink()
    (folder / "note.txt").write_text("mine")
    assert freeze(project).unchanged is False
    assert bytes_of(folder) == before | {"note.txt": b"mine"}
    assert freeze(project).unchanged is True


def test_the_folder_of_a_killed_freeze_is_no_manifest(project: Project) -> None:
    folder = folder_of(project)
    shutil.copytree(folder, project.manifests_folder / ".freeze.incomplete")
    assert all_manifests(project) == [folder]


def test_everything_is_for_the_owner_only(project: Project) -> None:
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder_of(project).iterdir()} == {0o600}


def test_a_corpus_made_again_gives_the_same_manifest_with_the_same_salts(project: Project) -> None:
    folder = folder_of(project)
    project.corpus_path.unlink()
    assert frozen(project).unchanged
    assert read_salts(folder).keys() == {row.id for row in read_evidence(folder)}


def test_salts_stay_when_other_pairs_come(project: Project, tmp_path: Path) -> None:
    before = read_salts(folder_of(project))
    write_project(tmp_path, {"memos/new.md": FLOOD})
    after = read_salts(frozen(project).folder)
    assert before.items() <= after.items() and len(after) > len(before)


def test_another_owner_is_another_manifest_of_the_same_content(project: Project) -> None:
    folder = folder_of(project)
    first, before = read_manifest(folder), bytes_of(folder)
    second = frozen(rewrite(project, "records@", "archive@"))
    assert second.manifest.content_root == first.content_root
    assert second.folder != folder and second.folder.name.startswith(folder.name)
    assert (read_manifest(folder), bytes_of(folder)) == (first, before) and current_manifest(project) == second.folder


def test_a_manifest_is_current_until_corpus_settings_or_owners_change(project: Project, tmp_path: Path) -> None:
    folder = folder_of(project)
    assert is_frozen_as(project, folder)
    longer = rewrite(project, "seed: 3", "train: {steps: 9}\nseed: 3")
    ingest(longer)
    assert is_frozen_as(longer, folder)  # the entries stand on other lines now, and nothing else
    assert is_frozen_as(longer, frozen(longer).folder)
    project.corpus_path.unlink()
    ingest(longer)
    assert is_frozen_as(longer, freeze(longer).folder)
    (tmp_path / "memos/storm.md").unlink()
    assert is_frozen_as(longer, freeze(longer).folder)
    ingest(longer)
    assert not is_frozen_as(longer, current_manifest(longer) or folder)


def test_the_number_of_steps_is_no_other_corpus(tmp_path: Path) -> None:
    project = rewrite(write_project(tmp_path), "seed: 3", "seed: 3\ntrain: {steps: 9}")
    folder = frozen(project).folder
    longer = rewrite(project, "steps: 9", "steps: 10")
    assert is_frozen_as(longer, folder) and frozen(longer).unchanged
    assert not is_frozen_as(rewrite(longer, "{steps: 10}", "{preset: tiny}"), folder)


def test_max_label_leaves_pairs_out_and_counts_them(project: Project, tmp_path: Path) -> None:
    whole = read_manifest(folder_of(project))
    report = freeze(project, out=tmp_path / "internal", max_label="internal")
    manifest = report.manifest
    assert (manifest.label, manifest.max_label) == ("internal", "internal")
    assert manifest.left_out == sum(c.pairs for c in whole.splits.values()) - report.n_pairs > 0
    memos = [entry for entry in manifest.sources if entry.source.label == "confidential"]
    assert all(entry.kept == 0 and entry.left_out == entry.made - entry.rejected for entry in memos)
    assert all(one.text is None for one in read_rejections(report.folder) if one.path.startswith("memos/"))
    assert current_manifest(project) != report.folder


def test_every_entry_without_owner_or_licence_is_named(tmp_path: Path) -> None:
    project = rewrite(write_project(tmp_path), "    owner: compliance@small.example\n", "")
    project = rewrite(project, "    owner: desk@small.example\n    license: internal\n", "")
    ingest(project)
    with pytest.raises(ConfigError) as caught:
        freeze(project)
    errors = [caught.value, *caught.value.more]
    assert [error.where for error in errors] == ["hrmbuild.yaml:4", "hrmbuild.yaml:12"]
    assert "no owner" in errors[0].what and "no owner and no license" in errors[1].what


def wrong_order(project: Project, tmp_path: Path) -> None:
    freeze(project)


def changed_settings(project: Project, tmp_path: Path) -> None:
    ingest(project)
    freeze(rewrite(project, "seed: 3", "seed: 4"))


def unknown_label(project: Project, tmp_path: Path) -> None:
    ingest(project)
    freeze(project, max_label="secret")


def existing_folder(project: Project, tmp_path: Path) -> None:
    ingest(project)
    freeze(project, out=tmp_path / "memos")


def nothing_below_the_label(project: Project, tmp_path: Path) -> None:
    ingest(project)
    freeze(project, max_label="public")


@pytest.mark.parametrize(
    ("mistake", "kind", "code", "hint"),
    [
        (wrong_order, InputError, "store.missing", "hrmbuild ingest"),
        (changed_settings, InputError, "freeze.stale_corpus", "hrmbuild ingest"),
        (unknown_label, UsageError, "freeze.unknown_label", "confidential"),
        (existing_folder, UsageError, "freeze.exists", "new folder"),
        (nothing_below_the_label, AnswerIsNoError, "freeze.no_train_pair", "--max-label"),
    ],
)
def test_a_mistake_gives_one_clear_message(
    tmp_path: Path, mistake: object, kind: type[HrmbuildError], code: str, hint: str
) -> None:
    project = write_project(tmp_path)
    assert callable(mistake)
    with pytest.raises(kind) as caught:
        mistake(project, tmp_path)
    assert (caught.value.code, hint in str(caught.value.fix)) == (code, True)
    assert not list(tmp_path.rglob("*.incomplete"))


def test_an_ingest_that_was_cut_off_cannot_be_frozen(tmp_path: Path) -> None:
    from test_ingest import StopAfter

    project = write_project(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        ingest(project, progress=StopAfter(2))
    with pytest.raises(InputError, match="did not finish"):
        freeze(project)


FROZEN = """
import sys
from pathlib import Path
from hrmbuild.config.loading import load_project
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
project = load_project(Path(sys.argv[1]))
ingest(project)
manifest = freeze(project).manifest
print(manifest.content_root, manifest.tokenizer.sha256)
"""


def test_locale_time_zone_hash_seed_and_threads_change_nothing(frozen_once: Path, tmp_path: Path) -> None:
    report = freeze(load_project(frozen_once / "hrmbuild.yaml"))
    other = write_project(tmp_path / "there")
    changes = {"LC_ALL": "C", "LANG": "C", "TZ": "Pacific/Auckland", "PYTHONHASHSEED": "12345", "PYTHONUTF8": "0",
               "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}  # fmt: skip
    command = [sys.executable, "-c", FROZEN, str(other.config_path)]
    done = subprocess.run(command, env={**os.environ, **changes}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [report.manifest.content_root, report.manifest.tokenizer.sha256]
    mine, theirs = bytes_of(report.folder), bytes_of(other.manifests_folder / report.folder.name)
    for name in ("tokenizer.json", "rejections.parquet", "row.schema.json", "check.py"):
        assert mine[name] == theirs[name], name
    assert [list(read_rows(report.folder, split)) for split in SPLITS] == [
        list(read_rows(other.manifests_folder / report.folder.name, split)) for split in SPLITS
    ]
