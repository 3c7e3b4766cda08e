"""Opening DuckDB: the corpus file, an in-memory copy of it, and scratch databases for compilers.

Owns file modes, hardening and the errors of opening. It must not know any table.
Every connection is closed to the outside (`enable_external_access`), so that no SQL can read or write another file.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from hrmbuild.errors import HrmbuildError, InputError
from hrmbuild.files import disk_errors, sync_folder

_CLOSED = {"enable_external_access": "false", "autoinstall_known_extensions": "false"}
_MEMORY = {"memory_limit": "768MiB"}
"""Of DuckDB, for the corpus: what it needs beyond that spills into a folder beside the file."""
_QUIET = "SET enable_progress_bar = false"
"""Where DuckDB takes Python for a session of a person (`python -c`), it would draw a bar on stdout amid `--json`."""
_HOLDER = re.compile(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")


def _threads() -> dict[str, str]:
    """DuckDB starts a thread for each core of the machine, however few this process may use."""
    return {"threads": str(len(os.sched_getaffinity(0)))} if hasattr(os, "sched_getaffinity") else {}


_PRIVATE = 0o077
"""umask while the corpus is open for writing: DuckDB makes its write-ahead log anew at any time, and it holds rows."""


@contextmanager
def corpus_connection(path: Path, *, read_only: bool, create: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """The corpus file, mode 0600, made when it is absent and `create` is true.

    Raises:
        InputError: `store.missing`, `store.locked`, `store.not_a_corpus`, `disk.*`.
    """
    before = os.umask(_PRIVATE)
    try:
        if create and not path.exists():
            create_database(path)
        connection = _connect(path, read_only=read_only)
        connection.execute(_QUIET)
        try:
            yield connection
        except duckdb.Error as error:
            raise _full_disk(path, error) or error from error
        finally:
            connection.close()
    finally:
        os.umask(before)


def _full_disk(path: Path, error: duckdb.Error) -> InputError | None:
    """The error of a full disk (or of a limit on file size), whichever statement met it; None for any other."""
    if "No space left" not in str(error) and "File too large" not in str(error):
        return None
    return InputError(
        "disk.full",
        "no space is left to write the corpus",
        where=str(path),
        why="what was reported done is in it; the unit that was being written is not",
        fix="free some space (or choose another folder with --work), then run the same command again",
    )


def create_database(path: Path) -> None:
    """An empty database under its name, in one step: a kill leaves no half of a file that DuckDB would refuse, and of
    two that create at once the second does not put an empty file over the first one's corpus."""
    _check_name(path)
    incomplete = path.with_name(f".{path.name}.{os.getpid()}.incomplete")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        incomplete.unlink(missing_ok=True)
        try:
            duckdb.connect(str(incomplete), config=dict(_CLOSED)).close()
            os.link(incomplete, path)
        except duckdb.Error as error:
            raise _full_disk(path, error) or _not_writable(path, error) or error from error
        except FileExistsError:
            pass  # another came first; whether it can be opened now is told there
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            os.replace(incomplete, path)  # a file system without hard links
        finally:
            incomplete.unlink(missing_ok=True)
        sync_folder(path.parent)


def _not_writable(path: Path, error: duckdb.Error) -> InputError | None:
    """The error of a folder that takes no file; None for any other."""
    if "Cannot open file" not in str(error):
        return None
    return InputError("store.not_writable", "no corpus can be written here", where=str(path.parent),
                      why=str(error).rpartition(": ")[2], fix="choose another folder with --work")  # fmt: skip


def _check_name(path: Path) -> None:
    """DuckDB takes paths as UTF-8 only."""
    written = str(path).encode("utf-8", "backslashreplace").decode()
    if written != str(path):
        raise InputError("store.path_not_utf8", "the path of the corpus is not valid UTF-8", where=written,
                         fix="rename the folder, or choose another with --work")  # fmt: skip


def _connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    _check_name(path)
    if not path.exists():
        raise InputError(
            "store.missing",
            "there is no corpus yet",
            where=str(path),
            why="this step reads what ingest has written",
            fix="run: hrmbuild ingest",
        )
    try:
        return duckdb.connect(str(path), read_only=read_only, config={**_CLOSED, **_MEMORY, **_threads()})
    except duckdb.Error as error:
        raise open_error(path, str(error)) from error


def open_error(path: Path, message: str) -> HrmbuildError:
    """What DuckDB says about a file that it does not open, as a user can act on it."""
    if "lock" in message:
        return _locked(path, _HOLDER.search(message))
    if "not a valid DuckDB database" in message or "Is a directory" in message:
        return InputError(
            "store.not_a_corpus",
            "this is not a DuckDB file",
            where=str(path),
            why="a corpus is one DuckDB database; this file was made by something else, or its beginning is damaged",
            fix="move it away and run: hrmbuild ingest (the corpus is made again from its sources)",
        )
    return InputError(
        "store.unreadable",
        f"DuckDB cannot open the corpus: {message.splitlines()[0]}",
        where=str(path),
        fix="check the file's permissions; if it is damaged, move it away and run: hrmbuild ingest",
    )


def _locked(path: Path, holder: re.Match[str] | None) -> InputError:
    who = f"process {holder['pid']} ({Path(holder['program']).name})" if holder else "another process"
    return InputError(
        "store.locked",
        f"the corpus is in use by {who}",
        where=str(path),
        why="DuckDB lets one process write, and while it writes nobody else reads",
        fix="wait until it is done (or end it), then run the same command again",
    )


@contextmanager
def memory_copy(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory database with everything of the corpus file; empty where there is none. The file is not changed.

    Raises:
        InputError: as `corpus_connection`.
    """
    connection = duckdb.connect(":memory:")
    connection.execute(_QUIET)
    try:
        if path.exists():
            _copy_into(connection, path)
        connection.execute("SET enable_external_access = false")
        yield connection
    finally:
        connection.close()


def write_anew(path: Path) -> None:
    """Write the corpus into a new file, by rename: what was deleted stays in the pages of the old one for good.

    Raises:
        InputError: as `corpus_connection`; the disk's own word.
    """
    fresh, quoted = path.with_name(f".{path.name}.anew"), str(path).replace("'", "''")
    with disk_errors(path):
        for left in (fresh, fresh.with_name(f"{fresh.name}.wal")):
            left.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            with duckdb.connect(str(fresh)) as connection:
                connection.execute(_QUIET)
                connection.execute(f"ATTACH '{quoted}' AS old (READ_ONLY)")
                name = connection.execute("SELECT current_database()").fetchall()[0][0]
                connection.execute(f'COPY FROM DATABASE old TO "{name}"')
                connection.execute("DETACH old")
        except duckdb.Error as error:
            raise open_error(path, str(error)) from error
        finally:
            os.umask(before)
        os.replace(fresh, path)
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
        sync_folder(path.parent)


def _copy_into(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    quoted = str(path).replace("'", "''")
    try:
        connection.execute(f"ATTACH '{quoted}' AS file (READ_ONLY)")
    except duckdb.Error as error:
        raise open_error(path, str(error)) from error
    connection.execute("COPY FROM DATABASE file TO memory")
    connection.execute("DETACH file")


@contextmanager
def scratch_connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty in-memory database for a compiler: one thread (its results are small), closed to the outside."""
    connection = duckdb.connect(":memory:", config={**_CLOSED, "threads": "1"})
    try:
        yield connection
    finally:
        connection.close()
