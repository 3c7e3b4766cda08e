"""Where a project stands: each stage fresh, stale or missing, and the next command. `hrmbuild` alone shows it.

Owns the questions that tell whether a stage's product is that of its inputs as they are now. It must not change
anything, and it must not trust a time stamp: only hashes decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from hrmbuild.audit.checks import named
from hrmbuild.audit.decisions import DECISIONS_NAME
from hrmbuild.audit.manifest import load_manifest_bytes
from hrmbuild.config.loading import Project
from hrmbuild.errors import HrmbuildError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.packaging.card import card_owner
from hrmbuild.pairs.environment import Templates
from hrmbuild.pipelines.approvals import SIGNED_FREEZE, manifest_approval
from hrmbuild.pipelines.decided import read_decided
from hrmbuild.pipelines.freeze import is_frozen_as
from hrmbuild.pipelines.identity import ingest_identity, project_templates
from hrmbuild.pipelines.manifests import current_manifest
from hrmbuild.pipelines.near_copies import with_near_copies
from hrmbuild.pipelines.package import default_folder
from hrmbuild.pipelines.source_files import Found, find_files
from hrmbuild.pipelines.surface_rules import surface_rules
from hrmbuild.pipelines.train_settings import Flags, settings_sha256, train_settings
from hrmbuild.pipelines.units import Plan, plan_units
from hrmbuild.store.corpus import Corpus
from hrmbuild.training.run_folder import RunFolder

State = Literal["fresh", "stale", "missing"]
STAGES = ("ingest", "freeze", "train", "package")


@dataclass(frozen=True)
class Stage:
    """One stage's product against its inputs."""

    name: str
    state: State
    detail: str
    """Why, in a few words."""

    def as_dict(self) -> dict[str, str]:
        """The stage as `--json` shows it."""
        return dict(vars(self))


@dataclass(frozen=True)
class StagesReport:
    """All stages in their order."""

    stages: tuple[Stage, ...]
    next_command: str
    awaited: str | None = None
    """Whose approval the current manifest waits for."""

    def as_dict(self) -> dict[str, Any]:
        """The keys of `hrmbuild --json`."""
        return {"stages": [stage.as_dict() for stage in self.stages], "next": self.next_command,
                "awaited": self.awaited}  # fmt: skip


NO_PROJECT = StagesReport((), "hrmbuild init DIR --demo")


def project_stages(project: Project, flags: Flags | None = None) -> StagesReport:
    """Look at every stage; one behind a stage that is not fresh is not fresh either."""
    flags = flags or Flags()
    stages = [ingest_stage(project)]
    stages.append(_behind(stages[-1], freeze_stage(project)))
    stages.append(_behind(stages[-1], train_stage(project, flags)))
    stages.append(_behind(stages[-1], package_stage(project, flags)))
    waiting = next((stage.name for stage in stages if stage.state != "fresh"), None)
    if waiting in ("train", "package") and (awaited := _awaited(project)) is not None:
        stages = [replace(one, detail=awaited) if one.name == waiting else one for one in stages]
        return StagesReport(tuple(stages), _next_decision(project, awaited), awaited)
    return StagesReport(tuple(stages), f"hrmbuild {waiting}" if waiting else 'hrmbuild ask "…", or hrmbuild eval')


def _behind(before: Stage, stage: Stage) -> Stage:
    if before.state == "fresh" or stage.state != "fresh":
        return stage
    return Stage(stage.name, "stale", f"{before.name} is {before.state}")


def ingest_stage(project: Project) -> Stage:
    """Whether the corpus holds exactly what its sources, settings and templates give."""
    templates = project_templates(project)
    found = find_files(project)
    plan = plan_units(project, found, templates, decided=with_near_copies(project, found, read_decided(project)))
    if not project.corpus_path.is_file():
        return Stage("ingest", "missing", f"{_files(found.files)} to read" if found.files else "no source found")
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        stale = _why_stale(corpus, plan, project, templates) or _why_incomplete(project, found)
        told = f"{corpus.n_pairs():,} pairs from {_files(corpus.sources())}"
    return Stage("ingest", "stale", stale) if stale else Stage("ingest", "fresh", told)


