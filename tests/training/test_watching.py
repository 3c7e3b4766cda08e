"""What a run shows and leaves for people: step line, events, history, time left; and that it changes no number."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_run import Notes, config, new_model, new_run, token_data, train_in

from hrmbuild.config.flops import flops_per_token
from hrmbuild.config.gpus import GPU_TYPES, GpuType
from hrmbuild.errors import InputError
from hrmbuild.training.events import Events, read_events, usd_per_hour
from hrmbuild.training.feed import trained_slots
from hrmbuild.training.history import History, history_of, read_history
from hrmbuild.training.loop import train
from hrmbuild.training.metrics import last_evaluation, read_metrics, read_tail
from hrmbuild.training.outlook import depth_at, keys_per_token, mfu, seconds_left, work
from hrmbuild.training.run_folder import RunFolder, is_locked
from hrmbuild.training.step_folders import folder_of
from hrmbuild.training.watch import Watch, Watching

LINE = {"step": 1, "k": 2, "lr": 0.1, "loss": 3.0, "tokens": 9, "seconds": 0.5, "tokens_per_s": 18.0}


class StepLines(Notes):
    """Keeps the step lines too."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.before, self.left_s = 0, list[float | None]()

    def advance(self, n: int = 1, *, note: str = "", left_s: float | None = None, before: bool = False) -> None:
        super().advance(n)
        self.before += n if before else 0
        self.lines += [note] if note else []
        self.left_s += [left_s] if note else []


def write_lines(path: Path, lines: list[dict], *, torn: str = "") -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + torn)


# --- the end of a metrics file


def test_the_tail_leaves_out_a_line_that_is_half_there(tmp_path: Path) -> None:
    write_lines(tmp_path / "m", [LINE | {"step": n} for n in (1, 2, 3)], torn='{"step": 4, "k"')
    assert [line["step"] for line in read_tail(tmp_path / "m")] == [1, 2, 3]


def test_the_tail_of_a_long_file_begins_at_a_whole_line(tmp_path: Path) -> None:
    write_lines(tmp_path / "m", [LINE | {"step": n} for n in range(1, 2001)])
    tail = read_tail(tmp_path / "m", most_bytes=1000)
    steps = [line["step"] for line in tail]
    assert 5 < len(steps) < 20 and steps == list(range(steps[0], 2001))


@pytest.mark.parametrize("text", ["", "\n", "null\n", "[1]\n", '{"step": 1}\n', "\x00\x00\n", '{"a"'])
def test_the_tail_of_anything_else_is_empty(tmp_path: Path, text: str) -> None:
    (tmp_path / "m").write_text(text)
    assert read_tail(tmp_path / "m") == [] and last_evaluation(tmp_path / "m") is None
    assert read_tail(tmp_path / "absent") == [] and last_evaluation(tmp_path / "absent") is None


@pytest.mark.parametrize("evaluated", [1, 2, 700, 1999, 2000])
def test_the_last_evaluation_is_found_wherever_it_stands(tmp_path: Path, evaluated: int) -> None:
    dev = {"dev": {"loss": 1.0, "n_tokens": 3}}
    lines = [LINE | {"step": n, "pad": "x" * 90} | (dev if n in (1, evaluated) else {}) for n in range(1, 2001)]
    write_lines(tmp_path / "m", lines, torn='{"step": 2001, "dev": {"lo')
    found = last_evaluation(tmp_path / "m")
    assert found is not None and found["step"] == evaluated


# --- curves in memory


def test_a_thinned_curve_keeps_means_ends_and_every_spike() -> None:
    losses = [1.0] * 10_007
    losses[4321] = 50.0
    history = history_of(LINE | {"step": n + 1, "loss": loss} for n, loss in enumerate(losses))
    curve = history.curve("loss", most=100)
    assert curve is not None and len(curve.steps) <= 100 and curve.steps[-1] == 10_007
    assert max(curve.high) == 50.0 and min(curve.low) == 1.0
    sizes = np.diff((0, *curve.steps))
    assert np.isclose(np.dot(sizes, curve.mean), sum(losses))


