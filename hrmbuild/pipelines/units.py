"""Which files are worked on together, and the key that says whether a unit must be worked on again.

Owns the plan. It must not read any file's content.

A unit is one file; the files of a `tables` entry are one unit, because joins and keys cross files. Context documents of
existing pairs enter the keys of the units that show them. A key hashes everything that decides a unit's outcome: names
and hashes of its files, its settings, the whole tree of templates (coarse: any changed template redoes all units), the
code of readers, compilers and gates, the seed and the day of validity.
"""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import PurePosixPath

from hrmbuild.config.loading import Project, canonical_settings
from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import ConfigError
from hrmbuild.fingerprint import hash_value
from hrmbuild.pairs.environment import Templates
from hrmbuild.pipelines.decided import NOTHING_DECIDED, Decided, UnitDecisions
from hrmbuild.pipelines.identity import compiling_code_sha256, pair_settings
from hrmbuild.pipelines.source_files import Found, FoundFile, expand_glob
from hrmbuild.pipelines.standing import Standing, standing
from hrmbuild.records.source import Source

FOLDER = "{folder}"
"""In a context's glob: the folder of the file that is worked on."""
_KEY_VERSION = 1
"""Raised when the pipeline itself changes what it makes of a unit."""


@dataclass(frozen=True)
class Unit:
    """Files that are worked on together."""

    name: str
    key: str
    files: tuple[FoundFile, ...]
    settings: SourceConfig
    declared_by: str
    context: tuple[FoundFile, ...] = ()
    """Documents that are shown before every instruction."""
    decisions: UnitDecisions = field(default_factory=UnitDecisions)
    """What was decided about these files and the shown ones."""
    left_out: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Files that are not opened: path -> code and sentence of what the settings say against it."""
    is_context: bool = False
    """The file is only shown in pairs of other files; nothing is compiled from it."""


@dataclass(frozen=True)
class Plan:
    """All units of a project, sorted by name."""

    units: tuple[Unit, ...]

    def outdated(self, stored: dict[str, str]) -> list[Unit]:
        """Units that the corpus does not hold, or holds under another key."""
        return [unit for unit in self.units if stored.get(unit.name) != unit.key]

    def vanished(self, stored: dict[str, str]) -> list[str]:
        """Names of units that the corpus holds and the project no longer has."""
        return sorted(set(stored) - {unit.name for unit in self.units})


@dataclass(frozen=True)
class _Shared:
    """What enters every key."""

    project: Project
    digest: str
    decided: Decided
    standing: Standing

    def left_out(self, files: Sequence[FoundFile]) -> dict[str, tuple[str, str]]:
        told = {file.relative: self.standing.refusal(file) for file in files}
        return {path: refusal for path, refusal in told.items() if refusal is not None}

    def decisions(self, files: Sequence[FoundFile], context: Sequence[FoundFile]) -> UnitDecisions:
        return self.decided.for_files(file.sha256 for file in (*files, *context))

    def key(self, files: Sequence[FoundFile], settings: SourceConfig, context: Sequence[FoundFile], role: str) -> str:
        named = [[file.relative, file.sha256] for file in files]
        shown = [[file.relative, file.sha256] for file in context]
        told = [_KEY_VERSION, self.digest, role, named, shown, hash_value(pair_settings(settings))]
        if context:
            labels = [self.project.config.sources[file.entry].label for file in context]
            told += [labels, list(self.project.config.labels)]
        decided = self.decisions(files, context).key()
        told += [decided] if decided else []
        left_out = self.left_out(files)
        return hash_value([*told, {path: list(why) for path, why in left_out.items()}] if left_out else told)


def plan_units(project: Project, found: Found, templates: Templates, *, decided: Decided = NOTHING_DECIDED) -> Plan:
    """Divide the files into units; what was decided enters the keys of those that it concerns.

    Raises:
        ConfigError: a context path is absolute.
    """
    shared = _Shared(project, _shared_digest(project, templates), decided, standing(project, found))
    units: list[Unit] = []
    declared = {file.relative for file in found.files}
    only_shown: dict[str, FoundFile] = {}
    for entry, files in groupby(sorted(found.files, key=lambda file: file.entry), key=lambda file: file.entry):
        settings = project.config.sources[entry]
        for beside, members in _by_context(settings, sorted(files, key=lambda file: file.relative)):
            context = _as_declared(_context_of(project, settings, entry, beside=beside), found)
            only_shown |= {file.relative: file for file in context if file.relative not in declared}
            units += _entry_units(shared, entry, settings, members, context)
    units += [_context_unit(shared, file) for file in only_shown.values()]
    return Plan(tuple(sorted(units, key=lambda unit: unit.name)))


def _shared_digest(project: Project, templates: Templates) -> str:
    config = project.config
    as_of = config.as_of.isoformat() if config.as_of else None
    gates = canonical_settings(config.gates)
    told = [templates.tree_sha256(), compiling_code_sha256(), config.seed, as_of, gates]
    return hash_value([*told, canonical_settings(config.limits)] if config.limits else told)


def _by_context(settings: SourceConfig, files: list[FoundFile]) -> list[tuple[str, list[FoundFile]]]:
    """The files of an entry by folder where each folder has a context of its own, else all of them together."""
    told = settings.mapping.context if settings.mapping else None
    if told is None or FOLDER not in told or settings.kind == "tables":
        return [("", files)]
    by_folder: dict[str, list[FoundFile]] = {}
    for file in files:
        by_folder.setdefault(PurePosixPath(file.relative).parent.as_posix(), []).append(file)
    return sorted(by_folder.items())


def _context_of(project: Project, settings: SourceConfig, entry: int, *, beside: str) -> tuple[FoundFile, ...]:
    told = settings.mapping.context if settings.mapping else None
    named = [told.replace(FOLDER, glob.escape(beside)) if told else None]
    named += [joined.ruleset for joined in (settings.case, settings.exception) if joined]
    return tuple(file for path in named if path is not None for file in expand_glob(project, path, entry=entry))


def _as_declared(shown: tuple[FoundFile, ...], found: Found) -> tuple[FoundFile, ...]:
    """A shown file that is also a source of its own is that source, with its entry's label."""
    known = {file.relative: file for file in found.files}
    return tuple(known.get(file.relative, file) for file in shown)


