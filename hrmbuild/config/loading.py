"""From `hrmbuild.yaml` to a checked project: found by walking up, strict, every problem at once with its line.

Owns discovery and the messages about settings. It must not open any source or artifact.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

from pydantic import BaseModel, ValidationError

from hrmbuild.config.project import ProjectConfig
from hrmbuild.config.yaml_lines import Positioned, parse_yaml
from hrmbuild.errors import ConfigError, HrmbuildError, UsageError, raise_all
from hrmbuild.fingerprint import hash_value

CONFIG_NAME, CORPUS_NAME = "hrmbuild.yaml", "corpus.duckdb"
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Project:
    """A config with the folders that its relative paths mean."""

    config: ProjectConfig
    config_path: Path
    folder: Path
    """Source paths start here: the config's folder, or `--sources DIR`."""
    work: Path
    """Corpus, manifests, runs and packages stand here: the config's folder, or `--work DIR`."""
    source_lines: tuple[int, ...] = field(default=())
    """Line of each entry of `sources`."""

    @property
    def config_sha256(self) -> str:
        """Hash of the resolved config: equal settings, equal hash, wherever the file lies."""
        return hash_value(canonical_settings(self.config))

    @property
    def corpus_path(self) -> Path:
        """The DuckDB file."""
        return self.work / CORPUS_NAME

    @property
    def manifests_folder(self) -> Path:
        """One folder a frozen corpus."""
        return self.work / "manifests"

    @property
    def runs_folder(self) -> Path:
        """One folder a training run."""
        return self.work / "runs"

    @property
    def packages_folder(self) -> Path:
        """One folder a packaged model."""
        return self.work / "packages"

    def declared_by(self, entry: int) -> str:
        """`hrmbuild.yaml:12` for entry number `entry` of `sources`, 0-based."""
        line = self.source_lines[entry] if entry < len(self.source_lines) else 1
        return f"{self.config_path.name}:{line}"


def canonical_settings(settings: BaseModel) -> dict[str, Any]:
    """Settings as canonical JSON can hold them: defaults filled in, absent keys left out, floats as decimal text."""
    return _without_floats(settings.model_dump(mode="json", exclude_none=True))


def _without_floats(value: Any) -> Any:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return {key: _without_floats(child) for key, child in cast(dict[str, Any], value).items()}
    return [_without_floats(child) for child in cast(list[Any], value)] if isinstance(value, list) else value


def find_config(start: Path) -> Path | None:
    """The nearest `hrmbuild.yaml` in `start` or above it."""
    folder = start.resolve()
    for candidate in (folder, *folder.parents):
        if (candidate / CONFIG_NAME).is_file():
            return candidate / CONFIG_NAME
    return None


def load_project(config: Path | None, *, sources: Path | None = None, work: Path | None = None) -> Project:
    """Find, read and check the settings.

    Raises:
        UsageError: `config.not_found`, `config.no_folder`.
        ConfigError: everything wrong inside the file, all at once.
    """
    path = config if config is not None else find_config(Path.cwd())
    if path is None:
        raise UsageError(
            "config.not_found",
            f"there is no {CONFIG_NAME} here or in any folder above",
            where=".",
            fix="change to a project's folder, give --config FILE, or start one: hrmbuild init DIR --demo",
        )
    positioned = parse_yaml(_read_settings(path), name=path.name)
    settings = validate_settings(ProjectConfig, positioned, name=path.name)
    _check_labels(settings, positioned, name=path.name)
    _check_roles(settings, positioned, name=path.name)
    folder = path.resolve().parent
    return Project(
        config=settings,
        config_path=path.resolve(),
        folder=_existing_folder(sources, "--sources") or folder,
        work=work.resolve() if work else folder,
        source_lines=tuple(positioned.place_of(("sources", i))[0] for i in range(len(settings.sources))),
    )


