"""`hrmbuild verify` of a million pairs on two cores: rows, leaves, roots, counts, corpus, sources, quotes; and a proof.

A synthetic corpus (nine tenths imported from JSON lines, one tenth quoted from texts, about 900 characters a row) is
written straight into a corpus file, a manifest folder and sources, in the formats that ingest and freeze write; its
token counts are words, which only `--deep` would count again. Then, in fresh processes on two cores:

1. `hrmbuild verify FOLDER --corpus F --sources DIR`: seconds, and the largest sum of resident sizes of its processes.
2. `hrmbuild audit prove PAIR --manifest FOLDER`, three times: the slowest, start of Python included.
3. One letter of one source and of one row of the corpus is changed: `verify` has to name both.

The last line is one JSON object.

    python tests/benchmarks/bench_verify.py [--pairs 1000000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from hrmbuild.audit import evidence
from hrmbuild.audit.leaf_table import LeafTable
from hrmbuild.audit.manifest import DIGEST_NAME, MANIFEST_NAME, Tally, counted_row, digest_line, read_manifest
from hrmbuild.audit.proofs import write_leaves
from hrmbuild.audit.rows import content_root, leaf_of
from hrmbuild.fingerprint import canonical_json, hash_file, hash_value, sha256_hex
from hrmbuild.pipelines.freeze_pack import write_fixed_files
from hrmbuild.records.manifest import Manifest, SourceEntry
from hrmbuild.records.pair import SPLITS, Pair, Split, pair_id
from hrmbuild.records.source import Source
from hrmbuild.store.corpus import Corpus
from hrmbuild.store.writer import _SCHEMAS, insert_rows, source_json
from hrmbuild.tokens.tokenizer import TextTokenizer, train_tokenizer

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "manifest_1"
JSONL_FILES, TEXT_FILES = 10, 100
TEMPLATE = sha256_hex(b"bench-verify template")
BATCH = 50_000
WANTED_S, WANTED_MIB, WANTED_PROOF_S = 120, 4096, 1.0


def sentence(number: int) -> str:
    return (
        f"Clause {number}: the clerk of branch {number % 97} must file form {number * 31 % 9973} within "
        f"{number % 27 + 2} days of claim {number * 7919 % 1_000_003}, and tell the insured in writing."
    )


def pair_value(number: int, source: Source, locator: dict[str, Any], text: str, *, quoted: bool) -> dict[str, Any]:
    asked = f"What must the clerk do under clause {number}, and by when?"
    instruction = f"{sentence(number + 1)}\n{sentence(number)}\n{sentence(number + 2)}\n\n{asked}"
    key = pair_id("direct", instruction, text)
    split = ("test", "dev")[int(key[:2], 16) % 2] if int(key[2:4], 16) < 38 else "train"
    held = {} if split == "train" else {"axis": "cell"}
    return {
        "id": key, "instruction": instruction, "response": text, "condition": "direct", "boundary": False,
        "kind": "prose.duty" if quoted else "pairs.text", "stratum": "rules" if quoted else "pairs", "split": split,
        "book": "open", "derivation": "quoted" if quoted else "imported", "answer": {"type": "text", "value": text},
        "content_key": hash_value([number]), "label": source.label, **held,
        "occurrences": [
            {"source_sha256": source.sha256, "locator": locator, "text": text, "template_sha256": TEMPLATE}
        ],
    }  # fmt: skip


def write_sources(folder: Path, n_pairs: int) -> Iterator[tuple[Source, list[dict[str, Any]]]]:
    """Each file, and the pairs that come from it."""
    n_quoted = n_pairs // 10
    for kind, files, first, n in (
        ("pairs", JSONL_FILES, n_quoted, n_pairs - n_quoted),
        ("rules", TEXT_FILES, 0, n_quoted),
    ):
        for file in range(files):
            numbers = range(first + file * n // files, first + (file + 1) * n // files)
            name = f"{kind}/{file:03}.{'jsonl' if kind == 'pairs' else 'txt'}"
            lines = [sentence(i) for i in numbers]
            shown = lines if kind == "rules" else [json.dumps({"instruction": f"Clause {i}?", "response": line})
                                                   for i, line in zip(numbers, lines, strict=True)]  # fmt: skip
            data = ("\n".join(shown) + "\n").encode()
            (folder / kind).mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
            source = Source(
                path=name, sha256=sha256_hex(data), n_bytes=len(data), kind="pairs" if kind == "pairs" else "rules",
                format="jsonl" if kind == "pairs" else "text", declared_by="hrmbuild.yaml:1", owner="bench",
                license="internal",
            )  # fmt: skip
            yield source, list(pairs_of(source, numbers, lines, quoted=kind == "rules"))


def pairs_of(source: Source, numbers: range, lines: list[str], *, quoted: bool) -> Iterator[dict[str, Any]]:
    start = 0
    for place, (number, line) in enumerate(zip(numbers, lines, strict=True), start=1):
        where = {"line_from": place, "line_to": place}
        where |= {"char_from": start, "char_to": start + len(line)} if quoted else {"row_from": place, "row_to": place}
        yield pair_value(number, source, dict(where), line, quoted=quoted)
        start += len(line) + 1


def make(folder: Path, n_pairs: int) -> None:
    """Sources, corpus and manifest folder."""
    pack = folder / "manifest"
    pack.mkdir(parents=True)
    rows: list[tuple[Split, str, bytes]] = []
    tally, table, sources = Tally(), LeafTable(), dict[Source, int]()
    with Corpus.open(folder / "corpus.duckdb") as corpus:
        for source, values in write_sources(folder / "sources", n_pairs):
            sources[source] = len(values)
            Pair.model_validate(values[0])
            for value in values:
                data = canonical_json(value)
                rows.append((value["split"], str(value["id"]), data))
            store(corpus, source, values)
        rows.sort(key=lambda row: (SPLITS.index(row[0]), row[1]))
        evidence.write_pairs(pack / evidence.PAIRS_NAME, evidence_rows(rows, tally, table))
        salts = {key: salt_of(key) for _, key, _ in rows}
        corpus.add_salts(salts)
        evidence.write_salts(pack / evidence.SALTS_NAME, salts)
        write_leaves(pack, {split: part.sorted_salted() for split, part in table.splits.items()})
        manifest = write_manifest(pack, tally, table, sources)
        corpus.record_freeze(manifest.content_root, None)


def salt_of(key: str) -> bytes:
    return bytes.fromhex(sha256_hex(key.encode()))


def evidence_rows(
    rows: list[tuple[Split, str, bytes]], tally: Tally, table: LeafTable
) -> Iterator[evidence.EvidenceRow]:
    for split, key, data in rows:
        value = json.loads(data)
        leaf = leaf_of(key, split, row=data, salt=salt_of(key))
        words = (len(value["instruction"].split()), len(value["response"].split()))
        tally.add(counted_row(value, instruction_tokens=words[0], response_tokens=words[1]))
        table.add(leaf)
        salted = leaf.salted.hex() if leaf.salted else ""
        yield evidence.EvidenceRow(split, key, leaf.content.hex(), salted, data.decode(), *words)


def store(corpus: Corpus, source: Source, values: list[dict[str, Any]]) -> None:
    """The rows as ingest stores them."""
    connection, unit = corpus._connection, source.path
    columns = {"unit": unit, "path": unit, "axis": None, "valid_from": None, "valid_until": None}
    rows: list[tuple[object, ...]] = []
    for ordinal, value in enumerate(values, start=1):
        own = {
            **value, **columns, "pair_id": value["id"], "axis": value.get("axis"), "ordinal": ordinal,
            "answer": canonical_json(value["answer"]).decode(),
            "occurrence": canonical_json(value["occurrences"][0]).decode(),
        }  # fmt: skip
        rows.append(tuple(own[name] for name in _SCHEMAS["candidate"]))
    for first in range(0, len(rows), BATCH):
        insert_rows(connection, "candidate", schema=_SCHEMAS["candidate"], rows=rows[first : first + BATCH])
    told = (
        source.path,
        unit,
        source.sha256,
        source_json(source),
        None,
        "read",
        None,
        len(rows),
        len(rows),
        0,
        len(rows),
    )
    insert_rows(connection, "source", schema=_SCHEMAS["source"], rows=[told])
    insert_rows(connection, "unit", schema={"name": pl.String, "key": pl.String}, rows=[(unit, source.sha256)])
    connection.execute(
        "INSERT INTO pair SELECT pair_id, unit, ordinal, split, axis, boundary, label, valid_from, valid_until "
        "FROM candidate WHERE unit = ?", [unit],
    )  # fmt: skip


def write_manifest(pack: Path, tally: Tally, table: LeafTable, sources: dict[Source, int]) -> Manifest:
    golden, counts = read_manifest(GOLDEN), tally.counts()
    sample = (sentence(i) for i in range(20_000))
    tokenizer = train_tokenizer(sample, vocab_size=1024)
    vocab_size = TextTokenizer(tokenizer).vocab_size
    (pack / evidence.TOKENIZER_NAME).write_bytes(tokenizer)
    evidence.write_rejections(pack / evidence.REJECTIONS_NAME, [])
    write_fixed_files(pack)
    plain, salted = table.content_roots(), table.salted_roots()
    entries = [
        SourceEntry(source=one, status="read", records=n, skipped=0, made=n, kept=n, rejected=0,
                    count=counts.sources[one.sha256])
        for one, n in sorted(sources.items(), key=lambda item: item[0].path)
    ]  # fmt: skip
    manifest = golden.model_copy(update={
        "name": "bench-verify", "sources": tuple(entries), "refused": (), "splits": counts.splits,
        "strata": counts.strata, "kinds": counts.kinds, "axes": counts.axes, "rejections": {},
        "gates": tuple(gate.model_copy(update={"passed": table.n, "rejected": 0}) for gate in golden.gates),
        "content_roots": plain, "content_root": content_root(plain), "roots": salted, "label": "internal",
        "labels": ("public", "internal"), "left_out": 0, "max_label": None,
        "tokenizer": golden.tokenizer.model_copy(update={"sha256": sha256_hex(tokenizer), "vocab_size": vocab_size}),
        "evidence": {name: hash_file(pack / name) for name in sorted(evidence.EVIDENCE_NAMES)},
    })  # fmt: skip
    (pack / MANIFEST_NAME).write_bytes(manifest.canonical_bytes())
    (pack / DIGEST_NAME).write_bytes(digest_line(manifest.canonical_bytes()))
    return manifest


def resident_mib(process: int) -> float:
    """Of a process and all that it started."""
    found, waiting = 0.0, [process]
    while waiting:
        one = waiting.pop()
        try:
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
            found += int(next((line.split()[1] for line in lines if line.startswith("VmRSS")), "0")) / 1024
            for children in Path(f"/proc/{one}/task").glob("*/children"):
                waiting += [int(child) for child in children.read_text().split()]
        except OSError:
            continue  # it has ended meanwhile
    return found


def command(*words: str | Path) -> tuple[float, float, str, int]:
    """Seconds, peak MiB, stdout and status of a command of hrmbuild on two cores."""
    program = [sys.executable, "-c", "from hrmbuild.cli.main import run; run()", *map(str, words)]
    began_s, peak = time.perf_counter(), 0.0
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(program, stdout=out, stderr=subprocess.DEVNULL, cwd=tempfile.gettempdir())
        while process.poll() is None:
            peak = max(peak, resident_mib(process.pid))
            time.sleep(0.05)
        seconds = time.perf_counter() - began_s
        out.seek(0)
        return seconds, peak, out.read().decode(), process.returncode


def bench(folder: Path, n_pairs: int) -> None:
    began_s = time.perf_counter()
    if not (folder / "manifest" / MANIFEST_NAME).is_file():
        subprocess.run([sys.executable, __file__, "--make", "--folder", folder, "--pairs", str(n_pairs)], check=True)
    print(f"{n_pairs:,} pairs made in {time.perf_counter() - began_s:.0f} s", flush=True)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    pack, sources = folder / "manifest", folder / "sources"
    words = ("verify", pack, "--corpus", folder / "corpus.duckdb", "--sources", sources, "--json")
    seconds, peak, out, status = command(*words)
    report = json.loads(out)
    for check in report["checks"]:
        print(f"{ {True: 'ok  ', None: '--  '}.get(check['ok'], 'FAIL') }  {check['name']}: {check['detail']}")
    print(f"verify: {seconds:.1f} s, peak {peak:,.0f} MiB, exit status {status}", flush=True)
    key = next(evidence.read_evidence(pack)).id
    proofs = [command("audit", "prove", key, "--manifest", pack) for _ in range(3)]
    prove_s = max(one[0] for one in proofs)
    print(f"audit prove: {prove_s:.2f} s at most, {len(json.loads(proofs[0][2])['path'])} hashes", flush=True)
    named = spoil_and_verify(folder, words)
    print(f"after two alterations these checks fail: {', '.join(named)}")
    told = {"pairs": n_pairs, "verify_s": round(seconds, 1), "pairs_per_s": round(n_pairs / seconds),
            "peak_mib": round(peak), "prove_s": round(prove_s, 2), "ok": report["ok"], "named": named}  # fmt: skip
    told["within"] = seconds <= WANTED_S and peak <= WANTED_MIB and prove_s <= WANTED_PROOF_S
    print(json.dumps(told))


def spoil_and_verify(folder: Path, words: tuple[str | Path, ...]) -> list[str]:
    """Change a letter of a source and of a row of the corpus, verify, change them back."""
    source = folder / "sources" / "rules" / "007.txt"
    data = source.read_bytes()
    source.write_bytes(data.replace(b"clerk", b"clark", 1))
    turn = "UPDATE candidate SET response = replace(response, ?, ?) WHERE unit = 'pairs/003.jsonl' AND ordinal = 77"
    told: list[tuple[float, float, str, int]] = []
    try:
        for there, back in (("clerk", "clark"), ("clark", "clerk")):
            with duckdb.connect(str(folder / "corpus.duckdb")) as connection:
                connection.execute(turn, [there, back])
            if there == "clerk":
                told.append(command(*words))
        _, _, out, status = told[0]
        assert status == 1, out
        return sorted(check["name"] for check in json.loads(out)["checks"] if check["ok"] is False)
    finally:
        source.write_bytes(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="empty, absent or made before; default: a temporary one (2 GB)")
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        make(options.folder, options.pairs)
        return
    if options.folder is not None:
        bench(options.folder, options.pairs)
        return
    with tempfile.TemporaryDirectory(prefix="bench-verify-") as folder:
        bench(Path(folder), options.pairs)


if __name__ == "__main__":
    main()
