"""From the entries of `sources` to files: globs and folders expanded, every file found once, nothing lost in silence.

Owns finding files and what is refused before it is opened. It must not read a file's content, only hash it.

A path with `*`, `?` or `[` is a glob (`**` crosses folders); a folder, named or matched, is walked. Names that begin
with a dot are not matched unless the path spells the dot, as in shells; their number is reported. Links to files are
followed inside the folder that the path starts at and refused where they leave it; links to folders are refused, so
that no file is reached in two ways.
"""

from __future__ import annotations

import difflib
import fnmatch
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from hrmbuild.audit.decisions import DECISIONS_NAME
from hrmbuild.audit.edits import EDITS_NAME
from hrmbuild.audit.log import LOG_NAME
from hrmbuild.config.loading import Project
from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import ConfigError, raise_all
from hrmbuild.fingerprint import hash_file
from hrmbuild.gates.secrets import find_secrets
from hrmbuild.pipelines.masking import without_secrets
from hrmbuild.pipelines.scorings import FILE_NAME as SCORINGS_NAME
from hrmbuild.readers.registry import READERS
from hrmbuild.store.reading import Refused

_WILD = frozenset("*?[")


@dataclass(frozen=True)
class FoundFile:
    """A file that an entry declares."""

    path: Path
    relative: str
    """POSIX path relative to the folder that source paths start at."""
    sha256: str
    n_bytes: int
    entry: int
    """Number of its entry, 0-based."""


@dataclass
class Found:
    """Everything that the entries of a project match."""

    files: list[FoundFile] = field(default_factory=list)
    """Sorted by relative path, each once."""
    refused: list[Refused] = field(default_factory=list)
    unmatched: list[tuple[int, str]] = field(default_factory=list)
    """Entries that match no file, each with what was found instead."""
    n_hidden: int = 0
    """Files and folders left out because their names begin with a dot."""


@dataclass
class _Walk:
    """What a walk over one entry has met."""

    files: list[Path] = field(default_factory=list)
    refused: list[tuple[str, str, str]] = field(default_factory=list)
    """Path, code, one sentence."""
    n_hidden: int = 0


def find_files(project: Project) -> Found:
    """Expand every entry.

    Raises:
        ConfigError: `config.absolute_path`; `config.source_twice`: two entries that disagree match one file. All of
            them at once.
    """
    found = Found()
    problems: list[ConfigError] = []
    owners: dict[str, FoundFile] = {}
    refused: dict[str, Refused] = {}
    twice: dict[tuple[int, int], list[str]] = {}
    for entry, settings in enumerate(project.config.sources):
        if settings.format is not None and settings.format not in READERS:
            problems.append(_unknown_reader(project, settings.format, entry))
        try:
            walk = _walk_pattern(project, settings.path, where=project.declared_by(entry))
        except ConfigError as error:
            problems.append(error)
            continue
        found.n_hidden += walk.n_hidden
        if not walk.files and not walk.refused:
            found.unmatched.append((entry, _why_nothing(project, settings.path)))
        for file in _admitted(project, walk, entry=entry):
            first = owners.setdefault(file.relative, file)
            if not _agree(project, first.entry, entry):
                twice.setdefault((first.entry, entry), []).append(file.relative)
        for path, code, detail in walk.refused:
            refused.setdefault(path, Refused(path, code, detail, project.declared_by(entry)))
    raise_all([*problems, *(_declared_twice(project, *pair, named) for pair, named in twice.items())])
    found.files = [owners[relative] for relative in sorted(owners)]
    found.refused = [refused[path] for path in sorted(refused)]
    return found


def expand_glob(project: Project, pattern: str, *, entry: int) -> list[FoundFile]:
    """The readable files of another glob of an entry (its context), sorted."""
    walk = _walk_pattern(project, pattern, where=project.declared_by(entry))
    return sorted(_admitted(project, walk, entry=entry), key=lambda file: file.relative)


def _agree(project: Project, one: int, other: int) -> bool:
    sources = project.config.sources
    return _without_path(sources[one]) == _without_path(sources[other])


def _without_path(settings: SourceConfig) -> SourceConfig:
    return settings.model_copy(update={"path": ""})


def _declared_twice(project: Project, first: int, second: int, files: Sequence[str]) -> ConfigError:
    more = f" and {len(files) - 1:,} more files are" if len(files) > 1 else " is"
    return ConfigError(
        "config.source_twice",
        f"{files[0]}{more} declared here and at {project.declared_by(first)}, and the two disagree",
        where=project.declared_by(second),
        why="every file is read once, under one declaration",
        fix="narrow one of the two paths, or make the entries equal",
    )


def _unknown_reader(project: Project, format: str, entry: int) -> ConfigError:
    nearest = difflib.get_close_matches(format, READERS, n=1, cutoff=0.5)
    return ConfigError(
        "config.unknown_format",
        f"there is no reader called {format!r}",
        where=project.declared_by(entry),
        why=f"'format:' is one of {', '.join(sorted(READERS))}",
        fix=f"did you mean {nearest[0]!r}?" if nearest else "leave 'format:' out: the files themselves say it",
    )