def test_a_short_curve_is_every_step_and_an_absent_one_is_none() -> None:
    history = history_of(LINE | {"step": n, "loss": float(n)} for n in range(1, 8))
    curve = history.curve("loss")
    assert curve is not None and (curve.steps, curve.mean, curve.steps_a_point) == ((*range(1, 8),), (*range(1, 8),), 1)
    assert history.curve("memory_mib") is None and History().curve("loss") is None


def test_the_history_of_a_file_is_that_of_its_lines(tmp_path: Path) -> None:
    lines = [LINE | {"step": n, "dev": {"loss": 2.0, "n_tokens": 1}} for n in range(1, 5)]
    write_lines(tmp_path / "m", lines, torn='{"st')
    read, made = read_history(tmp_path / "m"), history_of(lines)
    assert len(read) == 4 and read.evaluations == made.evaluations
    assert np.array_equal(read.column("loss"), made.column("loss"))


# --- pace


def test_work_is_the_sum_over_steps_of_what_their_k_costs() -> None:
    settings = config(steps=700)
    each = [flops_per_token(settings.model, k=depth_at(settings, s), keys_per_token=0).total for s in range(700)]
    for start, end in ((0, 700), (0, 1), (13, 13), (27, 141), (139, 700)):
        assert work(settings, start, end) == pytest.approx(sum(each[start:end]))


def test_time_left_counts_that_later_steps_cost_more() -> None:
    settings = config(steps=1000)
    left = seconds_left(settings, from_step=0, step=100, elapsed_s=10.0)
    assert left is not None and left > 90 * 1.05
    assert seconds_left(settings, from_step=50, step=1000, elapsed_s=7.0) == 0
    assert seconds_left(settings, from_step=50, step=50, elapsed_s=7.0) is None


def test_the_share_of_the_peak_is_operations_over_what_the_devices_could_do() -> None:
    settings = config()
    flops = flops_per_token(settings.model, k=5, keys_per_token=40, response_fraction=0.5).total
    share = mfu(settings, GPU_TYPES["H100"], ranks=4, k=5, tokens_per_s=1e6, keys_per_token=40, response_fraction=0.5)
    assert share == pytest.approx(flops * 1e6 / (4 * 989.4e12))
    for unknown in (None, GPU_TYPES["CPU"]):
        assert mfu(settings, unknown, ranks=4, k=5, tokens_per_s=1e6, keys_per_token=40, response_fraction=0.5) is None


def test_keys_are_counted_as_a_dense_mask_counts_them() -> None:
    split = token_data().splits["train"]
    slots = trained_slots(split, 128)
    visited = 0
    for prefix, response in zip(split.prefix_lengths.tolist(), split.response_lengths.tolist(), strict=True):
        rows = np.arange(prefix + response)[:, None]
        columns = np.arange(prefix + response)[None, :]
        visited += int(((columns < prefix) | (columns <= rows)).sum())
    assert keys_per_token(split, slots, None) == pytest.approx(visited / slots.sum())
    twice = np.full_like(slots, 2)
    assert keys_per_token(split, slots, twice) == pytest.approx(keys_per_token(split, slots, None))


# --- events


def test_events_tell_sessions_kills_and_costs(tmp_path: Path) -> None:
    events = Events(tmp_path / "e")
    events.began(0, device="gpu", ranks=2, usd_per_hour=3600.0)
    with (tmp_path / "e").open("ab") as file:
        file.write(b'{"event": "told", "a')
    events.killed(7, last_seen=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2))
    events.began(5, device="gpu", ranks=2, usd_per_hour=3600.0)
    events.told("<b>a file's name</b>")
    events.ended(9, how="failed", why="no space is left")
    found = read_events(tmp_path / "e")
    assert [(one.from_step, one.step, one.how, one.why) for one in found.sessions] == [
        (0, 7, "killed", ""),
        (5, 9, "failed", "no space is left"),
    ]
    now = dt.datetime.now(dt.UTC)
    assert found.usd(now) == pytest.approx(found.seconds(now)) and 2 <= found.seconds(now) < 30
    assert [one.text for one in found.told] == ["<b>a file's name</b>"]


