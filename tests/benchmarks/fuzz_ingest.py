"""Damaged files by the hundred, each batch of one seed: what ingest, freeze and verify promise holds for all of them.

Takes the files that three configs declare, damages them (`fuzz_mutations`), ingests them twice, freezes, verifies, and
looks at every pair. A batch that held is a line of `results.jsonl` and is not done again; a batch that did not keeps
its folder. The last line is one JSON object; the exit status is 1 where something did not hold.

    python tests/benchmarks/fuzz_ingest.py --data FOLDER --work DIR [--first SEED] [--batches N] [--files N]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import yaml
from fuzz_mutations import mutated
from fuzz_tables import WORDS

from hrmbuild.config.loading import load_project
from hrmbuild.pipelines.source_files import find_files
from hrmbuild.readers.inference import HEAD_BYTES, infer_format
from hrmbuild.tokens.control import CONTROL_TOKENS

REPOSITORY = Path(__file__).resolve().parents[2]
MOST_MIB, MOST_SECONDS, MOST_BYTES = 4096, 600, 300_000
KINDS = ("rules", "memos", "tables", "pairs")
_HELD = {"owner": "fuzz", "license": "internal", "label": "internal"}
_LEFT_OUT = frozenset({"path", "context", "split", "group", "columns"})
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200b\u202a-\u202e\ufffd]")


@dataclass(frozen=True)
class Original:
    """A file that a config declares, and how."""

    path: Path
    settings: dict[str, Any]


def originals(data: Path) -> dict[str, list[Original]]:
    """Files by format; those that no reader takes are one of them."""
    configs = (
        (REPOSITORY / "examples/all-real-data.yaml", data),
        (REPOSITORY / "tests/benchmarks/nasty_data.yaml", data),
        (REPOSITORY / "examples/hrmbuild.yaml", REPOSITORY / "examples"),
    )
    found: dict[str, list[Original]] = {}
    for config, folder in configs:
        project = load_project(config, sources=folder)
        entries = yaml.safe_load(config.read_text("utf-8"))["sources"]
        for file in find_files(project).files:
            if file.n_bytes <= MOST_BYTES:
                format_name = infer_format(file.path, file.path.read_bytes()[:HEAD_BYTES]) or "none"
                found.setdefault(format_name, []).append(Original(file.path, entries[file.entry]))
    for path in sorted((REPOSITORY / "examples/decision-tables").iterdir()):
        found[f"decision{path.suffix}"] = [Original(path, {"kind": "rules"})] * 3
    return found


def settings_of(random: Random, original: Original, path: str, *, same_head: bool) -> dict[str, Any]:
    """An entry for the damaged file: as it was declared, or sometimes as another kind."""
    kept: dict[str, Any] = {key: value for key, value in original.settings.items() if key not in _LEFT_OUT}
    if random.random() < 0.12:
        kept = {"kind": random.choice(KINDS)}
    if "mapping" in kept:
        kept["mapping"] = {key: value for key, value in kept["mapping"].items() if key != "context"}
    if not same_head:  # a column that is declared and not there is a mistake of the settings, status 2
        kept.pop("case", None)
    for across in ("case", "exception"):
        if across in kept:
            kept[across] = {**kept[across], "ruleset": "fixed/travel-expenses.yaml"}
    if "rules" in kept or kept["kind"] == "rules":
        kept["rules"] = {"scenarios": 20, "variants": 4, "variant_scenarios": 3}
    return _HELD | kept | {"path": path, "max_pairs": 40}


def make_batch(folder: Path, *, seed: int, n_files: int, found: dict[str, list[Original]]) -> int:
    """Write the damaged files and their settings; the number of files."""
    random = Random(seed)
    entries: list[dict[str, Any]] = [
        _HELD | {"path": "fixed", "kind": "rules", "rules": {"scenarios": 20, "variants": 0}}
    ]
    (folder / "fixed").mkdir(parents=True)
    shutil.copy(REPOSITORY / "examples/rules/travel-expenses.yaml", folder / "fixed")
    formats = sorted(found)
    for number in range(n_files - 1):
        original = random.choice(found[random.choice(formats)])
        name = original.path.name
        if random.random() < 0.03:
            name = random.choice((original.path.stem or "x", f"{random.choice(WORDS)[:40]}{name}", f"{name}.txt"))
            name = re.sub(r"[/\x00]", "_", name).lstrip(".") or "x"
        path = folder / f"{number:04}" / name
        path.parent.mkdir()
        before = original.path.read_bytes()
        data = mutated(random, before, original.path.suffix.lower().lstrip("."))
        path.write_bytes(data)
        same_head = data.split(b"\n")[0].strip() == before.split(b"\n")[0].strip()
        entries.append(settings_of(random, original, f"{number:04}", same_head=same_head))
    settings = {"name": "fuzz", "sources": entries, "as_of": "2026-01-01", "limits": {"seconds_per_file": 30}}
    (folder / "hrmbuild.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    return n_files


def command(folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Run one command with `--json`: its status and its one object."""
    program = [sys.executable, "-m", "hrmbuild", *words, "--json"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(program, cwd=folder, capture_output=True, env=environment, timeout=MOST_SECONDS, check=False)
    (folder.parent / f"{folder.name}.stderr").write_bytes(done.stderr)
    assert b"Traceback" not in done.stderr, done.stderr[-3000:].decode(errors="replace")
    assert done.stdout.count(b"\n") == 1, f"{words}: not one object: {done.stdout[:300]!r}"
    return done.returncode, json.loads(done.stdout)


def check_batch(folder: Path, n_files: int) -> dict[str, Any]:
    """All that must hold; what came of it.

    Raises:
        AssertionError: what did not hold.
    """
    status, first = command(folder, "ingest")
    assert status in (0, 1), first
    assert status == 0 or first["error"]["code"] != "internal.bug", first
    assert first["sources"]["seen"] == n_files, f"{first['sources']} of {n_files}"
    paths = {one["path"] for one in [*first["files"], *first["quarantined"]]}
    assert len(paths) == n_files, "a file is told of twice, or not at all"
    for one in first["files"]:
        assert one["made"] == one["kept"] + one["rejected"] + sum(one["held"].values()), one
        assert one["status"] == "read" or (one["reason"] and "Traceback" not in one["reason"]), one
    _, again = command(folder, "ingest")
    assert again["sources"]["unchanged"] + len(again["quarantined"]) == n_files and not again["dropped"], again[
        "sources"
    ]
    passing = {
        one["path"] for one in first["quarantined"] if one["reason"].startswith(("read.worker", "read.too_slow"))
    }
    assert set(again["redone"]) <= passing, set(again["redone"]) - passing
    assert again["pairs"] == first["pairs"]
    check_pairs(folder / "corpus.duckdb")
    status, frozen = command(folder, "freeze")
    assert status == 0, frozen
    status, verified = command(folder, "verify", frozen["manifest"], "--sources", ".")
    assert status == 0 and verified["ok"], [one for one in verified["checks"] if not one["ok"]]
    quotes = next(one["detail"] for one in verified["checks"] if one["name"] == "quotes")
    died = [one["reason"] for one in first["quarantined"] if "worker_died" in one["reason"]]
    return {"pairs": first["pairs"], "sources": first["sources"], "quotes": quotes, "died": died}


def check_pairs(corpus: Path) -> None:
    """No pair without words, none with what nobody sees."""
    with duckdb.connect(str(corpus), read_only=True) as connection:
        for one in connection.execute("SELECT id, instruction, response FROM audit_pairs").fetchall():
            assert one[1].strip() and one[2].strip(), one
            assert not _CONTROL.search(one[1] + one[2]), one
            assert not any(token in one[1] + one[2] for token in CONTROL_TOKENS), one


def one_batch(work: Path, *, seed: int, n_files: int, found: dict[str, list[Original]]) -> dict[str, Any]:
    """A batch from its seed to its line."""
    folder = work / f"{seed:06}"
    shutil.rmtree(folder, ignore_errors=True)
    line: dict[str, Any] = {"seed": seed, "files": make_batch(folder, seed=seed, n_files=n_files, found=found)}
    started_at_s = time.monotonic()
    try:
        line |= check_batch(folder, n_files) | {"ok": True}
        shutil.rmtree(folder)
    except (AssertionError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
        line |= {"ok": False, "what": f"{type(error).__name__}: {error}"[-4000:]}
    line |= {"seconds": round(time.monotonic() - started_at_s)}
    peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    return line | {"peak_mib": peak_mib, "ok": line["ok"] and peak_mib < MOST_MIB}


def main() -> int:
    """Every batch that is not done, then what came of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--batches", type=int, default=5)
    parser.add_argument("--files", type=int, default=200)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    results = options.work / "results.jsonl"
    done = (
        {one["seed"]: one for text in results.read_text().splitlines() if (one := json.loads(text))["ok"]}
        if results.exists()
        else {}
    )
    found = originals(options.data)
    for seed in range(options.first, options.first + options.batches):
        if seed not in done:
            done[seed] = one_batch(options.work, seed=seed, n_files=options.files, found=found)
            with results.open("a") as file:
                file.write(json.dumps(done[seed]) + "\n")
        print(json.dumps(done[seed]), file=sys.stderr, flush=True)
    wrong = [seed for seed, line in done.items() if not line["ok"]]
    print(json.dumps({"batches": len(done), "files": sum(one["files"] for one in done.values()), "wrong": wrong}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
