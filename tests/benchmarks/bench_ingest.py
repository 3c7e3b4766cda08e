"""A million pairs from JSON lines and from Parquet, beside Hugging Face `datasets`, on two cores; then the gates.

Owns the input, the measuring and the table. Three contenders, each a process of its own, one after the other and in
turns: `datasets` (see `ingest_rival`); the bulk road doing the very same (read, map, id, validate, exact duplicates,
write: `same`); the whole ingest without gates (`whole`: with typed answers, content keys, occurrences with their
places, the draw of the split, contradictions, and the corpus in one file). Gates are off on all sides.
What is timed is the work, not the start of Python. Peak memory is the sum over a contender's processes, pages that they
share counted once. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
WORDS = 4000


def make_rows(n: int, folder: Path) -> dict[str, Path]:
    """The same rows as JSON lines and as Parquet; one in a hundred stands twice."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw = np.random.default_rng(7)  # the input of a benchmark, not a corpus
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    words = np.array(["".join(letters[draw.integers(0, 26, size)]) for size in draw.integers(2, 10, WORDS)])
    paths = {"jsonl": folder / "rows.jsonl", "parquet": folder / "rows.parquet"}
    made: dict[str, list[str]] = {"condition": [], "instruction": [], "response": []}
    for number in range(n):
        if number % 100 == 99:
            for column in made.values():
                column.append(column[-1])
            continue
        asked, answered = draw.integers(0, WORDS, draw.integers(15, 50)), draw.integers(0, WORDS, draw.integers(10, 50))
        made["condition"].append("direct")
        made["instruction"].append(f"{' '.join(words[asked])}?" + ("\n„Zürich“ – né" if number % 50 == 7 else ""))
        made["response"].append(f"{' '.join(words[answered])}.")
    with paths["jsonl"].open("w", encoding="utf-8") as file:
        for row in zip(*made.values(), strict=True):
            file.write(json.dumps(dict(zip(made, row, strict=True)), ensure_ascii=False) + "\n")
    pq.write_table(pa.table(made), paths["parquet"], row_group_size=65_536)
    return paths


def job_of(path: Path, folder: Path) -> Any:
    """The bulk road's job for one file."""
    from hrmbuild.config.loading import load_project
    from hrmbuild.pipelines.bulk_worker import BulkJob
    from hrmbuild.pipelines.identity import project_templates
    from hrmbuild.pipelines.source_files import find_files
    from hrmbuild.pipelines.units import plan_units, source_of

    settings = folder / "hrmbuild.yaml"
    settings.write_text(
        f"name: bench\nsources: [{{path: {path.name}, kind: pairs, owner: bench, license: CC0-1.0, label: public}}]\n"
    )
    project = load_project(settings, sources=path.parent, work=folder)
    templates = project_templates(project)
    [unit] = plan_units(project, find_files(project), templates).units
    source = source_of(unit.files[0], unit, format_name=path.suffix[1:])
    return project, BulkJob(project.config, templates, unit, source)


def whole(path: Path, folder: Path) -> int:
    """Ingest without gates, the pass over the corpus included."""
    from hrmbuild.pipelines.bulk_pairs import work_in_bulk
    from hrmbuild.store.corpus import Corpus

    project, job = job_of(path, folder)
    with Corpus.open(project.corpus_path) as corpus:
        with corpus.replace_unit(job.unit.name, job.unit.key) as writer:
            assert work_in_bulk(job, job.unit.files[0], writer, gates=False)
        corpus.settle(labels=project.config.labels, seed=project.config.seed)
        return corpus.n_pairs()


def same(path: Path, folder: Path) -> int:
    """What the rival does, with the bulk road's reader, mapping and validation, into a DuckDB file, which is synced."""
    import duckdb
    import numpy as np

    from hrmbuild.pairs.imported_sql import IDENTITY, QUOTED
    from hrmbuild.pipelines.bulk_mapping import mapping_of
    from hrmbuild.pipelines.bulk_pairs import TABLES
    from hrmbuild.pipelines.bulk_plain import looked_at
    from hrmbuild.readers.bulk_lines import read_ahead
    from hrmbuild.records.pair import Pair
    from hrmbuild.records.sql import predicate
    from hrmbuild.store.bulk import PLACED, BulkPiece, write_uncompressed

    kind = path.suffix[1:]
    columns = {name: name for name in ("id", "condition", "instruction", "response")}
    valid = predicate(Pair, columns, without=set(Pair.model_fields) - set(columns))
    mapping = None
    with duckdb.connect(str(folder / "same.duckdb"), config={"memory_limit": "768MiB", "threads": "2"}) as connection:
        connection.execute("CREATE TABLE kept (line BIGINT, id VARCHAR, condition VARCHAR, instruction VARCHAR, "
                           "response VARCHAR)")  # fmt: skip
        connection.execute("BEGIN")
        write_uncompressed(connection)
        for looked in read_ahead(looked_at(TABLES[kind](path, relative=path.name, sha256=None), kind, None)):
            piece = BulkPiece(connection, looked.table)
            if mapping is None:
                mapping = mapping_of(kind, None, looked.table)
                mapping.learn(piece)  # as for an ingest: not again until a row is strange, and here none is
            certain = piece.map(mapping.select(), looked.is_plain, looked.made)
            piece.place(np.arange(len(certain)), certain)
            [(n,)] = connection.execute(
                f"INSERT INTO kept SELECT line, id, condition, instruction, response FROM ("
                f"SELECT *, {IDENTITY} AS id FROM (SELECT * REPLACE ({QUOTED}) FROM {PLACED})) WHERE {valid}"
            ).fetchall()
            assert n == len(certain), "a row is neither plain nor certain"
            piece.close()
        connection.execute("COMMIT")
        connection.execute(
            "DELETE FROM kept WHERE line IN (SELECT unnest(list_sort(list(line))[2:]) FROM kept "
            "SEMI JOIN (SELECT id FROM kept GROUP BY id HAVING count(*) > 1) AS twice USING (id) GROUP BY id)"
        )
        return int(connection.execute("SELECT count(*) FROM kept").fetchall()[0][0])


