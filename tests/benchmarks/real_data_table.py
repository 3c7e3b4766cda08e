"""Every real (or nasty) folder in one ingest, as a table: files, records, pairs by kind, rejects, skips, seconds.

Runs the ingest of a config whose entries lie below KIND/NAME/, with its own process tree's memory watched, then reads
the corpus. Every quote of it is looked up in its file again. The last line is one JSON object; the exit status is 1
where a quote does not stand at its place. (The balance of each stage is checked by the ingest itself.)

    python tests/benchmarks/real_data_table.py --data FOLDER [--config examples/all-real-data.yaml] [--work DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from hrmbuild.config.loading import load_project
from hrmbuild.errors import InputError
from hrmbuild.pairs.spans import apply_masks, read_masks
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.progress import SilentProgress
from hrmbuild.readers.resolving import resolve_in
from hrmbuild.readers.worker import load_texts_guarded
from hrmbuild.records.locator import Locator

SHOWN = 4
"""Reasons that a line names; all of them stand in the JSON."""


@dataclass
class Folder:
    """What became of the files of one folder."""

    read: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    records: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    seconds: float = 0.0


class Timed(SilentProgress):
    """Seconds of each folder: the time from one file's end to the next one's."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: Counter[str] = Counter()
        self._at_s = time.monotonic()

    def stage(self, name: str, *, total: int | None, unit: str) -> None:
        """The first file begins."""
        self._at_s = time.monotonic()

    def advance(self, n: int = 1, *, note: str = "", left_s: float | None = None, before: bool = False) -> None:
        """A file, or the files of an entry, are done."""
        now_s = time.monotonic()
        self.seconds[folder_of(note.rpartition("  ")[2])] += now_s - self._at_s
        self._at_s = now_s


class Memory(threading.Thread):
    """The most memory that this process and those it started held together, shared pages counted once (PSS)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_kib = 0
        self.ended = threading.Event()

    def run(self) -> None:
        """Look twenty times a second."""
        while not self.ended.wait(0.05):
            self.peak_kib = max(self.peak_kib, sum(map(_pss_kib, _tree(os.getpid()))))


def _tree(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(one) for task in tasks for one in (task / "children").read_text().split()]
    except OSError:
        return [pid]
    return [pid, *(one for child in children for one in _tree(child))]


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def folder_of(path: str) -> str:
    """`rules/gdpr-json` of a file below it."""
    return "/".join(path.split("/")[:2])


_ALIVE = "SELECT path, kind FROM candidate AS c ANTI JOIN verdict AS v ON c.unit = v.unit AND c.ordinal = v.ordinal"
_KEPT = f"""SELECT path, split_part(kind, '.', 1) || CASE WHEN kind LIKE 'tables.query%' THEN '.query' ELSE '' END,
            count(*) FROM ({_ALIVE}) GROUP BY ALL"""
_REJECTED = """
SELECT path, code, count(*) FROM (SELECT path, code FROM rejection WHERE stage <> 'read' UNION ALL
       SELECT path, code FROM candidate JOIN verdict USING (unit, ordinal)) GROUP BY ALL"""


def folders_of(connection: duckdb.DuckDBPyConnection) -> dict[str, Folder]:
    """The table's lines by folder."""
    found: dict[str, Folder] = {}
    sources = connection.execute("SELECT path, status, reason, n_records FROM source").fetchall()
    refused = connection.execute("SELECT path, 'quarantined', code, 0 FROM refused").fetchall()
    for path, status, reason, n_records in [*sources, *refused]:
        one = found.setdefault(folder_of(path), Folder())
        one.read += status == "read"
        one.records += n_records or 0
        if status != "read":
            one.quarantined[_short(reason.split(":")[0])] += 1
    for path, kind, n in connection.execute(_KEPT).fetchall():
        found[folder_of(path)].kept[kind] += n
    for path, code, n in connection.execute(_REJECTED).fetchall():
        found[folder_of(path)].rejected[_short(code)] += n
    for path, n in connection.execute("SELECT path, count(*) FROM skip GROUP BY path").fetchall():
        found[folder_of(path)].skipped += n
    return found