def _entry_units(
    shared: _Shared, entry: int, settings: SourceConfig, files: list[FoundFile], context: tuple[FoundFile, ...]
) -> list[Unit]:
    declared_by = shared.project.declared_by(entry)
    if settings.kind == "tables":
        settings = _one_validity(shared, files, declared_by)
        key = shared.key(files, settings, context, "entry")
        told = shared.decisions(files, context)
        return [Unit(f"tables in {settings.path}", key, tuple(files), settings, declared_by, context, told,
                     shared.left_out(files))]  # fmt: skip
    return [
        Unit(file.relative, shared.key([file], shared.standing.settings(file), context, "file"), (file,),
             shared.standing.settings(file), declared_by, context, shared.decisions([file], context),
             shared.left_out([file]))
        for file in files
    ]  # fmt: skip


def _one_validity(shared: _Shared, files: list[FoundFile], declared_by: str) -> SourceConfig:
    """The tables of an entry are joined, so they hold for the same time."""
    settings, *others = [shared.standing.settings(file) for file in files]
    if any(other != settings for other in others):
        raise ConfigError("config.tables_of_two_times", "some tables of this entry are superseded and some are not",
                          where=declared_by, why="the tables of an entry are asked about together",
                          fix="give the superseded tables an entry of their own")  # fmt: skip
    return settings


def _context_unit(shared: _Shared, file: FoundFile) -> Unit:
    settings = context_settings(shared.project.config.sources[file.entry])
    key = shared.key([file], settings, (), "context")
    told, declared_by = shared.decisions([file], ()), shared.project.declared_by(file.entry)
    return Unit(file.relative, key, (file,), settings, declared_by, decisions=told, is_context=True)


def context_settings(settings: SourceConfig) -> SourceConfig:
    """How the context documents of an entry are read: by their own format, as prose."""
    return settings.model_copy(update={"kind": "rules", "format": None, "cases": None, "mapping": None})


def source_of(file: FoundFile, unit: Unit, *, format_name: str) -> Source:
    """What the corpus says of a file: its bytes by hash, and what its entry declares."""
    settings = unit.settings
    return Source(
        path=file.relative,
        sha256=file.sha256,
        n_bytes=file.n_bytes,
        kind=settings.kind,
        format=format_name,
        declared_by=unit.declared_by,
        owner=settings.owner,
        license=settings.license,
        label=settings.label,
        effective_from=settings.effective_from.isoformat() if settings.effective_from else None,
        effective_until=settings.effective_until.isoformat() if settings.effective_until else None,
        retain_until=settings.retain_until.isoformat() if settings.retain_until else None,
        maker=settings.maker,
        stratum=settings.stratum,
        repeat=settings.repeat if settings.repeat > 1 else None,
    )
