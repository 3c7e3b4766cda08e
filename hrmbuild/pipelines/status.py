"""`hrmbuild status`: where a run stands, seen from outside while it trains, or after it ended in whatever way.

Owns the state's name and the figures. It must not write, wait for a lock, or fail because a run writes at this moment:
of the metrics only the end is read, and a line that is half there is left out. A state is told by facts, not by age:
`running` is a run whose folder a living process holds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hrmbuild.audit.manifest import read_manifest
from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError
from hrmbuild.pipelines.approvals import Approval, manifest_approval
from hrmbuild.pipelines.manifests import current_manifest
from hrmbuild.pipelines.withdrawn_material import withdrawn_now
from hrmbuild.records.manifest import Manifest
from hrmbuild.records.run import DevScore, RunRecord
from hrmbuild.training.events import Chronicle, now_utc, read_events
from hrmbuild.training.metrics import last_evaluation, read_tail
from hrmbuild.training.outlook import seconds_left
from hrmbuild.training.run_folder import RunFolder, is_locked, last_seen
from hrmbuild.training.step_folders import checkpoint_folders

State = Literal["running", "finished", "interrupted", "failed", "dead", "not_started"]
RATE_LINES = 20


@dataclass(frozen=True)
class RunStatus:
    """One run as it stands; what is not known is None."""

    run: str
    state: State
    step: int
    """Updates done, as the metrics tell."""
    total_steps: int | None
    preset: str | None = None
    loss: float | None = None
    k: int | None = None
    lr: float | None = None
    tokens_per_s: float | None = None
    """Of the last steps; evaluations and checkpoints left out."""
    mfu: float | None = None
    peak_mib: float | None = None
    dev: DevScore | None = None
    dev_step: int | None = None
    seconds_left: float | None = None
    """At the pace since this process went on; only while it runs."""
    last_step_age_s: float | None = None
    checkpoint: str | None = None
    checkpoint_age_s: float | None = None
    elapsed_s: float | None = None
    """Of all sessions."""
    cost_usd: float | None = None
    sessions: int = 0
    why: str = ""
    """Why it ended, in its own words."""

    def as_dict(self) -> dict[str, Any]:
        """The keys of `status --json`."""
        return vars(self) | {"dev": None if self.dev is None else self.dev.model_dump(mode="json", exclude_none=True)}


@dataclass(frozen=True)
class StatusReport:
    """The run that was asked for, and the others of the project, newest first."""

    run: RunStatus | None
    """None: no run has ever begun."""
    others: tuple[RunStatus, ...] = ()
    approval: Approval | None = None
    """How the current manifest stands, where somebody must approve it or rejected it."""
    manifest: Manifest | None = None
    """The current one, where somebody reviewed its pairs."""
    withdrawn: tuple[str, ...] = ()
    """Withdrawn sources that the current manifest holds."""

    def as_dict(self) -> dict[str, Any]:
        """The keys of `status --json`; a project without a run has the state `not_started`."""
        found = self.run or RunStatus(run="", state="not_started", step=0, total_steps=None)
        brief = [{key: getattr(one, key) for key in ("run", "state", "step", "total_steps")} for one in self.others]
        approval = None if self.approval is None else self.approval.as_dict()
        reviewed = None if self.manifest is None or self.manifest.review is None else self.manifest.review.canonical()
        known = {"run": found.run or None, "others": brief, "approval": approval, "review": reviewed}
        return found.as_dict() | known | ({"withdrawn": list(self.withdrawn)} if self.withdrawn else {})


def status(project: Project | None, *, run: Path | None = None) -> StatusReport:
    """How the run in a folder stands, or the newest of the project.

    Args:
        project: not needed where `run` is a folder.
        run: a run's folder, or its name under `runs/`; absent: the one that was active last.

    Raises:
        InputError: `status.no_run`: there is no such folder; `train.run_unreadable`.
    """
    if run is not None:
        return StatusReport(run_status(RunFolder(_named(project, run))))
    folders = _by_activity([] if project is None else _runs_of(project))
    states = [run_status(folder, brief=number > 0) for number, folder in enumerate(folders)]
    approval = None if project is None else _approval(project)
    manifest = None if project is None else _reviewed(project)
    gone = () if project is None else tuple(withdrawn_now(project))
    return StatusReport(states[0] if states else None, tuple(states[1:]), approval, manifest, gone)


def _reviewed(project: Project) -> Manifest | None:
    """The current manifest, where it tells of reviews; one that cannot be read is told of by `verify`."""
    folder = current_manifest(project)
    try:
        manifest = read_manifest(folder) if folder is not None else None
    except InputError:
        return None
    return manifest if manifest is not None and manifest.review is not None else None


def _approval(project: Project) -> Approval | None:
    """Of the current manifest; None where nobody is asked and nobody rejected it.

    Raises:
        ConfigError, InputError: the trust file or the decisions cannot be taken.
    """
    folder = current_manifest(project)
    if folder is None:
        return None
    found = manifest_approval(project, folder)
    return found if project.config.approvals is not None or found.rejected_by else None


def _named(project: Project | None, run: Path) -> Path:
    below = None if project is None else project.runs_folder / run
    for folder in (run, below):
        if folder is not None and folder.is_dir() and _is_run(RunFolder(folder)):
            return folder
    names = [] if project is None else [folder.path.name for folder in _by_activity(_runs_of(project))]
    raise InputError(
        "status.no_run",
        "there is no run here",
        where=str(run),
        why=f"the project's runs: {', '.join(names[:5])}" if names else None,
        fix="name a run's folder (or its name under runs/), or give none for the newest",
    )


def _is_run(folder: RunFolder) -> bool:
    return any(path.is_file() for path in (folder.run_json, folder.lock, folder.metrics))


def _runs_of(project: Project) -> list[RunFolder]:
    if not project.runs_folder.is_dir():
        return []
    folders = [RunFolder(path) for path in sorted(project.runs_folder.iterdir()) if path.is_dir()]
    return [folder for folder in folders if _is_run(folder)]


def _by_activity(folders: Sequence[RunFolder]) -> list[RunFolder]:
    """Those that a process holds, then the one that wrote last."""
    return sorted(folders, key=lambda folder: (is_locked(folder.lock), _last_written(folder)), reverse=True)


def _last_written(folder: RunFolder) -> float:
    paths = (folder.run_json, folder.lock, folder.metrics, folder.result_json, folder.events)
    return max((path.stat().st_mtime for path in paths if path.is_file()), default=0.0)


def run_status(folder: RunFolder, *, brief: bool = False) -> RunStatus:
    """Everything about one run; `brief`: state and steps only."""
    record, tail, events = folder.record(), read_tail(folder.metrics), read_events(folder.events)
    step = int(tail[-1]["step"]) if tail else 0
    state = _state(folder, record, events, step=step)
    base = {"run": str(folder.path), "state": state, "step": step, "total_steps": record and record.config.steps}
    if brief or record is None:
        return RunStatus(**base)
    return RunStatus(**base, **_figures(tail), **_held_out(folder), **_clock(folder, record, events, tail, state=state))


def _state(folder: RunFolder, record: RunRecord | None, events: Chronicle, *, step: int) -> State:
    if folder.result_json.is_file():
        return "finished"
    if is_locked(folder.lock):
        return "running"
    how = events.sessions[-1].how if events.sessions else None
    if how == "interrupted" or how == "failed":
        return how
    if not step and not events.sessions:
        return "not_started"
    if how is None and not events.sessions and record is not None:
        # Runs of earlier versions keep no events: one that was interrupted politely saved its last step.
        saved = checkpoint_folders(folder.checkpoints)
        return "interrupted" if saved and saved[0].name.endswith(f"_{step:06d}") else "dead"
    return "dead"


def _figures(tail: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if not tail:
        return {}
    last, recent = tail[-1], tail[-RATE_LINES:]
    seconds = sum(line["seconds"] for line in recent)
    rate = round(sum(line["tokens"] for line in recent) / seconds, 1) if seconds else None
    kept = {key: last.get(key) for key in ("loss", "k", "lr", "mfu", "peak_mib")}
    return kept | {"tokens_per_s": rate}


def _held_out(folder: RunFolder) -> dict[str, Any]:
    line = last_evaluation(folder.metrics)
    return {} if line is None else {"dev": DevScore.model_validate(line["dev"]), "dev_step": int(line["step"])}


def _clock(
    folder: RunFolder, record: RunRecord, events: Chronicle, tail: Sequence[dict[str, Any]], *, state: State
) -> dict[str, Any]:
    now, seen = now_utc(), last_seen(folder)
    # A session that nobody closed took until the run was last seen, unless it is still going on.
    until = now if state == "running" else (seen or now)
    saved = checkpoint_folders(folder.checkpoints)
    return {
        "preset": record.config.preset,
        "seconds_left": _seconds_left(record, events, tail) if state == "running" else None,
        "last_step_age_s": _age_s(folder.metrics, now) if tail else None,
        "checkpoint": saved[0].name if saved else None,
        "checkpoint_age_s": _age_s(saved[0], now) if saved else None,
        "elapsed_s": round(events.seconds(until), 1) if events.sessions else None,
        "cost_usd": _rounded(events.usd(until)),
        "sessions": len(events.sessions),
        "why": events.sessions[-1].why if events.sessions else "",
    }


def _seconds_left(record: RunRecord, events: Chronicle, tail: Sequence[dict[str, Any]]) -> float | None:
    if not tail or not events.sessions:
        return None
    from_step, last = events.sessions[-1].from_step, tail[-1]
    left = seconds_left(record.config, from_step=from_step, step=int(last["step"]), elapsed_s=last["elapsed_s"])
    return None if left is None else round(left, 1)


def _age_s(path: Path, now: dt.datetime) -> float | None:
    try:
        return round(max(0.0, now.timestamp() - path.stat().st_mtime), 1)
    except FileNotFoundError:  # A checkpoint may be replaced at this moment.
        return None


def _rounded(usd: float | None) -> float | None:
    return None if usd is None else round(usd, 4)
