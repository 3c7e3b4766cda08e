"""How fast the example rule sets become scenarios, what they cover, and how many stand at a threshold.

The rule sets of `examples/rules` are compiled in one process: drawn, decided by DuckDB, worded. A scenario is a pair of
kind `rules.outcome` (all rules shown) with a content key of its own; excerpts, lookups and the like are counted apart.
A decision cell is covered when a scenario of the rule set as written lies in it. The last line is one JSON object; the
exit status is 1 when there are fewer than 10,000 scenarios, a cell is missing or it took a minute.

    python tests/benchmarks/bench_scenarios.py [--variants 300] [--threads 2]
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb

from hrmbuild.assets import asset_folder
from hrmbuild.config.project import RulesConfig, SourceConfig
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.environment import Templates
from hrmbuild.pairs.rules_checked import check_rules
from hrmbuild.pairs.rules_executable import compile_ruleset
from hrmbuild.pairs.scenarios import space_of
from hrmbuild.pairs.variants import as_written
from hrmbuild.readers.registry import read
from hrmbuild.records.document import RuleSetFile
from hrmbuild.records.pair import CompiledPair
from hrmbuild.records.source import Source

WANTED, MOST_SECONDS = 10_000, 60.0
EXAMPLES = asset_folder("examples") / "rules"


def record_of(path: Path, settings: SourceConfig) -> RuleSetFile:
    """The rule set of one file."""
    sha256 = sha256_hex(path.read_bytes())
    (record,) = read(path, relative=path.name, sha256=sha256, source=settings, format="ruleset").records
    assert isinstance(record, RuleSetFile)
    return record


def compiled(path: Path, settings: SourceConfig, connection: duckdb.DuckDBPyConnection) -> list[CompiledPair]:
    """All pairs of one file."""
    record = record_of(path, settings)
    source = Source(path=path.name, sha256=record.source_sha256, n_bytes=path.stat().st_size, format="ruleset",
                    kind="rules", label="internal", declared_by="bench")  # fmt: skip
    context = CompileContext(seed=0, source=source, settings=settings,
                             templates=Templates([asset_folder("templates")]), connection=connection)  # fmt: skip
    return [pair for pair in compile_ruleset(record, context) if isinstance(pair, CompiledPair)]


def n_cells(path: Path, settings: SourceConfig, connection: duckdb.DuckDBPyConnection) -> int:
    """Decision cells of the rule set as written."""
    rules = check_rules(record_of(path, settings).ruleset, path=path.name, connection=connection)
    space = space_of(rules, as_written(rules.ruleset, in_force=rules.in_force))
    return len(space.cells(seed=0, key=rules.ruleset.ruleset))


def measured(settings: SourceConfig, *, threads: int) -> dict[str, Any]:
    """Compile each example rule set once."""
    connection = duckdb.connect(config={"threads": threads, "enable_external_access": False})
    keys: set[str] = set()
    kinds: Counter[str] = Counter()
    n_boundary = n_covered = n_all = 0
    started = time.perf_counter()
    for path in sorted(EXAMPLES.glob("*.yaml")):
        pairs = compiled(path, settings, connection)
        kinds.update(pair.kind for pair in pairs)
        outcomes = [pair for pair in pairs if pair.kind == "rules.outcome"]
        keys.update(pair.content_key for pair in outcomes)
        n_boundary += sum(pair.boundary for pair in outcomes)
        written = {p.split_keys.cell for p in outcomes if p.split_keys.variant is None and p.split_keys.cell}
        cells = n_cells(path, settings, connection)
        print(f"{path.name}: {len(outcomes):,} scenarios, {len(written)} of {cells} decision cells")
        n_covered, n_all = n_covered + len(written), n_all + cells
    seconds = time.perf_counter() - started
    return {
        "scenarios": len(keys), "seconds": round(seconds, 2), "scenarios_per_second": round(len(keys) / seconds),
        "pairs": kinds.total(), "kinds": dict(sorted(kinds.items())), "cells_covered": n_covered, "cells": n_all,
        "boundary_share": round(n_boundary / max(1, kinds["rules.outcome"]), 4), "threads": threads,
    }  # fmt: skip


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", type=int, default=300, help="variants of each rule set, 40 scenarios each")
    parser.add_argument("--threads", type=int, default=2, help="threads that DuckDB may take")
    options = parser.parse_args()
    settings = SourceConfig(
        path="rules", kind="rules", rules=RulesConfig(variants=options.variants, variant_scenarios=40)
    )
    found = measured(settings, threads=options.threads)
    print(f"share of boundary cases: {found['boundary_share']:.1%}")
    print(json.dumps(found))
    enough = found["scenarios"] >= WANTED and found["cells_covered"] == found["cells"]
    return 0 if enough and found["seconds"] < MOST_SECONDS else 1


if __name__ == "__main__":
    raise SystemExit(main())
