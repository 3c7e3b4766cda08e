"""`train` on a small frozen corpus: what it refuses, what it leaves, and how it goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pytest
from safetensors.torch import load_file

from hrmbuild.config.loading import Project, load_project
from hrmbuild.config.presets import PRESETS
from hrmbuild.errors import AnswerIsNoError, InputError, UsageError
from hrmbuild.inference.weight_files import write_weights
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.progress import SilentProgress
from hrmbuild.pipelines.train import TrainReport, train
from hrmbuild.tokens.tokenizer import train_tokenizer

REPOSITORY = Path(__file__).resolve().parents[2]
SETTINGS = """
name: small
sources:
  - path: rules/*.yaml
    kind: rules
    owner: owner@company.example
    license: internal
    rules: {scenarios: 120, variants: 6, variant_scenarios: 10}
train: {preset: nano, steps: 3, batch_tokens: 1024, threads: 1, dtype: float32, eval_pairs: 4, eval_every_steps: 3}
"""


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder with a corpus and a manifest."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "rules").mkdir()
    shutil.copy(REPOSITORY / "examples" / "rules" / "travel-expenses.yaml", folder / "rules")
    (folder / "hrmbuild.yaml").write_text(SETTINGS)
    project = load_project(folder / "hrmbuild.yaml")
    ingest(project)
    freeze(project)
    return folder


@pytest.fixture
def project(frozen: Path, tmp_path: Path) -> Project:
    """A copy that a test may spoil."""
    shutil.copytree(frozen, tmp_path / "project")
    return load_project(tmp_path / "project" / "hrmbuild.yaml")


def with_settings(project: Project, old: str, new: str) -> Project:
    text = project.config_path.read_text()
    assert old in text
    project.config_path.write_text(text.replace(old, new))
    return load_project(project.config_path)


def manifest_of(project: Project) -> Path:
    return next(path for path in project.manifests_folder.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def trained(frozen: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, TrainReport, list[str]]:
    """A finished run, with what was told."""
    folder = tmp_path_factory.mktemp("trained") / "project"
    shutil.copytree(frozen, folder)
    project, progress = load_project(folder / "hrmbuild.yaml"), SilentProgress()
    return project, train(project, progress=progress), progress.messages


def test_a_run_leaves_its_record_metrics_checkpoints_plot_and_result(trained) -> None:
    project, report, messages = trained
    assert report.folder.parent == project.runs_folder
    names = {path.name for path in report.folder.iterdir()}
    written = {"run.json", "metrics.jsonl", "events.jsonl", "checkpoints", "loss.svg", "report.html", "result.json"}
    assert names == written | {"lock"}
    record = json.loads((report.folder / "run.json").read_text())
    assert record["machine"] == {
        "device": "cpu", "ranks": 1, "threads": 1, "attention": "rows",
        "instruction_set": record["machine"]["instruction_set"], "torch": record["machine"]["torch"],
    }  # fmt: skip
    assert (record["lineage"], record["config"]["dtype"], record["config"]["steps"]) == ("complete", "float32", 3)
    assert str(project.folder) not in (report.folder / "run.json").read_text()
    for told in (f"content root {record['config']['content_root']}", "attention rows", "1 threads", "3 steps of 1,024"):
        assert any(told in message for message in messages), told


def test_the_report_has_the_promised_keys(trained) -> None:
    _, report, _ = trained
    values = report.as_dict()
    assert {"steps", "loss", "dev", "tokens_per_s", "run"} <= values.keys()
    assert values["dev"]["n_pairs"] == 4 and values["steps"] == 3


def test_the_same_run_twice_gives_the_same_weights(trained, project: Project) -> None:
    _, report, _ = trained
    again = train(project)
    assert (again.result.weights_sha256, again.result.ema_sha256) == (
        report.result.weights_sha256,
        report.result.ema_sha256,
    )
    assert again.folder.name == report.folder.name


def test_an_existing_run_is_an_error_that_offers_resume_and_out(trained) -> None:
    project, report, _ = trained
    with pytest.raises(UsageError) as caught:
        train(project)
    assert (caught.value.code, caught.value.where) == ("train.run_exists", str(report.folder))
    assert "--out" in str(caught.value.fix) and "finished already" in caught.value.what


def test_resuming_a_finished_run_computes_nothing(trained) -> None:
    project, report, _ = trained
    again = train(project, resume=True)
    assert again.unchanged and again.result == report.result


def test_resume_without_a_run_starts_at_0_and_says_so(project: Project) -> None:
    progress = SilentProgress()
    report = train(project, resume=True, steps=1, progress=progress)
    assert report.result.steps == 1
    assert "there is nothing to go on with: the run starts at step 0" in progress.messages


def test_going_on_after_a_kill_before_the_first_checkpoint_starts_at_0_and_ends_the_same(trained, project) -> None:
    _, report, _ = trained
    shutil.copytree(report.folder, project.runs_folder / report.folder.name)
    run = project.runs_folder / report.folder.name
    (run / "result.json").unlink()
    shutil.rmtree(run / "checkpoints")
    progress = SilentProgress()
    assert train(project, resume=True, progress=progress).result.ema_sha256 == report.result.ema_sha256
    assert "there is no complete checkpoint: the run starts again at step 0" in progress.messages


def test_a_run_goes_on_with_its_own_settings_only(trained, tmp_path: Path) -> None:
    project, report, _ = trained
    copied = tmp_path / "run"
    shutil.copytree(report.folder, copied)
    with pytest.raises(UsageError, match="steps was 3, is 4"):
        train(project, out=copied, resume=True, steps=4)


def test_a_manifest_with_another_byte_is_refused(project: Project) -> None:
    path = manifest_of(project) / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"seed":0', b'"seed":1'))
    with pytest.raises(InputError) as caught:
        train(project)
    assert (caught.value.code, caught.value.exit_status) == ("manifest.altered", 3)


@pytest.mark.parametrize("name", ["pairs.parquet", "tokenizer.json", "rejections.parquet"])
def test_altered_evidence_is_refused_by_name(project: Project, name: str) -> None:
    path = manifest_of(project) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        train(project)
    assert (caught.value.code, caught.value.where) == ("evidence.altered", str(path))


def test_training_needs_no_salts(project: Project) -> None:
    (manifest_of(project) / "salts.parquet").unlink()
    assert train(project, steps=1).result.steps == 1


def test_a_corpus_that_lost_a_frozen_pair_is_refused_with_the_way_out(project: Project) -> None:
    with duckdb.connect(str(project.corpus_path)) as connection:
        connection.execute("DELETE FROM pair WHERE id = (SELECT min(id) FROM pair WHERE split = 'train')")
    with pytest.raises(InputError) as caught:
        train(project)
    assert (caught.value.code, caught.value.exit_status) == ("train.corpus_mismatch", 3)
    assert "hrmbuild freeze" in str(caught.value.fix)


def test_training_needs_no_corpus_beside_the_manifest(project: Project) -> None:
    project.corpus_path.unlink()
    assert train(project, steps=1).result.steps == 1


def test_without_a_manifest_the_corpus_is_frozen_first_and_the_root_is_told(project: Project) -> None:
    name = manifest_of(project).name
    shutil.rmtree(project.manifests_folder)
    progress = SilentProgress()
    report = train(project, steps=1, progress=progress)
    assert progress.messages[0] == f"no manifest yet: froze the corpus into {project.manifests_folder / name}"
    assert progress.messages[1].endswith(report.record.config.content_root)


def test_altered_token_files_are_written_again_from_the_manifest(trained, project: Project) -> None:
    _, report, _ = trained
    train(project, steps=1)
    path = next((project.work / "token-files").glob("*/train/tokens.bin"))
    good = path.read_bytes()
    path.write_bytes(good[:-2] + b"\x09\x00")
    progress = SilentProgress()
    assert train(project, progress=progress).result.weights_sha256 == report.result.weights_sha256
    assert path.read_bytes() == good
    assert any("written again from the manifest" in message for message in progress.messages)


