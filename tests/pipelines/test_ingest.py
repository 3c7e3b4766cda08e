"""Ingest from real small files: what is done again, what is accounted for, and what makes the answer no."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_project import CONFIG, FILES, KEYS, rewrite, write_project

from hrmbuild.config.loading import Project
from hrmbuild.errors import ConfigError
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.progress import SilentProgress
from hrmbuild.store.corpus import Corpus


def rows(project: Project) -> list[bytes]:
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        return [pair.canonical_bytes() for pair in corpus.pairs()]


def test_every_file_is_accounted_for(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    report = ingest(project)
    told = report.as_dict()
    assert told["sources"] == {"seen": 5, "read": 5, "unchanged": 0, "quarantined": 0}
    assert [one["path"] for one in told["files"]] == sorted(set(FILES) - {"hrmbuild.yaml"})
    assert all(one["made"] == one["kept"] + one["rejected"] for one in told["files"])
    assert told["pairs"]["made"] == told["pairs"]["kept"] + told["pairs"]["rejected"] > 50
    assert (report.exit_status, report.error, "error" in told) == (0, None, False)


def test_twice_changes_nothing_not_even_the_file(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    first = ingest(project)
    before = project.corpus_path.read_bytes()
    second = ingest(project)
    assert project.corpus_path.read_bytes() == before
    assert (second.redone, second.read, second.unchanged) == ((), 0, 5)
    assert second.balance == first.balance


def test_a_changed_file_redoes_itself_alone(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    ingest(project)
    write_project(tmp_path, {"policies/house/keys.md": KEYS + "\n1.4 The porter must lock the gate at 20:00.\n"})
    assert ingest(project).redone == ("policies/house/keys.md",)
    assert any(b"lock the gate" in row for row in rows(project))


def test_a_removed_file_takes_its_pairs_along(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    ingest(project)
    assert any(b"badge" in row for row in rows(project))
    (tmp_path / "policies/house/keys.md").unlink()
    report = ingest(project)
    assert (report.dropped, report.redone) == (("policies/house/keys.md",), ())
    assert not any(b"badge" in row for row in rows(project))


def test_a_moved_declaration_or_a_new_owner_compiles_nothing(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    ingest(project)
    moved = rewrite(rewrite(project, "seed: 3", "# a remark\nseed: 3"), "compliance@", "legal@")
    assert ingest(moved).redone == ()
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        keys = next(one.source for one in corpus.sources() if one.source.path.endswith("keys.md"))
    assert (keys.owner, keys.declared_by) == ("legal@small.example", "hrmbuild.yaml:5")


def test_settings_of_an_entry_redo_its_files_alone(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    ingest(project)
    changed = rewrite(project, "label: confidential", "label: restricted")
    assert ingest(changed).redone == ("memos/printer.txt", "memos/storm.md")


def test_an_own_template_redoes_what_templates_made(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    ingest(project)
    template = {"own/prose/duty/form_1.j2": "What must {{ who }} do?"}
    changed = rewrite(write_project(tmp_path, template), "seed: 3", "templates: own\nseed: 3")
    assert len(ingest(changed).redone) == 5


def test_a_missing_template_folder_is_an_error_of_the_settings(tmp_path: Path) -> None:
    project = rewrite(write_project(tmp_path), "seed: 3", "templates: nowhere\nseed: 3")
    with pytest.raises(ConfigError, match="no folder nowhere"):
        ingest(project)


def test_names_that_cannot_be_hashed_are_errors_of_the_settings(tmp_path: Path) -> None:
    project = rewrite(write_project(tmp_path), "    label: confidential", "    stratum: \U0001f600")
    with pytest.raises(ConfigError) as caught:
        ingest(project)
    assert (caught.value.code, caught.value.where) == ("config.name_not_hashable", "hrmbuild.yaml:8")


def test_max_pairs_caps_each_file_and_is_counted(tmp_path: Path) -> None:
    project = rewrite(write_project(tmp_path), "variant_scenarios: 4}", "variant_scenarios: 4}\n    max_pairs: 7")
    report = ingest(project)
    parking = next(one for one in report.sources if one.source.path == "rules/parking.yaml")
    assert report.balance.reasons["corpus.cap"] == parking.reasons["corpus.cap"] > 0
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        ids = {pair.id for pair in corpus.pairs_of(["rules/parking.yaml"], limit=1000)}
    assert len(ids) == 7


def test_an_unreadable_file_is_quarantined_and_the_rest_goes_on(tmp_path: Path) -> None:
    project = write_project(tmp_path, {**FILES, "memos/photo.png": "no text", "memos/empty.md": ""})
    (tmp_path / "memos/photo.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    report = ingest(project)
    assert (report.exit_status, report.seen, report.read) == (0, 7, 7 - len(report.quarantined))
    assert ("memos/photo.png", "read.unknown_format") in [(path, why.split(":")[0]) for path, why in report.quarantined]
    strict = ingest(project, strict=True)
    assert (strict.exit_status, strict.errors[0].code) == (1, "ingest.quarantined")
    assert strict.unchanged == report.read


def test_a_source_that_matches_no_file_and_a_corpus_without_pairs_say_no(tmp_path: Path) -> None:
    config = "name: t\nsources: [{path: memos, kind: memos}, {path: tables/*.csv, kind: tables}]"
    project = write_project(tmp_path, {"hrmbuild.yaml": config, "memos/empty.md": "Hello.\n"})
    report = ingest(project)
    assert [error.code for error in report.errors] == ["ingest.no_file", "ingest.no_pair"]
    assert report.exit_status == 1 and report.as_dict()["error"]["more"][0]["code"] == "ingest.no_pair"
    assert report.error is not None and "there is no tables" in report.error.what


def test_a_dry_run_and_a_preview_write_nothing(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    dry = ingest(project, dry_run=True)
    assert not project.corpus_path.exists() and dry.balance.kept > 0
    ingest(project)
    before = project.corpus_path.read_bytes()
    (tmp_path / "memos/storm.md").unlink()
    shown = ingest(project, preview=2)
    assert project.corpus_path.read_bytes() == before
    assert shown.dropped == ("memos/storm.md",)
    per_entry = {
        line: [p for p in shown.previews if p.declared_by == line] for line in {p.declared_by for p in shown.previews}
    }
    assert {line: len(pairs) for line, pairs in per_entry.items()} == {f"hrmbuild.yaml:{n}": 2 for n in (4, 8, 13)}
    assert all(path and place and text for pair in shown.previews for path, place, text in pair.evidence)
    assert len(shown.as_dict()["preview"]) == 6


class StopAfter(SilentProgress):
    """Interrupts the run when some files are done."""

    def __init__(self, n_files: int) -> None:
        super().__init__()
        self.left = n_files

    def advance(self, n: int = 1, *, note: str = "") -> None:
        self.left -= n
        if self.left <= 0:
            raise KeyboardInterrupt


def test_an_interrupted_ingest_goes_on_and_ends_where_an_undisturbed_one_does(tmp_path: Path) -> None:
    whole, cut = write_project(tmp_path / "whole"), write_project(tmp_path / "cut")
    ingest(whole)
    with pytest.raises(KeyboardInterrupt):
        ingest(cut, progress=StopAfter(3))
    with Corpus.open(cut.corpus_path, read_only=True) as corpus:
        assert not corpus.is_settled(labels=cut.config.labels, seed=cut.config.seed)
        assert len(corpus.unit_keys()) == 3
    assert ingest(cut).redone == ("policies/travel.md", "rules/parking.yaml")
    assert rows(cut) == rows(whole)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from hrmbuild.config.loading import load_project
from hrmbuild.pipelines.ingest import ingest
import threading
threading.Timer(float(sys.argv[2]), lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
ingest(load_project(Path(sys.argv[1])))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.chaos
@pytest.mark.parametrize("delay_s", [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5])
def test_a_kill_at_any_instant_leaves_a_corpus_that_ends_the_same(tmp_path: Path, delay_s: float) -> None:
    whole, cut = write_project(tmp_path / "whole"), write_project(tmp_path / "cut")
    ingest(whole)
    arguments = [str(cut.config_path), str(delay_s), str(Path(__file__).parent)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert done.returncode == -signal.SIGKILL
    ingest(cut)
    assert rows(cut) == rows(whole)


POOL = {name: text for name, text in FILES.items() if name.startswith(("policies", "memos"))}
edits = st.lists(
    st.tuples(st.sampled_from(sorted(POOL)), st.sampled_from(["write", "change", "remove", "copy"])), max_size=6
)


WITHOUT_RULES = CONFIG[: CONFIG.index("  - path: rules")]
quietly = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(quietly, max_examples=2)
@given(rounds=st.lists(edits, min_size=1, max_size=3))
def test_incremental_ingest_equals_a_fresh_one(tmp_path: Path, rounds: list[list[tuple[str, str]]]) -> None:
    check_incremental(tmp_path, rounds)


@pytest.mark.slow
@settings(quietly, max_examples=200)
@given(rounds=st.lists(edits, min_size=1, max_size=4))
def test_incremental_ingest_equals_a_fresh_one_200_times(tmp_path: Path, rounds: list[list[tuple[str, str]]]) -> None:
    check_incremental(tmp_path, rounds)


def check_incremental(folder: Path, rounds: list[list[tuple[str, str]]]) -> None:
    shutil.rmtree(folder)
    project = write_project(folder, {"hrmbuild.yaml": WITHOUT_RULES, **POOL})
    for number, changes in enumerate(rounds):
        for name, edit in changes:
            apply_edit(folder / name, edit, text=POOL[name], number=number)
        balance = ingest(project).balance
    incremental = rows(project)
    project.corpus_path.unlink()
    assert ingest(project).balance == balance
    assert rows(project) == incremental


def apply_edit(path: Path, edit: str, *, text: str, number: int) -> None:
    if edit == "write":
        path.write_text(text)
    elif edit == "change":
        path.write_text(text.replace("days", f"{number + 5} days"))
    elif edit == "copy":
        path.with_stem(f"{path.stem}-{number}").write_text(text)
    else:
        path.unlink(missing_ok=True)


FULL = """
import resource, sys
from pathlib import Path
from hrmbuild.config.loading import load_project
from hrmbuild.errors import InputError
from hrmbuild.pipelines.ingest import ingest
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    ingest(load_project(Path(sys.argv[1])))
except InputError as error:
    print(error.code, "|", error.fix)
"""


@pytest.mark.parametrize("n_bytes", [4_000, 60_000])
def test_a_full_disk_is_one_clear_message_and_the_next_ingest_goes_on(tmp_path: Path, n_bytes: int) -> None:
    project = write_project(tmp_path)
    command = [sys.executable, "-c", FULL, str(project.config_path), str(n_bytes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("disk.full | free some space"), done.stderr
    assert ingest(project).balance.kept > 50
