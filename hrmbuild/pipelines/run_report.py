"""`report.html` of a run: one file that needs nothing else, with plots, facts, sessions, checkpoints and messages.

Owns the page's contents. It loads nothing from anywhere (its own Content-Security-Policy forbids it), holds no script,
and every text in it is escaped: a message may quote a document's name. It is written whole or not at all, takes a tenth
of a second and some 200 KB at any number of steps, and enters no hash.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from hrmbuild import __version__
from hrmbuild.assets import asset_folder
from hrmbuild.files import write_atomic
from hrmbuild.pipelines.progress import duration
from hrmbuild.pipelines.report_plots import plots, thinning
from hrmbuild.records.run import RunRecord
from hrmbuild.training.events import Chronicle, Session, now_utc, read_events
from hrmbuild.training.history import History
from hrmbuild.training.outlook import seconds_left
from hrmbuild.training.run_folder import RunFolder
from hrmbuild.training.step_folders import STATE_NAME, checkpoint_folders

REFRESH_S = 30
MOST_MESSAGES = 200
_STATE_TEXTS = {
    "running": "Running",
    "finished": "Finished",
    "interrupted": "Interrupted; its state is saved",
    "failed": "Stopped by an error",
}


def write_run_report(folder: RunFolder, record: RunRecord, history: History) -> None:
    """Write the page of a run as it stands: its state is that of the last session in its events.

    Raises:
        InputError: the disk is full or not writable.
    """
    write_atomic(folder.report_html, render(folder, record, history, now=now_utc()).encode("utf-8"))


def render(folder: RunFolder, record: RunRecord, history: History, *, now: dt.datetime) -> str:
    """The page's text."""
    events = read_events(folder.events)
    last = events.sessions[-1] if events.sessions else None
    state = (last.how if last is not None else None) or "running"
    step = int(history.column("step")[-1]) if len(history) else 0
    templates = asset_folder("templates") / "run_report"
    environment = ImmutableSandboxedEnvironment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string((templates / "report.html.jinja").read_text("utf-8")).render(
        name=folder.path.resolve().name,
        version=__version__,
        css=Markup((templates / "report.css").read_text("utf-8")),
        state=state,
        state_text=_STATE_TEXTS.get(state, state),
        why=last.why if last is not None else "",
        refresh_s=REFRESH_S if state == "running" else None,
        written_at=_moment(now),
        step=f"{step:,} of {record.config.steps:,}",
        step_number=step,
        total_steps=record.config.steps,
        share=f"{step / record.config.steps:.1%}",
        tiles=_tiles(record, history, events, now=now, running=state == "running"),
        plots=[vars(plot) | {"svg": Markup(plot.svg)} for plot in plots(history)],
        thinning=thinning(history),
        facts=_facts(record),
        sessions=[_session_row(session, now) for session in events.sessions],
        checkpoints=_checkpoint_rows(folder),
        messages=_messages(record, events),
    )


def _tiles(
    record: RunRecord, history: History, events: Chronicle, *, now: dt.datetime, running: bool
) -> list[dict[str, str]]:
    """The figures that are looked for first."""
    if not len(history):
        return [{"name": "step", "text": f"0 of {record.config.steps:,}"}]
    last = {name: float(history.column(name)[-1]) for name in ("step", "loss", "k", "lr", "elapsed_s")}
    rates = history.column("tokens_per_s")[-20:]
    found = {
        f"step of {record.config.steps:,}": f"{last['step']:,.0f}",
        "loss": f"{last['loss']:.4f}",
    }
    if history.evaluations:
        dev = history.evaluations[-1].dev
        found["held-out loss"] = f"{dev.loss:.4f}"
        found |= {} if dev.exact is None else {"held out, exact": f"{dev.exact:.1%}"}
    found |= {"tokens/s": f"{float(rates.mean()):,.0f}", "k": f"{last['k']:.0f}", "learning rate": f"{last['lr']:.2g}"}
    if running and events.sessions:
        start = events.sessions[-1].from_step
        left = seconds_left(record.config, from_step=start, step=int(last["step"]), elapsed_s=last["elapsed_s"])
        found |= {} if left is None else {"time left": duration(left)}
    found |= {"time so far": duration(events.seconds(now))} if events.sessions else {}
    usd = events.usd(now)
    found |= {} if usd is None else {"cost so far": f"${usd:,.2f}"}
    return [{"name": name, "text": text} for name, text in found.items()]