def _read_settings(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(
            "config.not_found",
            "this file does not exist",
            where=str(path),
            fix="check the path after --config",
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            "config.not_utf8",
            "the settings are not UTF-8 text",
            where=str(path),
            fix="save the file as UTF-8",
        ) from error
    except OSError as error:
        raise ConfigError(
            "config.unreadable", f"cannot read the settings: {error.strerror}", where=str(path),
            fix="check that it is a file and its permissions",
        ) from error  # fmt: skip


def _existing_folder(folder: Path | None, flag: str) -> Path | None:
    if folder is None:
        return None
    if not folder.is_dir():
        raise UsageError("config.no_folder", "this folder does not exist", where=f"{flag} {folder}",
                         fix="check the path")  # fmt: skip
    return folder.resolve()


def validate_settings(model: type[Model], positioned: Positioned, *, name: str) -> Model:
    """Check parsed YAML against a strict model; every problem is named with line and column."""
    _check_spelt_once(positioned, name=name)
    value = _normalised(positioned.value)
    if not isinstance(value, dict):
        raise ConfigError("config.empty", "the file holds no settings", where=name,
                          fix="see the commented example: hrmbuild init DIR --demo")  # fmt: skip
    try:
        return model.model_validate(value)
    except ValidationError as error:
        details = _without_echoes(error.errors())
        problems: list[HrmbuildError] = [
            _problem(detail, model=model, positioned=positioned, name=name) for detail in details
        ]
        raise_all(problems)
        raise


def _check_spelt_once(positioned: Positioned, *, name: str) -> None:
    """`license` and `licence` are one key: of two values one would be lost."""
    places = positioned.places
    twice = [path for path in places if path[-1:] == ("licence",) and (*path[:-1], "license") in places]
    raise_all([
        ConfigError("config.duplicate_key", "license and licence are one key, and both stand here",
                    where=f"{name}:{places[path][0]}:{places[path][1]}", fix="remove one of them")
        for path in twice
    ])  # fmt: skip


def _normalised(value: Any) -> Any:
    """`licence` means `license`, in each source and in the model's card."""
    if isinstance(value, dict):
        entries = cast(dict[Any, Any], value)
        return {("license" if key == "licence" else str(key)): _normalised(v) for key, v in entries.items()}
    return [_normalised(child) for child in cast(list[Any], value)] if isinstance(value, list) else value


def _check_labels(settings: ProjectConfig, positioned: Positioned, *, name: str) -> None:
    problems: list[HrmbuildError] = []
    for number, source in enumerate(settings.sources):
        if source.label not in settings.labels:
            line, column = positioned.place_of(("sources", number, "label"))
            problems.append(
                ConfigError(
                    "config.undeclared_label",
                    f"sources.{number}.label: {source.label!r} is not declared",
                    where=f"{name}:{line}:{column}",
                    fix=f"use one of {', '.join(settings.labels)}, or declare it under labels",
                )
            )
    raise_all(problems)


def _check_roles(settings: ProjectConfig, positioned: Positioned, *, name: str) -> None:
    """A role reads up to a declared label, and the default role is declared."""
    roles = settings.roles or {}
    problems: list[HrmbuildError] = []

    def add(code: str, what: str, place: tuple[str | int, ...], fix: str) -> None:
        line, column = positioned.place_of(place)
        problems.append(ConfigError(code, what, where=f"{name}:{line}:{column}", fix=fix))

    for role, label in roles.items():
        if label not in settings.labels:
            fix = f"use one of {', '.join(settings.labels)}, or declare it under labels"
            add("config.undeclared_label", f"roles.{role}: {label!r} is not declared", ("roles", role), fix)
    if settings.default_role is not None and settings.default_role not in roles:
        known = ", ".join(roles) or "none yet"
        fix = f"declare it under roles (declared: {known})"
        add(
            "config.undeclared_role", f"default_role: {settings.default_role!r} is not declared", ("default_role",), fix
        )
    raise_all(problems)


def _without_echoes(details: list[Any]) -> list[Any]:
    """Leave out what follows from a problem further in: a list is 'too short' when its one entry is wrong."""
    paths = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if not any(path != detail["loc"] and path[: len(detail["loc"])] == detail["loc"] for path in paths)
    ]


def _problem(detail: Any, *, model: type[BaseModel], positioned: Positioned, name: str) -> ConfigError:
    path = tuple(detail["loc"])
    line, column = positioned.place_of(tuple(part if isinstance(part, int) else str(part) for part in path))
    where = f"{name}:{line}:{column}"
    dotted = ".".join(str(part) for part in path)
    if detail["type"] == "extra_forbidden":
        return _unknown_key(path, model=model, where=where)
    if detail["type"] == "missing":
        return ConfigError("config.missing_key", f"{dotted} is missing", where=where, fix=f"add {path[-1]!r}")
    message = detail["msg"].removeprefix("Value error, ")
    what = f"{dotted}: {message}" if dotted else message
    got = detail.get("input")
    why = f"it is {_short(repr(got), 120)}" if isinstance(got, str | int | float | bool) else None
    return ConfigError("config.bad_value", _short(what, 500), where=where, why=why, fix=_nearest_choice(detail))


def _short(text: str, most: int) -> str:
    """A value pasted in by mistake does not fill the terminal."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _nearest_choice(detail: Any) -> str:
    choices = re.findall(r"'([^']+)'", detail.get("ctx", {}).get("expected", ""))
    nearest = difflib.get_close_matches(str(detail.get("input")), choices, n=1, cutoff=0.5)
    return f"did you mean {nearest[0]!r}?" if nearest else "correct the value"


def _unknown_key(path: tuple[Any, ...], *, model: type[BaseModel], where: str) -> ConfigError:
    known = _keys_at(model, path[:-1])
    nearest = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
    fix = f"did you mean {nearest[0]!r}?" if nearest else f"the keys here are: {', '.join(known)}"
    dotted = ".".join(str(part) for part in path)
    return ConfigError("config.unknown_key", f"{dotted} is no setting", where=where, fix=fix)


def _keys_at(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """Field names of the block at `path`, found by walking the annotations."""
    block: Any = model
    for part in path:
        if isinstance(part, int):
            continue
        field_info = block.model_fields.get(part) if hasattr(block, "model_fields") else None
        block = _block_in(field_info.annotation) if field_info else None
        if block is None:
            return []
    return sorted(block.model_fields)


def _block_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        found = _block_in(inner)
        if found is not None:
            return found
    return None
