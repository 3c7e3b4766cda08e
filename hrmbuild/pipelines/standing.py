"""Which files stand: permitted, in force, not superseded; and until when each of them holds.

Owns what the entries say together about one file. It must not open a file.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from hrmbuild.config.loading import Project
from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import ConfigError
from hrmbuild.gates import permission, validity
from hrmbuild.pipelines.source_files import Found, FoundFile


@dataclass(frozen=True)
class Standing:
    """What the settings say of each file beyond its own entry."""

    project: Project
    ends: dict[str, tuple[dt.date, str]] = field(default_factory=dict)
    """Path -> its last day before another holds, and which."""

    def settings(self, file: FoundFile) -> SourceConfig:
        """The file's entry; what is superseded ends the day before."""
        settings = self.project.config.sources[file.entry]
        last, _ = self.ends.get(file.relative, (None, ""))
        if last is None or (settings.effective_until is not None and settings.effective_until <= last):
            return settings
        return settings.model_copy(update={"effective_until": last})

    def refusal(self, file: FoundFile) -> tuple[str, str] | None:
        """Why the file is not opened, as code and sentence."""
        config, settings = self.project.config, self.settings(file)
        refused = permission.refusal(settings, config.gates.permission, config.labels)
        if refused is not None or (settings.history == "dated" and settings.kind != "pairs"):
            return refused
        last, by = self.ends.get(file.relative, (None, None))
        is_ended_so = last is not None and settings.effective_until == last
        return validity.refusal(settings, config.as_of, superseded_by=by if is_ended_so else None)


def standing(project: Project, found: Found) -> Standing:
    """What the entries say together.

    Raises:
        ConfigError: `config.no_as_of`, `config.supersedes_nothing`, `config.unknown_label`.
    """
    _check(project)
    ends: dict[str, tuple[dt.date, str]] = {}
    for file in sorted(found.files, key=lambda file: file.relative):
        newer = project.config.sources[file.entry]
        for glob in newer.supersedes or ():
            older = [one.relative for one in found.files if fnmatchcase(one.relative, glob) and one != file]
            if not older:
                raise ConfigError("config.supersedes_nothing", f"no source file fits {glob!r}",
                                  where=project.declared_by(file.entry),
                                  why="what is superseded must be known, or it goes on to be trained on",
                                  fix="correct `supersedes`, or leave it out where the old file is gone")  # fmt: skip
            assert newer.effective_from is not None, "the settings were checked"
            last = newer.effective_from - dt.timedelta(days=1)
            ends |= {path: (last, file.relative) for path in older if path not in ends or last < ends[path][0]}
    return Standing(project, ends)


def _check(project: Project) -> None:
    config = project.config
    rules = config.gates.permission
    if rules is not None and rules.max_label is not None and rules.max_label not in config.labels:
        raise ConfigError("config.unknown_label", f"{rules.max_label!r} is none of the declared labels",
                          where="gates.permission.max_label", why="nobody could tell what is above it",
                          fix=f"name one of {', '.join(config.labels)}")  # fmt: skip
    dated = [i for i, one in enumerate(config.sources) if one.effective_from or one.effective_until]
    if dated and config.as_of is None:
        raise ConfigError("config.no_as_of", "a source has dates of validity, and no day is given to judge them by",
                          where=project.declared_by(dated[0]),
                          why="the clock is never read, so that an ingest tomorrow makes the same corpus",
                          fix="add `as_of: YYYY-MM-DD` to the settings")  # fmt: skip