def peak_of(process: subprocess.Popen[str]) -> list[int]:
    """Watches the proportional memory of a process and its children, in KiB, until it ends; the peak comes first."""
    peak = [0]

    def watch() -> None:
        while process.poll() is None:
            peak[0] = max(peak[0], sum(_kib(pid) for pid in _tree(process.pid)))
            time.sleep(0.1)

    threading.Thread(target=watch, daemon=True).start()
    return peak


def _tree(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for one in found:
        found += parents.get(one, [])
    return found


def _kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def measured(name: str, path: Path) -> dict[str, Any]:
    """One contender over one file."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        quiet = {"HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "HF_HOME": folder, "PYTHONWARNINGS": "ignore"}
        if name == "datasets":
            command = [sys.executable, str(HERE / "ingest_rival.py"), str(path), folder]
            loads = [sys.executable, "-c", "import datasets, polars, pydantic"]
        else:
            command = [sys.executable, __file__, "--only", name, "--file", str(path), "--folder", folder]
            loads = [sys.executable, "-c", "import hrmbuild.pipelines.bulk_pairs, hrmbuild.store.corpus, duckdb"]
        start = _seconds(loads, quiet)[0]
        seconds, n, peak = _seconds(command, quiet)
        return {"seconds": seconds - start, "rows": int(n.split()[-1]), "peak_mib": peak / 1024}


def _seconds(command: list[str], environment: dict[str, str]) -> tuple[float, str, int]:
    began = time.perf_counter()
    with subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True) as process:
        peak = peak_of(process)
        out = process.communicate()[0]
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return time.perf_counter() - began, out, peak[0]


def gate_rates(path: Path, n: int) -> dict[str, float]:
    """Rows per second of each gate, alone in one process."""
    from hrmbuild.config.project import GatesConfig
    from hrmbuild.gates.registry import GATES
    from hrmbuild.records.locator import Locator
    from hrmbuild.records.pair import Answer, CompiledPair, Occurrence, SplitKeys

    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for _, line in zip(range(n), file, strict=False)]
    zeros = "0" * 64
    pairs = [
        CompiledPair(
            instruction=row["instruction"], response=row["response"], kind="pairs.text", stratum="pairs",
            derivation="imported", answer=Answer(type="text", value=row["response"]), content_key=zeros,
            label="public", split_keys=SplitKeys(document="rows"),
            occurrence=Occurrence(source_sha256=zeros, locator=Locator(), text=row["response"], template_sha256=zeros),
        )
        for row in rows
    ]  # fmt: skip
    rates: dict[str, float] = {}
    for gate in GATES:
        began = time.perf_counter()
        for pair in pairs:
            gate.check(pair, GatesConfig())
        rates[gate.name] = len(pairs) / (time.perf_counter() - began)
    return rates


def main() -> None:
    """The table, and one JSON line."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--rows", type=int, default=1_000_000)
    asked.add_argument("--rounds", type=int, default=1)
    asked.add_argument("--only", choices=["same", "whole"])
    asked.add_argument("--file", type=Path)
    asked.add_argument("--folder", type=Path)
    told = asked.parse_args()
    if told.only:
        print({"same": same, "whole": whole}[told.only](told.file, told.folder))
        return
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)
    result: dict[str, Any] = {"benchmark": "ingest", "rows": told.rows, "cores": len(cores)}
    with tempfile.TemporaryDirectory() as folder:
        paths = make_rows(told.rows, Path(folder))
        print(
            f"{told.rows:,} rows, {len(cores)} cores, gates off\n{'':8} {'':9} {'seconds':>8} {'rows/s':>9} {'MiB':>6}"
        )
        for kind, path in paths.items():
            best: dict[str, dict[str, Any]] = {}
            for name in ("datasets", "same", "whole") * told.rounds:
                once = measured(name, path)
                best[name] = min(once, best.get(name, once), key=lambda one: one["seconds"])
            assert len({one["rows"] for name, one in best.items() if name != "whole"}) == 1, best
            for name, one in best.items():
                rate = told.rows / one["seconds"]
                print(f"{kind:8} {name:9} {one['seconds']:8.2f} {rate:9,.0f} {one['peak_mib']:6,.0f}", flush=True)
            result[kind] = {name: {key: round(value, 2) for key, value in one.items()} for name, one in best.items()}
        rates = gate_rates(paths["jsonl"], 20_000)
    print("\ngates, rows/s in one process: " + ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items()))
    kinds = [result[kind] for kind in paths]
    result["ratio"] = round(min(one["datasets"]["seconds"] / one["same"]["seconds"] for one in kinds), 2)
    result["ratio_whole"] = round(min(one["datasets"]["seconds"] / one["whole"]["seconds"] for one in kinds), 2)
    result["peak_mib"] = round(max(one[name]["peak_mib"] for one in kinds for name in ("same", "whole")))
    result["gates_rows_per_s"] = {name: round(rate) for name, rate in rates.items()}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