def test_pairs_over_the_context_stop_the_run_and_are_listed_by_source(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "nano", PRESETS["nano"].model_copy(update={"context_tokens": 64}))
    with pytest.raises(AnswerIsNoError) as caught:
        train(project)
    assert (caught.value.code, caught.value.exit_status) == ("train.too_long_for_context", 1)
    assert "rules/travel-expenses.yaml: " in str(caught.value.why) and "tiny" in str(caught.value.fix)


def test_a_step_that_cannot_hold_a_pair_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "nano", PRESETS["nano"].model_copy(update={"batch_tokens": 64}))
    with pytest.raises(UsageError, match="does not fit into a step of 64") as caught:
        train(with_settings(project, "batch_tokens: 1024, ", ""))
    assert caught.value.code == "train.batch_too_small" and "train.batch_tokens" in str(caught.value.fix)


def test_an_unknown_preset_names_the_nearest(project: Project) -> None:
    with pytest.raises(UsageError, match="'nanno' is no preset") as caught:
        train(project, preset="nanno")
    assert (caught.value.code, caught.value.fix) == ("train.unknown_preset", "did you mean 'nano'?")


def test_repeated_sources_stand_in_an_epoch_as_often_as_they_repeat(trained, project: Project) -> None:
    _, report, _ = trained
    repeated = with_settings(project, "license: internal", "license: internal\n    repeat: 3")
    ingest(repeated)
    freeze(repeated)
    again = train(repeated, steps=1)
    assert again.record.epoch_tokens == 3 * report.record.epoch_tokens
    assert list(again.record.config.repeats.values()) == [3]