def _admitted(project: Project, walk: _Walk, *, entry: int) -> Iterator[FoundFile]:
    """Hash what may be read; what cannot be read joins the refused."""
    for path in walk.files:
        if find_secrets(relative_name(project, path)):
            told = without_secrets(relative_name(project, path))
            walk.refused.append((told, "read.secret_name", "its name holds a secret, and names are shown to everybody"))
            continue
        try:
            size, digest = path.stat().st_size, hash_file(path)
        except OSError as error:
            detail = f"the file cannot be read: {error.strerror or error}"
            walk.refused.append((relative_name(project, path), "read.unreadable", detail))
            continue
        yield FoundFile(path, relative_name(project, path), digest, size, entry)


def relative_name(project: Project, path: Path) -> str:
    """POSIX path from the folder that source paths start at; bytes that are no UTF-8 are shown escaped."""
    name = Path(os.path.relpath(path, project.folder)).as_posix()
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _why_nothing(project: Project, pattern: str) -> str:
    base = _literal_prefix(pattern)
    if not (project.folder / base).exists():
        return f"there is no {base}"
    return f"{base} holds no such file" if _WILD & set(pattern) else f"the folder {base} holds no file"


# --- walking ----------------------------------------------------------------------------------------------------------


def _literal_prefix(pattern: str) -> str:
    parts = PurePosixPath(pattern).parts
    n = next((i for i, part in enumerate(parts) if _WILD & set(part)), len(parts))
    return PurePosixPath(*parts[:n]).as_posix()


def _walk_pattern(project: Project, pattern: str, *, where: str) -> _Walk:
    if PurePosixPath(pattern).is_absolute():
        raise ConfigError(
            "config.absolute_path",
            f"{pattern} is an absolute path",
            where=where,
            why="manifests name sources by relative paths, so that they can be checked elsewhere",
            fix="write it relative to the settings' folder, or give that folder with --sources DIR",
        )
    walk = _Walk()
    if os.path.lexists(project.folder / pattern):
        base, wanted = project.folder / pattern, ()
    else:
        prefix = _literal_prefix(pattern)
        base = project.folder / prefix
        wanted = PurePosixPath(pattern).parts[len(PurePosixPath(prefix).parts) :]
    root = project.folder if base.is_relative_to(project.folder) and ".." not in base.parts else base.resolve()
    _Walker(project, root=root, base=base, wanted=wanted, walk=walk).run()
    walk.files.sort()
    return walk


class _Walker:
    """Walks one base folder in sorted order."""

    def __init__(self, project: Project, *, root: Path, base: Path, wanted: tuple[str, ...], walk: _Walk) -> None:
        self._project, self._root, self._base, self._wanted, self._walk = project, root, base, wanted, walk
        self._own = _own_files(project)

    def run(self) -> None:
        """Visit the base itself, or everything below it."""
        if self._base.is_symlink() or not self._base.is_dir():
            if os.path.lexists(self._base):
                self._take(self._base)
            return
        self._visit(self._base, ())

    def _visit(self, folder: Path, inside: tuple[str, ...]) -> None:
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            self._refuse(folder, "read.unreadable", f"the folder cannot be listed: {error.strerror or error}")
            return
        for name in names:
            path, parts = folder / name, (*inside, name)
            if self._is_hidden(name):
                self._walk.n_hidden += 1
            elif path in self._own:
                continue
            elif path.is_dir() and not path.is_symlink():
                self._visit(path, parts)
            elif _matches(self._wanted, parts):
                self._take(path)

    def _is_hidden(self, name: str) -> bool:
        return name.startswith(".") and not any(part.startswith(".") for part in self._wanted)

    def _take(self, path: Path) -> None:
        if not _is_text(os.path.relpath(path, self._project.folder)):
            self._refuse(path, "read.file_name", "the name of the file or of a folder above is not valid UTF-8")
        elif path.is_symlink():
            self._take_link(path)
        elif path.is_file():
            self._walk.files.append(path)
        else:
            self._refuse(path, "read.not_a_file", "it is neither a file nor a folder")

    def _take_link(self, path: Path) -> None:
        target = path.resolve()
        if not target.is_relative_to(self._root.resolve()):
            self._refuse(path, "read.link_outside", "the link leaves the folder of the sources; copy the file instead")
        elif target.is_dir():
            self._refuse(path, "read.link_to_folder", "links to folders are not followed; name the folder itself")
        elif not target.is_file():
            self._refuse(path, "read.link_broken", "the link leads nowhere")
        else:
            self._walk.files.append(target)

    def _refuse(self, path: Path, code: str, detail: str) -> None:
        self._walk.refused.append((relative_name(self._project, path), code, detail))


def _own_files(project: Project) -> frozenset[Path]:
    """What hrmbuild itself writes or reads as settings: never a source, even under `path: .`."""
    work = project.work
    folders = (project.manifests_folder, project.runs_folder, project.packages_folder)
    names = ("token-files", SCORINGS_NAME, DECISIONS_NAME, EDITS_NAME, LOG_NAME, f"{project.corpus_path.name}.wal")
    templates = {project.config_path.parent / project.config.templates} if project.config.templates else set()
    own = {project.corpus_path, project.config_path, *folders, *templates, *(work / name for name in names)}
    return frozenset(own)


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _matches(wanted: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """Whether the pattern matches this path, or a folder above it (which is then walked)."""
    return any(_matches_whole(wanted, parts[:n]) for n in range(len(parts) + 1))


def _matches_whole(wanted: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_matches_whole(wanted[1:], parts[n:]) for n in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], wanted[0]) and _matches_whole(wanted[1:], parts[1:])