def test_a_cost_is_told_only_where_every_session_has_a_price(tmp_path: Path) -> None:
    events = Events(tmp_path / "e")
    events.began(0, device="cpu", ranks=2, usd_per_hour=None)
    events.began(0, device="cpu", ranks=2, usd_per_hour=2.0)
    assert read_events(tmp_path / "e").usd(dt.datetime.now(dt.UTC)) is None
    assert read_events(tmp_path / "absent").usd(dt.datetime.now(dt.UTC)) is None


def test_all_gpus_are_paid_for_and_one_machine_without_any() -> None:
    machine = GpuType("CPU", None, None, None, 1.5)
    assert usd_per_hour(GPU_TYPES["H100"], 8) == 8 * GPU_TYPES["H100"].usd_per_hour
    assert usd_per_hour(machine, 8) == 1.5 and usd_per_hour(None, 8) is None


# --- a run


def test_a_watched_run_has_the_weights_of_one_that_is_not(tmp_path: Path) -> None:
    plain = train_in(tmp_path / "plain", config())
    pages: list[int] = []
    gpu = GpuType("CPU", 1.0, None, None, 3.0)
    run = new_run(tmp_path / "watched", config(), notes=(notes := StepLines()))
    watching = Watching(gpu=gpu, keys_per_token=30.0, page=lambda history: pages.append(len(history)))
    result = train(replace(run, watching=watching), new_model(config()))
    assert (result.ema_sha256, result.metrics_sha256) == (plain.ema_sha256, plain.metrics_sha256)
    assert pages == [1, 3, 6, 6]  # the first step, both evaluations, the end
    last = notes.lines[-1].split("  ")
    names = [part.split(" ")[0] for part in last]
    assert names[:2] == ["loss", "held"] and {"MFU", "k", "lr"} <= set(names) and last[-1].startswith("$")
    assert [part for part in last if part.endswith(" tok/s")]
    assert notes.left_s[-1] == 0 and all(left is not None and left > 0 for left in notes.left_s[:-1])
    line = read_metrics(tmp_path / "watched" / "metrics.jsonl")[-1]
    assert line["mfu"] > 0 and line["resident_mib"] > 1


def test_a_run_writes_down_that_the_one_before_was_killed(tmp_path: Path) -> None:
    train_in(tmp_path, config(checkpoint_every_steps=2, keep_checkpoints=9))
    (tmp_path / "result.json").unlink()
    book = tmp_path / "events.jsonl"
    book.write_text("".join(line for line in book.read_text().splitlines(True) if '"ended"' not in line))
    shutil.rmtree(tmp_path / "checkpoints" / folder_of(6))
    notes = StepLines()
    train_in(tmp_path, config(checkpoint_every_steps=2, keep_checkpoints=9), notes=notes)
    first, second = read_events(book).sessions
    assert (first.how, first.step, first.from_step) == ("killed", 6, 0)
    assert (second.how, second.step, second.from_step) == ("finished", 6, 4)
    assert (notes.before, notes.steps) == (4, 6)


def test_a_failure_is_written_down_with_its_reason(tmp_path: Path) -> None:
    def full(model: object, step: int) -> dict[str, float]:
        raise InputError("disk.full", "no space is left to write this file")

    with pytest.raises(InputError):
        train_in(tmp_path, config(), score=full)
    (session,) = read_events(tmp_path / "events.jsonl").sessions
    assert (session.how, session.why, session.step) == ("failed", "no space is left to write this file", 3)


def test_a_lock_is_seen_without_being_taken(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    assert not is_locked(folder.lock)
    with folder.locked():
        assert is_locked(folder.lock) and is_locked(folder.lock)
    assert not is_locked(folder.lock)


def test_messages_stay_in_the_events(tmp_path: Path) -> None:
    run = new_run(tmp_path, config(), notes=(notes := Notes()))
    watch = Watch(run.folder, run.config, machine=run.machine, report=run.report, watching=Watching())
    watch.message("checkpoint step_000004 is passed over: it was altered")
    assert notes.messages == [one.text for one in read_events(tmp_path / "events.jsonl").told]