def test_a_baseline_architecture_trains_too(project: Project) -> None:
    assert train(project, arch="transformer", steps=1).record.config.model.arch == "transformer"


@pytest.mark.parametrize("place", [".", "hrmbuild.yaml"])
def test_a_folder_that_holds_something_else_is_refused_and_left_as_it_is(project: Project, place: str) -> None:
    out = project.folder / place
    before = sorted(path.name for path in project.folder.rglob("*"))
    with pytest.raises(UsageError) as caught:
        train(project, steps=1, out=out)
    assert (caught.value.code, caught.value.where) == ("train.folder_taken", str(out))
    assert {path.name for path in project.folder.rglob("*")} - set(before) <= written_before_a_run(project)


def test_what_a_kill_left_before_the_first_record_is_gone_on_with(project: Project, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in ("lock", ".run.json.incomplete"):
        (tmp_path / "run" / name).write_text("")
    assert train(project, steps=1, out=tmp_path / "run").result.steps == 1


def written_before_a_run(project: Project) -> set[str]:
    """Token files: they belong to the corpus, not to a run."""
    folder = project.work / "token-files"
    return {"token-files"} | {path.name for path in folder.rglob("*")}


def as_released(report: TrainReport, project: Project, folder: Path) -> Path:
    """The run's averaged weights as a folder that others could have released."""
    ema = load_file(report.folder / "checkpoints" / report.result.checkpoint / "ema.safetensors")
    write_weights(ema, folder)
    shutil.copy(manifest_of(project) / "tokenizer.json", folder)
    return folder


def test_a_run_may_start_from_given_weights_and_says_that_its_lineage_is_partial(trained, tmp_path: Path) -> None:
    project, report, _ = trained
    folder = as_released(report, project, tmp_path / "released")
    started = train(project, steps=1, out=tmp_path / "run", init_from=folder)
    assert started.record.config.init_weights_sha256 == report.result.ema_sha256
    assert started.record.lineage.startswith(f"partial: initial weights {report.result.ema_sha256[:12]} of released")
    first = json.loads((report.folder / "metrics.jsonl").read_text().splitlines()[0])
    assert started.result.loss < first["loss"]


def test_weights_of_another_vocabulary_are_refused(trained, tmp_path: Path) -> None:
    project, report, _ = trained
    folder = as_released(report, project, tmp_path / "released")
    (folder / "tokenizer.json").write_bytes(train_tokenizer(["another text"] * 9, vocab_size=300))
    with pytest.raises(UsageError) as caught:
        train(project, out=tmp_path / "run", init_from=folder)
    assert caught.value.code == "train.other_vocabulary" and not (tmp_path / "run").exists()
