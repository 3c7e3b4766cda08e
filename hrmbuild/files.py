"""Writing that survives a kill: a temporary name, fsync, rename; the folder's entry is synced too.

Owns how bytes reach the disk. It must not know any format.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hrmbuild.errors import InputError


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Flush a file that a library wrote."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` so that `path` holds either its old bytes or all of the new ones.

    Raises:
        InputError: `disk.full` or `disk.not_writable`, with the remedy.
    """
    temporary = path.with_name(f".{path.name}.incomplete")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)


def rename_folder(incomplete: Path, final: Path) -> None:
    """Publish a finished folder: sync every file in it, then rename. `final` must not exist."""
    with disk_errors(final):
        for path in sorted(incomplete.rglob("*")):
            if path.is_file():
                sync_file(path)
        os.rename(incomplete, final)
        sync_folder(final.parent)


def entries_of(folder: Path, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Everything below a folder by POSIX path, sorted, with what it is: `file`, `hard link` (a file that has another
    name somewhere), `folder`, `symbolic link`, `special file`. Links are named, never followed."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        kind, name = _kind(entry.stat(follow_symlinks=False)), prefix + entry.name
        yield name, kind
        if kind == "folder":
            yield from entries_of(Path(entry.path), name + "/")


def _kind(status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        return "symbolic link"
    if stat.S_ISDIR(status.st_mode):
        return "folder"
    if not stat.S_ISREG(status.st_mode):
        return "special file"
    return "hard link" if status.st_nlink > 1 else "file"


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the disk says into an error that a user can act on."""
    try:
        yield
    except OSError as error:
        raise _disk_error(path, error) from error


def system_error(error: Exception) -> OSError | None:
    """The system's error inside one of a Rust library, which keeps its number in the message: `(os error 28)`."""
    found = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(found[1]), os.strerror(int(found[1]))) if found else None


def _disk_error(path: Path, error: OSError) -> InputError:
    # EFBIG: a limit on the size of files (`ulimit -f`) is a full disk to whoever meets it.
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return InputError(
            "disk.full",
            "no space is left to write this file",
            where=str(path),
            why="what was complete before is untouched",
            fix="free some space (or choose another folder), then run the same command again",
        )
    return InputError(
        "disk.not_writable",
        f"cannot write here: {error.strerror or error}",
        where=str(path),
        fix="check the folder's permissions, or choose another place",
    )