def _short(code: str) -> str:
    return code.partition(".")[2] or code


def wrong_quotes(connection: duckdb.DuckDBPyConnection, data: Path) -> tuple[int, list[str]]:
    """Quotes looked up in their files again, after the recorded masks; those that do not stand there."""
    formats = {path: meta["format"] for path, text in connection.execute("SELECT path, meta FROM source").fetchall()
               if (meta := json.loads(text))}  # fmt: skip
    rows = connection.execute(
        "SELECT path, occurrence FROM candidate AS c ANTI JOIN verdict AS v ON c.unit = v.unit AND "
        "c.ordinal = v.ordinal WHERE derivation = 'quoted' OR contains(occurrence, '\"char_from\"') "
        "ORDER BY path, c.ordinal"
    ).fetchall()
    wrong: list[str] = []
    texts: dict[str, Any] = {}
    for path, text in rows:
        one = json.loads(text)
        place = Locator.model_validate(one["locator"])
        if formats[path] == "ruleset":  # its text is rendered: parameters take their values first
            continue
        if path not in texts:
            texts = {path: load_texts_guarded(data / path, format=formats[path])}
        try:
            stands = apply_masks(resolve_in(texts[path], place, where=path), read_masks(one.get("inputs")))
        except (InputError, ValueError) as error:
            stands = f"({error})"
        if stands != one["text"]:
            wrong.append(f"{path}, {place}: {stands[:80]!r} where {one['text'][:80]!r} was quoted")
    return len(rows), wrong


def _most(counted: Counter[str]) -> str:
    shown = ", ".join(f"{name} {n:,}" for name, n in counted.most_common(SHOWN))
    return f"{shown}, …" if len(counted) > SHOWN else shown


def lines_of(folders: dict[str, Folder]) -> list[str]:
    """The table in Markdown."""
    lines = ["| folder | files read + quarantined | why quarantined | records | pairs kept by kind | rejected | "
             "parts skipped | s |", "| --- | --- | --- | ---: | --- | --- | ---: | ---: |"]  # fmt: skip
    for name, one in sorted(folders.items()):
        n_out = sum(one.quarantined.values())
        files = f"{one.read} + {n_out}" if n_out else f"{one.read}"
        lines.append(
            f"| {name} | {files} | {_most(one.quarantined)} | {one.records:,} | {_most(one.kept)} | "
            f"{_most(one.rejected)} | {one.skipped:,} | {one.seconds:.1f} |"
        )
    return lines


def main() -> int:
    """Ingest, table, quotes, one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path("examples/all-real-data.yaml"))
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="real-data-"))
    timed, memory, started_at_s = Timed(), Memory(), time.monotonic()
    memory.start()
    report = ingest(load_project(options.config, sources=options.data, work=work), progress=timed)
    seconds = time.monotonic() - started_at_s
    memory.ended.set()
    balance = report.balance
    assert report.seen == report.read + report.unchanged + len(report.quarantined), "a file is lost"
    assert balance.made == balance.kept + balance.rejected + balance.n_held, "a pair is lost"
    with duckdb.connect(str(work / "corpus.duckdb"), read_only=True) as connection:
        folders = folders_of(connection)
        n_quotes, wrong = wrong_quotes(connection, options.data)
    for name, spent_s in timed.seconds.items():
        folders[name].seconds = spent_s
    print(*lines_of(folders), sep="\n")
    print(*wrong[:20], sep="\n", file=sys.stderr)
    told = {
        "seconds": round(seconds, 1), "peak_mib": round(memory.peak_kib / 1024), "files": report.seen,
        "read": report.read, "quarantined": len(report.quarantined), "made": balance.made, "kept": balance.kept,
        "rejected": balance.rejected, "quotes": n_quotes, "wrong_quotes": len(wrong), "reasons": balance.reasons,
    }  # fmt: skip
    print(json.dumps(told))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
