"""A plan against what is published, what training does, and what a corpus can carry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_project import rewrite, write_project

from hrmbuild.config.loading import Project, load_project
from hrmbuild.config.presets import PRESETS
from hrmbuild.config.sufficiency import sufficiency
from hrmbuild.errors import AnswerIsNoError, UsageError
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.ledger import Ledger
from hrmbuild.pipelines.ledger_entries import LedgerEntry
from hrmbuild.pipelines.plan import Wish, plan
from hrmbuild.pipelines.plan_corpus import counts_of
from hrmbuild.pipelines.plan_speed import published_mfu
from hrmbuild.pipelines.progress import SilentProgress
from hrmbuild.pipelines.train_corpus import frozen_corpus, token_data
from hrmbuild.pipelines.train_settings import Flags, plan_epoch, shape_for, train_settings
from hrmbuild.pipelines.train_sufficiency import accepted_reason
from hrmbuild.records.ledger import Closed, Opened

PAPER = Wish(preset="XL", gpus=16, gpu_type="H100", tokens=60e9)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = write_project(tmp_path_factory.mktemp("planned") / "project")
    ingest(project)
    freeze(project)
    return project


def test_tokens_by_flag_win_over_the_steps_of_a_projects_settings(tmp_path: Path) -> None:
    (tmp_path / "hrmbuild.yaml").write_text(
        "name: short\nsources: [{path: rules, kind: rules}]\ntrain: {steps: 20}\n", encoding="utf-8"
    )
    project = load_project(tmp_path / "hrmbuild.yaml")
    assert plan(project, PAPER).as_dict()["steps"] == round(60e9 / 196_608)


def test_XL_shows_the_published_hours_beside_its_own_within_a_tenth() -> None:
    shown = plan(None, PAPER).as_dict()
    assert (shown["published"]["hours"], shown["published"]["gpus"], shown["published"]["usd"]) == (46, 16, 1472)
    assert shown["hours"] == pytest.approx(46, rel=0.1)
    assert shown["cost_usd"] == pytest.approx(1472, rel=0.1)
    assert "46 hours" in shown["speed_from"]
    assert shown["mfu"] == pytest.approx(0.40, abs=0.005)
    assert shown["mfu"] == pytest.approx(published_mfu())
    assert shown["steps"] == round(60e9 / 196_608)
    assert shown["flops"] == pytest.approx(1.05e21, rel=0.06)


def test_times_scale_with_gpus_and_another_type_says_that_it_was_not_measured() -> None:
    one = plan(None, Wish(preset="XL", gpus=8, gpu_type="A100", tokens=60e9)).as_dict()
    two = plan(None, Wish(preset="XL", gpus=16, gpu_type="A100", tokens=60e9)).as_dict()
    assert one["hours"] == pytest.approx(2 * two["hours"])
    assert one["gpu_hours"] == pytest.approx(two["gpu_hours"])
    assert "not measured on A100-80" in one["speed_from"]
    assert one["energy_kwh"] == pytest.approx(0.4 * one["gpu_hours"])
    assert "upper bound" in one["energy_method"]


def entry(**changes: Any) -> LedgerEntry:
    opened = {
        "id": "a", "at": "2026-01-01T00:00:00+00:00", "kind": "train", "subject": "runs/x", "preset": "XL",
        "device": "NVIDIA H100 80GB HBM3", "ranks": 8, "dtype": "bfloat16", "hardware": "H100", "peak_tflops": 989.4,
    }  # fmt: skip
    closed = {"id": "a", "at": "2026-01-01T01:00:00+00:00", "outcome": "finished", "seconds": 3600.0, "steps": 100,
              "tokens": 1, "flops": 8 * 500e12 * 3000, "step_seconds": 3000.0}  # fmt: skip
    values = opened | {key: value for key, value in changes.items() if key in opened}
    ends = closed | {key: value for key, value in changes.items() if key in closed and key != "id"}
    return LedgerEntry(Opened.model_validate(values), None, Closed.model_validate(ends))


def write_entries(project: Project, *entries: LedgerEntry) -> None:
    ledger = Ledger(project)
    for number, one in enumerate(entries):
        assert one.closed is not None
        ledger.append(one.opened.model_copy(update={"id": str(number)}))
        ledger.append(one.closed.model_copy(update={"id": str(number)}))


def test_an_own_measurement_in_the_ledger_wins_and_is_named(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project")
    other = entry(preset="L", at="2026-02-01T00:00:00+00:00", subject="runs/l", flops=1e15)
    short = entry(steps=3, at="2026-03-01T00:00:00+00:00", subject="runs/short", flops=1e20)
    write_entries(project, entry(), other, short)
    shown = plan(project, PAPER).as_dict()
    assert shown["mfu"] == pytest.approx(500 / 989.4)
    assert "own measurement: runs/x (XL, 8 x H100, 100 steps)" in shown["speed_from"]
    assert shown["hours"] < 40
    elsewhere = plan(project, Wish(preset="XL", gpu_type="L40S", tokens=1e9)).as_dict()
    assert elsewhere["mfu"] == pytest.approx(published_mfu())


def test_a_plan_from_a_manifest_has_trainings_own_counts(frozen: Project) -> None:
    corpus = frozen_corpus(frozen, manifest=None, corpus=None, progress=SilentProgress())
    settings = train_settings(frozen, Flags())
    data = token_data(frozen, corpus, progress=SilentProgress())
    epoch = plan_epoch(corpus, data, settings, shape=shape_for(settings, ranks=1))
    found = plan(frozen, Wish())
    assert found.corpus.epoch_tokens == epoch.n_tokens
    assert found.steps == round(settings.epochs * epoch.n_steps)
    assert found.tokens == pytest.approx(settings.epochs * epoch.n_tokens, rel=0.01)
    assert plan(None, Wish(), manifest=corpus.folder).as_dict()["tokens"] == found.tokens


def test_repeats_count_in_an_epoch_and_not_as_unique(frozen: Project) -> None:
    manifest = frozen_corpus(frozen, manifest=None, corpus=None, progress=SilentProgress()).manifest
    twice = [one.model_copy(update={"source": one.source.model_copy(update={"repeat": 2})}) for one in manifest.sources]
    counts = counts_of(manifest.model_copy(update={"sources": tuple(twice)}), name="x")
    assert counts.epoch_tokens == 2 * counts.unique_tokens


@pytest.mark.parametrize(("gpus", "nearest"), [(16, None), (5, 4), (64, 16), (3, 2)])
def test_ranks_that_do_not_divide_a_step_name_the_nearest(gpus: int, nearest: int | None) -> None:
    shown = plan(None, Wish(preset="XL", gpus=gpus, gpu_type="H100", tokens=60e9)).as_dict()
    assert (shown["divides"], shown["nearest_gpus"]) == (nearest is None, nearest)
    assert any("do not divide" in warning for warning in shown["warnings"]) == (nearest is not None)


def test_a_model_that_fits_whole_is_ddp_and_one_that_does_not_is_sharded() -> None:
    small = plan(None, Wish(preset="small", gpus=2, gpu_type="RTX-4090", tokens=1e9))
    large = plan(None, Wish(preset="XL", gpus=8, gpu_type="L40S", tokens=60e9))
    assert (small.sharding, large.sharding) == ("ddp", "fsdp")
    assert small.largest_micro is not None
    assert small.largest_micro >= small.micro_tokens
    assert any("does not fit" in warning for warning in large.warnings)


def test_a_corpus_that_cannot_carry_the_preset_is_refused_with_what_it_can(frozen: Project) -> None:
    found = plan(frozen, Wish(preset="B", gpu_type="H100"))
    assert found.error is not None
    assert (found.error.code, found.error.exit_status) == ("plan.insufficient", 1)
    assert "base mix of" in str(found.error)
    assert found.as_dict()["error"]["code"] == "plan.insufficient"
    accepted = plan(frozen, Wish(preset="B", gpu_type="H100", accept_insufficient="a trial of the cluster"))
    assert accepted.error is None
    assert any("a trial of the cluster" in warning for warning in accepted.warnings)


def test_own_presets_are_never_refused_and_a_needless_reason_is_said(frozen: Project) -> None:
    for preset in ("nano", "tiny", "small"):
        assert plan(frozen, Wish(preset=preset)).error is None
    found = plan(frozen, Wish(preset="nano", accept_insufficient="why not"))
    assert any("none was needed" in warning for warning in found.warnings)


def test_the_papers_tokens_carry_XL_and_half_of_them_is_the_line() -> None:
    for tokens, carried in ((15_000_000_000, True), (7_600_000_000, True), (7_300_000_000, False)):
        found = sufficiency("XL", vocab_size=65_536, unique_tokens=tokens)
        assert found.carried is carried
        assert (found.missing_tokens == 0) is carried
    proposed = sufficiency("XL", vocab_size=65_536, unique_tokens=4_500_000_000).proposed
    assert proposed == "L"
    smallest = min(PRESETS.values(), key=lambda preset: preset.hidden_size).name
    assert sufficiency("XL", vocab_size=1_024, unique_tokens=9_000_000).proposed == smallest
    assert sufficiency("XL", vocab_size=65_536, unique_tokens=1_000).proposed is None


def test_training_asks_the_same_gate() -> None:
    config = PRESETS["B"].model_config_for(1_024)
    with pytest.raises(AnswerIsNoError) as caught:
        accepted_reason("B", config, unique_tokens=10_000, reason=None, given_weights=False)
    assert caught.value.code == "plan.insufficient"
    assert "hrmbuild train --accept-insufficient" in (caught.value.fix or "")
    told = accepted_reason("B", config, unique_tokens=10_000, reason=" a trial\nrun ", given_weights=False)
    assert told is not None
    assert told.startswith("a trial run (")
    assert accepted_reason("B", config, unique_tokens=10_000, reason=None, given_weights=True) is None
    small = PRESETS["nano"].model_config_for(1_024)
    assert accepted_reason("nano", small, unique_tokens=10, reason="x", given_weights=False) is None
    with pytest.raises(UsageError) as empty:
        accepted_reason("B", config, unique_tokens=10, reason="  ", given_weights=False)
    assert empty.value.code == "plan.no_reason"


def test_without_a_corpus_the_plan_says_what_to_do(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project")
    for place in (None, project):
        with pytest.raises(UsageError) as caught:
            plan(place, Wish())
        assert caught.value.code == "plan.no_corpus"


def test_prices_and_power_of_the_settings_count(frozen: Project, tmp_path: Path) -> None:
    project = write_project(tmp_path / "project")
    text = "seed: 3\nhardware: {gpu: H100, usd_per_hour: 3.5, power_w: 500}\n"
    priced = rewrite(project, "seed: 3\n", text)
    shown = plan(priced, Wish(preset="XL", gpus=16, tokens=60e9)).as_dict()
    assert shown["cost_usd"] == pytest.approx(3.5 * shown["gpu_hours"])
    assert shown["energy_kwh"] == pytest.approx(0.5 * shown["gpu_hours"])
    assert plan(priced, Wish(preset="XL", gpu_type="B200", tokens=60e9)).as_dict()["usd_per_hour"] == 5.0
