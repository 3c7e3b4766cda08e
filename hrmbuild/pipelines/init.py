"""`hrmbuild init`: a project folder with commented settings, source folders and a `.gitignore`; or the example company.

Never overwrites: a file that exists is an error, and nothing is written then.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrmbuild.assets import asset_folder
from hrmbuild.config.loading import CONFIG_NAME
from hrmbuild.errors import UsageError
from hrmbuild.files import disk_errors, write_atomic

SOURCE_FOLDERS = ("policies", "rules", "memos", "tables", "pairs")
IGNORED = (
    "corpus.duckdb*\nmanifests/\nruns/\npackages/\nreports/\ntoken-files/\nevaluations.jsonl\nledger.jsonl\n.ledger/\n.verify/\n"
    "*.private.pem\n"
)


@dataclass(frozen=True)
class InitReport:
    """What was made."""

    folder: Path
    created: tuple[str, ...]
    """POSIX paths relative to the folder, sorted."""

    def as_dict(self) -> dict[str, Any]:
        """Keys of `--json`."""
        return {"folder": str(self.folder), "created": list(self.created)}


def init_project(folder: Path, *, demo: bool) -> InitReport:
    """Make a project in `folder`, which may exist but may not hold a project or anything that would be overwritten.

    Raises:
        UsageError: `init.exists` names what stands in the way.
        InputError: the disk's own word.
    """
    contents = _example_files() if demo else _empty_project()
    in_the_way = sorted(name for name in contents if (folder / name).exists())
    if in_the_way:
        raise UsageError(
            "init.exists",
            f"{in_the_way[0]} exists already",
            where=str(folder),
            why="init never overwrites a file",
            fix="choose an empty folder, or work in this project as it is",
        )
    for name, data in contents.items():
        write_atomic(folder / name, data)
    with disk_errors(folder):
        for name in () if demo else SOURCE_FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
    return InitReport(folder=folder, created=tuple(sorted(contents)))


def _empty_project() -> dict[str, bytes]:
    template = asset_folder("templates") / "init" / CONFIG_NAME
    return {CONFIG_NAME: template.read_bytes(), ".gitignore": IGNORED.encode()}


def _example_files() -> dict[str, bytes]:
    folder = asset_folder("examples")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return contents | {".gitignore": IGNORED.encode()}
