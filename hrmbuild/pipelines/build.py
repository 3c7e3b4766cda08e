"""`hrmbuild build`: ingest, freeze, train, package, verify, one after the other; only what is stale.

Owns the chain and where it stops. Each stage is the same function that its own command calls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from hrmbuild.config.loading import Project
from hrmbuild.errors import HrmbuildError, UsageError
from hrmbuild.packaging.card import card_owner
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.launch import launch
from hrmbuild.pipelines.package import default_folder, package
from hrmbuild.pipelines.progress import Progress, SilentProgress
from hrmbuild.pipelines.stages import STAGES, Stage, finished_run, project_stages
from hrmbuild.pipelines.train import TrainReport, train
from hrmbuild.pipelines.train_settings import Flags
from hrmbuild.pipelines.verify import verify

CHAIN = (*STAGES, "verify")


class StageReport(Protocol):
    """What every stage's pipeline returns."""

    def as_dict(self) -> dict[str, Any]:
        """The keys of its own `--json`."""
        ...


class RanksFailedError(HrmbuildError):
    """The ranks of the training ended with a status of their own, and said why."""

    def __init__(self, status: int) -> None:
        super().__init__("build.train_failed", f"training ended with status {status}; its own message stands above",
                         fix="the same command goes on from the last checkpoint")  # fmt: skip
        self.exit_status = status


@dataclass(frozen=True)
class BuiltStage:
    """One stage of the chain."""

    name: str
    done: bool
    """False: it was fresh (or this is a dry run) and nothing was computed."""
    detail: str
    report: StageReport | None = None

    def as_dict(self) -> dict[str, Any]:
        """The stage as `--json` shows it."""
        own = {"stage": self.name, "done": self.done, "detail": self.detail}
        return own | ({"report": self.report.as_dict()} if self.report else {})


@dataclass(frozen=True)
class BuildReport:
    """The chain as far as it went."""

    stages: tuple[BuiltStage, ...]
    exit_status: int = 0
    """1 where a stage's answer was no: the chain stopped there."""

    def as_dict(self) -> dict[str, Any]:
        """The keys of `build --json`."""
        return {"stages": [stage.as_dict() for stage in self.stages], "ok": self.exit_status == 0}


def build(
    project: Project,
    *,
    until: str = "verify",
    dry_run: bool = False,
    steps: int | None = None,
    preset: str | None = None,
    gpus: int | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Bring the project up to date.

    Args:
        until: last stage of the chain.
        dry_run: say which stages would run, and compute nothing.
        steps, preset: over the settings, as in `train`.
        gpus: ranks of the training, as in `train`: absent, every GPU of this machine.

    Raises:
        UsageError: `build.unknown_stage`; whatever a stage raises.
    """
    if until not in CHAIN:
        raise UsageError("build.unknown_stage", f"{until!r} is no stage", where="--until",
                         fix=f"choose one of: {', '.join(CHAIN)}")  # fmt: skip
    chain = _Chain(project, Flags(preset, steps), progress or SilentProgress(), gpus=gpus)
    wanted = CHAIN[: CHAIN.index(until) + 1]
    return chain.foresee(wanted) if dry_run else chain.run(wanted)


class _Chain:
    """One build: what each stage needs to know of the one before."""

    def __init__(self, project: Project, flags: Flags, progress: Progress, *, gpus: int | None) -> None:
        self._project, self._flags, self._progress, self._gpus = project, flags, progress, gpus
        self._actions: dict[str, Callable[[], StageReport]] = {
            "freeze": lambda: freeze(project, progress=progress),
            "train": self._train,
            "package": lambda: package(project, run=self._run_folder(), progress=progress),
            "verify": lambda: verify(self._package_folder(), project=project, progress=progress),
        }

    def foresee(self, wanted: tuple[str, ...]) -> BuildReport:
        """What `run` would do."""
        states = {stage.name: stage for stage in self._stages()}
        verdict = Stage("verify", "missing", "every build ends with it")
        return BuildReport(tuple(_foreseen(states.get(name, verdict)) for name in wanted))

    def run(self, wanted: tuple[str, ...]) -> BuildReport:
        """Stage by stage; a stage is looked at again just before its turn, because the one before may have moved it."""
        report = ingest(self._project, progress=self._progress)
        built = [BuiltStage("ingest", bool(report.redone or report.dropped), "", report)]
        if report.exit_status:
            return BuildReport(tuple(built), report.exit_status)
        for name in wanted[1:]:
            fresh = next((s for s in self._stages() if s.name == name and s.state == "fresh"), None)
            if fresh is not None:
                self._progress.message(f"{name}: fresh, {fresh.detail}")
                built.append(BuiltStage(name, False, fresh.detail))
            else:
                built.append(BuiltStage(name, True, "", self._actions[name]()))
        refused = any(getattr(stage.report, "ok", True) is False for stage in built)
        return BuildReport(tuple(built), int(refused))

    def _train(self) -> TrainReport:
        """In this process, or by the ranks that `train` would start; what they said stands on stderr already."""
        project, flags = self._project, self._flags
        ended = launch(
            project, command=_train_command(project, flags), gpus=self._gpus, flags=flags, progress=self._progress
        )
        again = partial(train, project, preset=flags.preset, steps=flags.steps, resume=True)
        if ended is None:
            return again(progress=self._progress)
        if ended.status:
            raise RanksFailedError(ended.status)
        return replace(again(), unchanged=False)  # The run is finished: this reads what came of it.

    def _stages(self) -> tuple[Stage, ...]:
        return project_stages(self._project, self._flags).stages

    def _run_folder(self) -> Path | None:
        run = finished_run(self._project, self._flags)
        return run.path if run else None

    def _package_folder(self) -> Path:
        """The package of the current run; `run` made it just before, or found it fresh."""
        run = finished_run(self._project, self._flags)
        record = run.record() if run else None
        assert record is not None
        owner = card_owner(self._project.config.model.model_dump() if self._project.config.model else None)
        return default_folder(self._project, owner, config_sha256=record.config_sha256)


def _train_command(project: Project, flags: Flags) -> list[str]:
    """What a rank is started with; every folder is named, whatever the working folder is."""
    places = {"--config": project.config_path, "--sources": project.folder, "--work": project.work}
    numbers = {"--preset": flags.preset, "--steps": flags.steps}
    given = {name: str(value) for name, value in (places | numbers).items() if value is not None}
    return ["train", "--resume", *(word for option in given.items() for word in option)]


def _foreseen(stage: Stage) -> BuiltStage:
    word = "would run" if stage.state != "fresh" else "nothing to do"
    return BuiltStage(stage.name, False, f"{stage.state}: {stage.detail}; {word}")