def _facts(record: RunRecord) -> list[dict[str, Any]]:
    config, machine = record.config, record.machine
    model = {key: value for key, value in config.model.model_dump(mode="json").items() if value is not None}
    too_long = "; ".join(f"{path}: {n:,}" for path, n in record.too_long.items())
    what = [
        ("preset", f"{config.preset} ({config.model.arch}), {record.parameters:,} weights"),
        ("model", ", ".join(f"{key} {value}" for key, value in model.items())),
        ("pairs and tokens of an epoch", f"{record.train_pairs:,} pairs, {record.epoch_tokens:,} tokens"),
        ("steps", f"{config.steps:,} of {config.batch_tokens:,} tokens in {_counted(config.bins, 'bin')}"),
        (
            "learning rate",
            f"{config.learning_rate:g} after {config.warm_up_steps:,} steps, "
            f"down to {config.final_lr_fraction:g} of it",
        ),
        ("average of the weights", f"decay {config.ema_decay:g}"),
        ("evaluated", f"every {config.eval_every_steps:,} steps on {config.eval_pairs:,} held-out pairs"),
        ("seed", str(config.seed)),
        ("left out as too long", too_long or "none"),
        ("lineage", record.lineage),
    ]
    where = [
        (
            "device",
            f"{machine.ranks} x {machine.device}, {_counted(machine.threads, 'thread')} a rank, "
            f"{machine.instruction_set}",
        ),
        ("computes in", f"{config.dtype}, attention {machine.attention}, torch {machine.torch}"),
        ("hrmbuild", record.hrmbuild),
    ]
    roots = [
        ("corpus, content root", config.content_root),
        ("manifest", record.manifest_sha256),
        ("tokenizer", config.tokenizer_sha256),
        ("settings", record.config_sha256),
        *([("first weights", config.init_weights_sha256)] if config.init_weights_sha256 else []),
    ]
    return [
        {"title": "Settings", "rows": _rows(what)},
        {"title": "Machine", "rows": _rows(where)},
        {"title": "Roots (SHA-256)", "rows": _rows(roots, code=True)},
    ]


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _rows(pairs: list[tuple[str, str]], *, code: bool = False) -> list[dict[str, Any]]:
    return [{"name": name, "text": text, "code": code} for name, text in pairs]


def _session_row(session: Session, now: dt.datetime) -> dict[str, str]:
    usd = session.usd(now)
    how = session.how or "running"
    if session.how == "killed":
        how = f"without a word, last seen {_moment(session.ended_at or now)}"
    return {
        "began": _moment(session.began_at),
        "from_step": f"{session.from_step:,}",
        "to_step": "" if session.step is None else f"{session.step:,}",
        "took": duration(session.seconds(now)),
        "cost": "unknown" if usd is None else f"${usd:,.2f}",
        "how": how + (f": {session.why}" if session.why else ""),
    }


def _checkpoint_rows(folder: RunFolder) -> list[dict[str, str]]:
    """Complete checkpoints, newest first; one that is replaced at this moment is left out."""
    rows: list[dict[str, str]] = []
    for path in checkpoint_folders(folder.checkpoints):
        try:
            state = json.loads((path / STATE_NAME).read_bytes())
            size = sum(part.stat().st_size for part in path.iterdir())
            written = dt.datetime.fromtimestamp((path / STATE_NAME).stat().st_mtime, dt.UTC)
        except (OSError, ValueError):
            continue
        digest = str(state.get("ema_sha256", "")) if isinstance(state, dict) else ""
        rows.append({"name": path.name, "written": _moment(written), "mib": f"{size / 2**20:,.1f}", "digest": digest})
    return rows


def _messages(record: RunRecord, events: Chronicle) -> list[str]:
    left_out = [
        f"left out, longer than the context of {record.config.model.context_tokens:,} tokens: {path}: {n:,} pairs"
        for path, n in record.too_long.items()
    ]
    told = [f"{_moment(one.at)}: {one.text}" for one in events.told]
    more = len(told) - MOST_MESSAGES
    shown = told if more <= 0 else [f"{more:,} older messages stand in events.jsonl", *told[-MOST_MESSAGES:]]
    return [*left_out, *shown]


def _moment(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