def _why_stale(corpus: Corpus, plan: Plan, project: Project, templates: Templates) -> str | None:
    """What ingest would do again; owners and licences count, since `freeze` refuses a corpus with old ones."""
    stored = corpus.unit_keys()
    changed = [*(unit.name for unit in plan.outdated(stored)), *plan.vanished(stored)]
    if changed:
        return f"new, changed or gone: {named(sorted(changed), limit=3)}"
    told = corpus.last_ingest()
    if told and told != ingest_identity(project, templates):
        return f"{project.config_path.name}, a template, what was decided or hrmbuild itself changed"
    settled = corpus.is_settled(labels=project.config.labels, seed=project.config.seed, rules=surface_rules(project))
    return None if told and settled else "the last ingest was cut off"


def _why_incomplete(project: Project, found: Found) -> str | None:
    """An entry without a file: ingest says no to it, so nothing behind it is next."""
    empty = [project.config.sources[entry].path for entry, _ in found.unmatched]
    return f"no file matches {named(empty, limit=3)}" if empty else None


def _files(files: Sequence[object]) -> str:
    return "1 file" if len(files) == 1 else f"{len(files):,} files"


def freeze_stage(project: Project) -> Stage:
    """Whether the current manifest is that of the corpus as it stands."""
    folder = current_manifest(project)
    if folder is None:
        return Stage("freeze", "missing", "no manifest yet")
    fresh = project.corpus_path.is_file() and is_frozen_as(project, folder)
    return Stage("freeze", "fresh" if fresh else "stale", f"manifests/{folder.name}")


def finished_run(project: Project, flags: Flags) -> RunFolder | None:
    """The finished run of the current manifest with the settings as they are now."""
    manifest = current_manifest(project)
    if manifest is None or not project.runs_folder.is_dir():
        return None
    wanted = (sha256_hex(load_manifest_bytes(manifest)), settings_sha256(train_settings(project, flags)))
    for path in sorted(project.runs_folder.iterdir()):
        folder = RunFolder(path)
        record = folder.record()
        same = record is not None and (record.manifest_sha256, record.settings_sha256) == wanted
        if same and folder.result() is not None:
            return folder
    return None


def _next_decision(project: Project, awaited: str) -> str:
    folder = current_manifest(project)
    if (name := _no_trust(project)) is not None:
        return f"write {name}: whose approval counts (hrmbuild keys new prints an entry of it)"
    if folder is not None and awaited.startswith(f"{folder.name} was rejected"):
        return "correct the sources and ingest again, or have who rejected it approve it"
    if folder is None or SIGNED_FREEZE in awaited:
        return "hrmbuild freeze --key K"
    return f"hrmbuild approve {folder.name} --reason … --key K"


def _no_trust(project: Project) -> str | None:
    """The name of the trust file that the demanded approvals lack."""
    asked = project.config.approvals
    return asked.trust if asked is not None and not (project.config_path.parent / asked.trust).is_file() else None


def _awaited(project: Project) -> str | None:
    """What the current manifest waits for before anything may be made of it."""
    folder = current_manifest(project)
    if folder is None or (project.config.approvals is None and not (project.work / DECISIONS_NAME).exists()):
        return None
    try:
        found = manifest_approval(project, folder)
    except HrmbuildError as error:
        return error.what
    if found.rejected_by:
        return f"{folder.name} was rejected by {named(found.rejected_by)}"
    return f"{folder.name} awaits {named(found.awaited)}" if found.awaited else None


def train_stage(project: Project, flags: Flags) -> Stage:
    """Whether a run of the current manifest with these settings is finished."""
    run = finished_run(project, flags)
    if run is not None:
        return Stage("train", "fresh", f"runs/{run.path.name}")
    others = project.runs_folder.is_dir() and any(project.runs_folder.iterdir())
    return Stage("train", "stale" if others else "missing", "no finished run of this manifest with these settings")


def package_stage(project: Project, flags: Flags) -> Stage:
    """Whether that run is packaged."""
    run = finished_run(project, flags)
    record = run.record() if run else None
    if record is not None and project.config.model is not None:
        owner = card_owner(project.config.model.model_dump())
        folder = default_folder(project, owner, config_sha256=record.config_sha256)
        if (folder / "manifest.json").is_file():
            return Stage("package", "fresh", f"packages/{folder.name}")
    others = project.packages_folder.is_dir() and any(project.packages_folder.iterdir())
    return Stage("package", "stale" if others else "missing", "no package of that run")
