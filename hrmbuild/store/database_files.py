"""A user's own DuckDB file, opened to be read: never written, closed to the outside, limited in time and memory.

Owns that opening and its errors. It must not know what is asked of the file.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from hrmbuild.errors import InputError

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "threads": "1",
    "memory_limit": "1GB",
    "temp_directory": "",
}


@contextmanager
def open_database_file(path: Path, where: str, seconds: float) -> Iterator[duckdb.DuckDBPyConnection]:
    """The database at `path`, called `where` in messages; what takes longer than `seconds` is given up.

    Raises:
        InputError: `read.not_a_database`, `read.open_elsewhere`, `read.too_slow`.
    """
    try:
        connection = duckdb.connect(str(path), read_only=True, config=_CONFIG)
    except duckdb.Error as error:
        raise _refused(where, str(error)) from None
    late = threading.Event()
    timer = threading.Timer(seconds, lambda: (late.set(), connection.interrupt()))
    timer.daemon = True
    timer.start()
    try:
        yield connection
    except duckdb.Error as error:
        if late.is_set():
            what = f"reading the database took more than {seconds:g} s (limits.seconds_per_file)"
            raise InputError("read.too_slow", what, where=where,
                             fix="raise limits.seconds_per_file, or export the tables as CSV") from None  # fmt: skip
        raise _refused(where, str(error)) from None
    finally:
        timer.cancel()
        connection.close()


def _refused(where: str, message: str) -> InputError:
    first = message.splitlines()[0]
    if "lock" in message and "PID" in message:
        return InputError("read.open_elsewhere", "another program has this database open for writing", where=where,
                          fix="close it, then run again")  # fmt: skip
    return InputError("read.not_a_database", f"the file is no DuckDB database that can be read: {first}", where=where,
                      why="it may be damaged, encrypted or of a newer version",
                      fix="export its tables as Parquet or CSV")  # fmt: skip
