"""TensorBoard, MLflow and W&B by Accelerate's trackers: only those that were asked for, and never the run's own record.

Owns what is sent where, and how a tracker goes on after an interruption. `metrics.jsonl` is written before and counts;
a tracker that fails during a run is left behind with a message, and training goes on.

Nothing leaves the machine unless its user says so: TensorBoard writes files; W&B is in its offline mode where
`WANDB_MODE` says nothing else; MLflow writes a database in the run's folder where `MLFLOW_TRACKING_URI` names no other
place, and its reports about itself are off.

No step is told twice. After a kill the steps behind the last checkpoint are computed again: TensorBoard is told to drop
what it has from there on; MLflow and W&B cannot drop, and so are told only the steps that they do not have.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from hrmbuild.errors import UsageError
from hrmbuild.records.run import RunConfig

Name = Literal["tensorboard", "mlflow", "wandb"]
NAMES: tuple[str, ...] = get_args(Name)
_MODULES = {"tensorboard": "tensorboard", "mlflow": "mlflow", "wandb": "wandb"}
_SENT = ("loss", "grad_norm", "lr", "k", "epoch", "tokens_per_s", "mfu", "peak_mib", "resident_mib")


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker is told of the run as a whole."""

    folder: Path
    """`trackers/` of the run."""
    name: str
    config: RunConfig
    config_sha256: str
    step: int
    """Updates done when this process went on."""
    last_told: int
    """Last step that any process of this run recorded; greater than `step` after a kill."""


def check_installed(names: Sequence[str]) -> None:
    """Refuse before anything is computed.

    Raises:
        UsageError: `train.tracker_not_installed`, with the name for pip.
    """
    missing = [name for name in names if importlib.util.find_spec(_MODULES[name]) is None]
    if missing:
        raise UsageError(
            "train.tracker_not_installed",
            f"{', '.join(missing)} is asked for and not installed",
            where=f"--tracker {missing[0]}, or train.trackers in hrmbuild.yaml",
            why="trackers are optional; metrics.jsonl and report.html are written without them",
            fix=f"pip install 'hrmbuild[{','.join(missing)}]' (that is: pip install {' '.join(missing)}), "
            "or leave the tracker out",
        )


class Trackers:
    """Those of one process; the main rank alone has any."""

    def __init__(self, names: Sequence[str], run: TrackedRun, *, tell: Callable[[str], None]) -> None:
        """Open or reopen each; `tell` gets a line for one that could not be."""
        self._tell, self._open = tell, dict[str, _Tracker]()
        for name in dict.fromkeys(names):
            self._guarded(name, lambda name=name: self._open.__setitem__(name, _OPENERS[name](run)))

    def log(self, line: Mapping[str, Any]) -> None:
        """One step's line of metrics."""
        values = {key: line[key] for key in _SENT if line.get(key) is not None}
        values |= {f"dev/{key}": value for key, value in (line.get("dev") or {}).items() if key in ("loss", "exact")}
        for name, tracker in list(self._open.items()):
            if line["step"] > tracker.last_told:
                self._guarded(name, lambda tracker=tracker: tracker.accelerate.log(values, step=line["step"]))

    def close(self) -> None:
        """Finish each."""
        for name, tracker in list(self._open.items()):
            self._guarded(name, tracker.accelerate.finish)
        self._open.clear()

    def _guarded(self, name: str, act: Callable[[], None]) -> None:
        try:
            act()
        except _failures(name) as error:
            self._open.pop(name, None)
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            self._tell(f"{name} is told no more: {reason}; metrics.jsonl has everything")


@dataclass(frozen=True)
class _Tracker:
    accelerate: Any
    """A `GeneralTracker`."""
    last_told: int
    """Steps up to here are there already."""


def _failures(name: str) -> tuple[type[Exception], ...]:
    """What a disk, a network or the library itself may raise."""
    own: list[type[Exception]] = []
    if name == "mlflow":
        own.append(importlib.import_module("mlflow.exceptions").MlflowException)
    if name == "wandb":
        own.append(importlib.import_module("wandb.errors").Error)
    return (OSError, RuntimeError, *own)


def _tensorboard(run: TrackedRun) -> _Tracker:
    from accelerate.tracking import TensorBoardTracker

    fresh = not (run.folder / "tensorboard").exists()
    tracker = TensorBoardTracker(
        run_name="tensorboard", logging_dir=str(run.folder), purge_step=None if fresh else run.step + 1
    )
    tracker.start()
    if fresh:
        rows = "\n".join(f"| {key} | {value} |" for key, value in _settings(run).items())
        tracker.writer.add_text("settings", f"| setting | value |\n| --- | --- |\n{rows}")
    return _Tracker(tracker, run.step)


def _mlflow(run: TrackedRun) -> _Tracker:
    for variable in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ.setdefault(variable, "true")
    from accelerate.tracking import MLflowTracker

    mlflow = importlib.import_module("mlflow")
    run.folder.mkdir(parents=True, exist_ok=True)
    if "MLFLOW_TRACKING_URI" not in os.environ:
        logging.getLogger("alembic").setLevel(logging.WARNING)
        mlflow.set_tracking_uri(f"sqlite:///{run.folder / 'mlflow.db'}")
    kept = run.folder / "mlflow-run-id"
    run_id = kept.read_text("ascii").strip() if kept.is_file() else None
    tracker = MLflowTracker(experiment_name="hrmbuild", run_name=run.name, run_id=run_id)
    tracker.start()
    if run_id is None:
        kept.write_text(tracker.active_run.info.run_id + "\n", "ascii")
        tracker.store_init_configuration(_settings(run))
        return _Tracker(tracker, run.step)
    told = mlflow.MlflowClient().get_metric_history(run_id, "loss")
    return _Tracker(tracker, max((metric.step for metric in told), default=run.step))


def _wandb(run: TrackedRun) -> _Tracker:
    os.environ.setdefault("WANDB_MODE", "offline")
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    os.environ.setdefault("WANDB_SILENT", "true")
    os.environ.setdefault("WANDB_DISABLE_GIT", "true")
    os.environ.setdefault("WANDB_DISABLE_CODE", "true")
    from accelerate.tracking import WandBTracker

    run.folder.mkdir(parents=True, exist_ok=True)
    kept = run.folder / "wandb-run-id"
    fresh = not kept.is_file()
    if fresh:
        kept.write_text(f"{run.config_sha256[:8]}-{secrets.token_hex(6)}\n", "ascii")
    # Offline, nothing is there to go on from: one id lets `wandb sync --append` put the parts together.
    resume = None if os.environ["WANDB_MODE"] == "offline" else "allow"
    run_id = kept.read_text("ascii").strip()
    tracker = WandBTracker(run_name="hrmbuild", name=run.name, id=run_id, dir=str(run.folder), resume=resume)
    tracker.start()
    if fresh:
        tracker.store_init_configuration(_settings(run))
    return _Tracker(tracker, max(run.step, run.last_told))


_OPENERS: dict[str, Callable[[TrackedRun], _Tracker]] = {
    "tensorboard": _tensorboard,
    "mlflow": _mlflow,
    "wandb": _wandb,
}


def _settings(run: TrackedRun) -> dict[str, Any]:
    """Flat: no path, no text of a document."""
    values = run.config.model_dump(mode="json", exclude_none=True, exclude={"model", "repeats"})
    model = {f"model.{key}": value for key, value in run.config.model.model_dump(mode="json").items()}
    return values | model | {"config_sha256": run.config_sha256}
