"""A mix of strata through `train` and `verify`: what it resolves to, what a run sees, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hrmbuild.config.loading import Project, load_project
from hrmbuild.errors import ConfigError, UsageError
from hrmbuild.pipelines.coverage import coverage_of
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.progress import SilentProgress
from hrmbuild.pipelines.train import TrainReport, train
from hrmbuild.pipelines.train_corpus import frozen_corpus, token_data
from hrmbuild.pipelines.train_mix import run_repeats
from hrmbuild.pipelines.verify import verify
from hrmbuild.training.feed import trained_slots

SETTINGS = """
name: mixed
sources:
  - {path: maths.jsonl, kind: pairs, stratum: maths, owner: o@company.example, license: internal}
  - {path: general-*.jsonl, kind: pairs, stratum: general, owner: o@company.example, license: internal}
train:
  preset: nano
  steps: 9
  batch_tokens: 512
  threads: 1
  dtype: float32
  eval_pairs: 2
  eval_every_steps: 9
"""
MIX = "  mix: {strata: {maths: {weight: 1}, general: {weight: 3, max_pairs_per_file: 60}}}\n"


def sums(first: int, n: int) -> str:
    rows = [{"instruction": f"What is {i} plus {i % 7}?", "response": f"{i + i % 7}."} for i in range(first, first + n)]
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed")
    for name, first, n in (("maths", 0, 40), ("general-a", 1000, 100), ("general-b", 2000, 150)):
        (folder / f"{name}.jsonl").write_text(sums(first, n))
    (folder / "hrmbuild.yaml").write_text(SETTINGS)
    project = load_project(folder / "hrmbuild.yaml")
    ingest(project)
    freeze(project)
    return folder


def with_mix(frozen: Path, folder: Path, mix: str) -> Project:
    shutil.copytree(frozen, folder, dirs_exist_ok=True)
    (folder / "hrmbuild.yaml").write_text(SETTINGS + mix)
    return load_project(folder / "hrmbuild.yaml")


@pytest.fixture(scope="module")
def trained(frozen: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, TrainReport, list[str]]:
    project, progress = with_mix(frozen, tmp_path_factory.mktemp("trained"), MIX), SilentProgress()
    return project, train(project, progress=progress), progress.messages


def checks(project: Project, report: TrainReport, *, deep: bool = False) -> dict[str, str]:
    found = verify(report.folder, project=project, deep=deep)
    return {one.name: one.detail for one in found.checks if one.name in ("mix", "batches", "token files")} | {
        f"bad {one.name}": one.detail for one in found.checks if not one.ok
    }


def test_weights_are_shares_of_the_epoch_and_the_scarcest_stratum_is_whole(trained) -> None:
    _, report, _ = trained
    mix = report.record.config.mix
    assert mix is not None and list(mix.strata) == ["general", "maths"]
    assert mix.strata["maths"].shown_millionths == 1_000_000 or mix.strata["general"].shown_millionths == 1_000_000
    assert mix.strata["general"].max_pairs_per_file == 60
    shares = {one.name: one.epoch_share for one in report.coverage.strata}
    assert shares["general"] == pytest.approx(0.75, abs=0.03) and shares["maths"] == pytest.approx(0.25, abs=0.03)


def test_the_coverage_table_is_told_before_training_and_adds_up(trained) -> None:
    _, report, messages = trained
    told = report.as_dict()["coverage"]
    assert told["strata"].keys() == {"general", "maths"}
    assert told["sources"].keys() == {"general-a.jsonl", "general-b.jsonl", "maths.jsonl"}
    for rows in (told["strata"], told["sources"]):
        assert sum(row["epoch_share"] for row in rows.values()) == pytest.approx(1, abs=1e-5)
        for row in rows.values():
            assert row["least"] <= row["seen"] <= row["most"] and (row["never"] == 0) == (row["least"] > 0)
    general = [told["sources"][f"general-{x}.jsonl"] for x in "ab"]
    assert sum(row["never"] for row in general) == told["strata"]["general"]["never"]
    table = [message for message in messages if message.startswith(("coverage", "stratum", "file"))]
    assert len(table) == 6 and messages.index(table[0]) > 0
    assert report.coverage.scaled in messages and "is scarcest for its weight" in str(report.coverage.scaled)


def test_verify_makes_mix_and_order_again(trained) -> None:
    project, report, _ = trained
    found = checks(project, report, deep=True)
    assert not [name for name in found if name.startswith("bad")]
    assert found["batches"].startswith("9 steps") and "maths" in found["mix"] and "same bytes" in found["token files"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda config: config["mix"]["strata"]["general"].update(shown_millionths=5), "bad mix"),
        (lambda config: config["mix"]["strata"].pop("maths"), "bad mix"),
        (lambda config: config.pop("mix"), "bad batches"),
        (lambda config: config.update(seed=7), "bad batches"),
    ],
)
def test_a_run_that_names_another_mix_than_it_trained_on_is_found(
    trained, tmp_path: Path, change: Callable[[dict[str, object]], object], named: str
) -> None:
    project, report, _ = trained
    run = Path(shutil.copytree(report.folder, tmp_path / "run"))
    record = json.loads((run / "run.json").read_text())
    change(record["config"])
    (run / "run.json").write_text(json.dumps(record))
    found = verify(run, project=project)
    assert named in {f"bad {one.name}" for one in found.checks if not one.ok}


def test_a_run_without_a_mix_keeps_the_hash_of_its_settings(frozen: Path, tmp_path: Path) -> None:
    project = with_mix(frozen, tmp_path, "")
    report = train(project, steps=2)
    assert "mix" not in json.loads((report.folder / "run.json").read_text())["config"]
    assert "bad mix" not in checks(project, report)


def test_epochs_take_other_pairs_until_all_were_seen(frozen: Path, tmp_path: Path) -> None:
    project = with_mix(frozen, tmp_path, "  mix: {max_pairs_per_file: 20}\n")
    short = train(project, steps=2)
    frozen_again = frozen_corpus(project, manifest=None, corpus=None, progress=SilentProgress())
    data, config = token_data(project, frozen_again, progress=SilentProgress()), short.record.config
    slots = trained_slots(data.splits["train"], config.model.context_tokens)
    repeats = run_repeats(frozen_again.manifest, data, slots, mix=config.mix, seed=config.seed)
    longer = config.model_copy(update={"steps": 24})
    few, many = short.coverage, coverage_of(frozen_again.manifest, data, longer, repeats=repeats)
    assert few.epochs < many.epochs
    assert sum(one.never for one in few.strata) > 0 == sum(one.never for one in many.strata)
    assert max(one.most for one in many.sources) - min(one.least for one in many.sources) <= np.ceil(many.epochs)


@pytest.mark.parametrize(
    ("mix", "code", "fix"),
    [
        ("{strata: {mathss: {repeat: 2}}}", "train.mix_unknown_stratum", "did you mean 'maths'?"),
        ("{strata: {maths: {weight: 1}}}", "train.mix_weight_missing", "add general: {weight"),
        ("{epoch_tokens: 1000000}", "train.mix_not_enough", "repeat what is short"),
        (
            "{strata: {maths: {weight: 1}, general: {weight: 1}}, epoch_tokens: 9000}",
            "train.mix_not_enough",
            "maths: {",
        ),
        ("{strata: {maths: {weight: 1e-9}, general: {weight: 1}}}", "train.mix_zero", "more weight"),
    ],
)
def test_a_mix_that_cannot_be_is_refused_with_the_way_out(
    frozen: Path, tmp_path: Path, mix: str, code: str, fix: str
) -> None:
    with pytest.raises(UsageError) as caught:
        train(with_mix(frozen, tmp_path, f"  mix: {mix}\n"), steps=1)
    assert caught.value.code == code and fix in str(caught.value.fix)


@pytest.mark.parametrize(
    "mix", ["{strata: {maths: {weight: 0}}}", "{strata: {maths: {wieght: 1}}}", "{epoch_tokens: 0}"]
)
def test_a_mix_that_makes_no_sense_is_named_with_its_line(frozen: Path, tmp_path: Path, mix: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_mix(frozen, tmp_path, f"  mix: {mix}\n")
    assert "hrmbuild.yaml:" in str(caught.value.where)
