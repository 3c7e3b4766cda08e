"""Which code, settings and templates a corpus comes from, as hashes.

Owns what goes into each hash. It must not read a clock, a host name or an absolute path.
"""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path
from typing import Any

import hrmbuild
from hrmbuild.assets import asset_folder
from hrmbuild.config.loading import Project, canonical_settings
from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import ConfigError, raise_all
from hrmbuild.fingerprint import canonical_json, hash_file, hash_value
from hrmbuild.pairs.environment import Templates
from hrmbuild.pipelines.decided import NOTHING_DECIDED, Decided, read_decided

_COMPILING = ("errors.py", "fingerprint.py", "gates", "pairs", "readers", "records")
"""What decides which pairs come out of a file; a change elsewhere compiles nothing again."""
_GATING = ("decided.py", "gatekeeping.py", "masking.py")
"""The same, of this room."""
_NOT_IN_PAIRS = ("path", "database", "owner", "license", "maker", "retain_until", "max_pairs", "repeat")
"""Settings of an entry that no compiled pair depends on: changing them compiles nothing again."""


@cache
def code_sha256(*rooms: str) -> str:
    """Hash of the package's Python files by name and content: all of them, or those of some rooms.

    Taken once a process: what runs is what was loaded, even where a file is edited meanwhile.
    """
    package = Path(hrmbuild.__file__).resolve().parent
    files = [path for path in sorted(package.rglob("*.py")) if "_assets" not in path.parts]
    named = [(path.relative_to(package), path) for path in files]
    chosen = [(name, path) for name, path in named if not rooms or name.parts[0] in rooms]
    return hash_value([[name.as_posix(), hash_file(path)] for name, path in chosen])


def compiling_code_sha256() -> str:
    """Hash of the code that decides which pairs come out of a file."""
    own = Path(hrmbuild.__file__).parent / "pipelines"
    return hash_value([code_sha256(*_COMPILING), *(hash_file(own / name) for name in _GATING)])


def project_templates(project: Project, *, parse: bool = True) -> Templates:
    """The project's own templates before the built-in ones.

    Args:
        parse: look at every own template now, whether a question will need it or not.

    Raises:
        ConfigError: `config.no_templates`: the folder that the settings name does not exist; `templates.unknown_kind`;
            `templates.syntax`, all of them at once.
    """
    folders = [asset_folder("templates")]
    if project.config.templates is not None:
        own = project.config_path.parent / project.config.templates
        if not own.is_dir():
            raise ConfigError(
                "config.no_templates",
                f"templates: there is no folder {project.config.templates}",
                where=project.config_path.name,
                fix="correct the path, or remove the key",
            )
        folders.insert(0, own)
        _check_kinds(own, folders[-1])
    templates = Templates(folders)
    if parse and len(folders) > 1:
        templates.parse(sorted(path.relative_to(folders[0]).as_posix() for path in folders[0].rglob("*.j2")))
    return templates


def _check_kinds(own: Path, built_in: Path) -> None:
    """A template in a folder that no compiler asks for would never be used, and nobody would know."""
    known = {path.parent.relative_to(built_in).as_posix() for path in built_in.rglob("*.j2")}
    for path in sorted(own.rglob("*.j2")):
        kind = path.parent.relative_to(own).as_posix()
        if kind not in known:
            near = difflib.get_close_matches(kind, sorted(known), n=1)
            raise ConfigError(
                "templates.unknown_kind", f"there is no kind of question {kind!r}, so this template is never used",
                where=f"templates/{path.relative_to(own).as_posix()}",
                fix=f"move it to {near[0]}/" if near else "see `hrmbuild templates list`",
            )  # fmt: skip


def check_names(project: Project) -> None:
    """Names that become keys of hashed values (strata, declared columns) must be such that they can be hashed.

    Raises:
        ConfigError: `config.name_not_hashable`, every entry at once.
    """
    problems: list[ConfigError] = []
    for entry, source in enumerate(project.config.sources):
        try:
            canonical_json({**canonical_settings(source), source.stratum or source.kind: 0})
        except ValueError as error:
            problems.append(
                ConfigError(
                    "config.name_not_hashable",
                    f"a name in this entry cannot stand in a manifest: {error}",
                    where=project.declared_by(entry),
                    why="strata and declared columns are keys of canonical JSON, whose order must be beyond doubt",
                    fix="use letters (none beyond U+FFFF) for the stratum, and for the column in the file and here",
                )
            )
    raise_all(problems)


def pair_settings(settings: SourceConfig) -> dict[str, Any]:
    """The settings of an entry that decide its pairs."""
    return {key: value for key, value in canonical_settings(settings).items() if key not in _NOT_IN_PAIRS}


def ingest_identity(project: Project, templates: Templates, *, decided: Decided | None = None) -> dict[str, str]:
    """Hashes of everything but the sources that a corpus depends on; the settings of model and run are none of them.

    Args:
        decided: what persons decided, as it was read; absent: as it stands now.
    """
    config = canonical_settings(project.config)
    keys = ("as_of", "gates", "labels", "limits", "seed", "sources")
    settings = hash_value({key: config[key] for key in keys if key in config})
    told = {"settings": settings, "templates": templates.tree_sha256(), "code": compiling_code_sha256()}
    decided = decided or read_decided(project)
    return told if decided == NOTHING_DECIDED else {**told, "decisions": decided.sha256}


_AFTER_FREEZE = frozenset({"train", "model", "package", "hardware", "roles", "default_role", "approvals"})
"""Settings that no manifest depends on."""


def freeze_settings_sha256(project: Project) -> str:
    """Hash of the settings that a manifest depends on: all but those of run, model, roles and hardware, so that another
    number of steps is no other corpus. The run's preset counts where it bounds the vocabulary."""
    settings = canonical_settings(project.config)
    kept = {key: value for key, value in settings.items() if key not in _AFTER_FREEZE}
    if "include" in kept:  # Where a base mix lies is no setting of the corpus: its root says which one is meant.
        kept["include"] = [{key: one[key] for key in one if key != "manifest"} for one in kept["include"]]
    preset = None if project.config.tokenizer.vocab_size else project.config.train.preset
    return hash_value([kept, preset])
