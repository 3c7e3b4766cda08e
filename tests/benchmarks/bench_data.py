"""From the evidence pack to token files and the plan of an epoch: speed beside the library alone, and memory.

A synthetic corpus (words of a drawn language, frequencies as in texts, numbers between; about 100 tokens a pair) is
written as `pairs.parquet`, a tokenizer is trained on a part of it. Then, in this order:

1. Speed: what `train` does (Parquet, JSON, encoding, frames, hashes, files, fsync, rename) against
   `tokenizers.encode_batch_fast` of the same texts, which lie in memory already and whose result is thrown away. Sides
   take turns in one process, the first round is left out; `ratio` is the median over rounds of pairs a second.
2. Memory: all pairs are encoded and an epoch planned in a fresh process; `peak_mib` is its highest resident size and
   those of the processes that encode for it, added up, less one bare interpreter. The table shows the size on the way:
   while encoding it must not grow with the pairs.

The last line is one JSON object.

    python tests/benchmarks/bench_data.py [--pairs 10000000] [--rounds 4] [--round-pairs 200000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from hrmbuild.audit.evidence import PAIRS_NAME, TOKENIZER_NAME, EvidenceRow, write_pairs
from hrmbuild.fingerprint import draw_below, sha256_hex
from hrmbuild.pipelines.train_corpus import token_rows
from hrmbuild.tokens.files import TokenData, TokenRow, open_token_files, write_token_files
from hrmbuild.tokens.plan import PlanKey, epoch_plan, step_shape
from hrmbuild.tokens.tokenizer import TextTokenizer, load_tokenizer, train_tokenizer

CONTENT_ROOT, SOURCE = sha256_hex(b"bench-data"), sha256_hex(b"the one source of bench-data")
VOCAB, TRAINED_ON = 16_384, 20_000
LIBRARY_TEXTS = 4_096
"""Texts the library is given at once; half and four times as many were no faster."""
STEP_TOKENS = {"XL": 196_608, "nano": 4_096}
SYLLABLES = ("ba", "ke", "li", "mo", "nu", "ra", "si", "to", "ve", "za", "er", "an", "in", "st", "tion", "al")


def resident_mib(field: str = "VmRSS") -> float:
    """Of this process; `VmHWM` is the highest since it was started."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(dict(line.split(":", 1) for line in lines)[field].split()[0]) / 1024


def children_mib() -> float:
    """The highest sizes of this process's own children, each with its interpreter, added up."""
    found = 0.0
    for number in Path("/proc/self/task").glob("*/children"):
        for child in number.read_text().split():
            lines = Path(f"/proc/{child}/status").read_text().splitlines()
            found += int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024
    return found


def bare_mib() -> float:
    """Of an interpreter that has done nothing."""
    program = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    told = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True).stdout
    return int(told) / 1024


def words(n: int = 30_000, stream: int = 1_000_000) -> list[str]:
    """A long stream of drawn words whose frequencies fall as 1 / rank."""
    drawn = [
        "".join(SYLLABLES[draw_below(16, "syllable", i, str(j))] for j in range(1 + draw_below(4, "length", 0, str(i))))
        for i in range(n)
    ]
    shares = 1 / (np.arange(n) + 10.0)
    ends = (shares / shares.sum()).cumsum()
    # A low-discrepancy sequence instead of a random stream: numpy's may change between versions.
    places = np.searchsorted(ends, (np.arange(stream) * 0.6180339887498949) % 1.0)
    return [drawn[min(place, n - 1)] for place in places.tolist()]


def rows(n_pairs: int) -> Iterator[EvidenceRow]:
    """Rows of the pack, ids ascending."""
    stream = words()
    for number in range(n_pairs):
        start = number * 7919 % (len(stream) - 100)
        question = f"Case {number % 100_003}: {' '.join(stream[start : start + 51])}, {number * 31 % 977} EUR?"
        answer = f"{' '.join(stream[start + 55 : start + 74])}. {number % 977} is above {number % 89}."
        key = f"{number:064x}"
        row = (
            f'{{"condition":"direct","id":"{key}","instruction":"{question}","kind":"synthetic","occurrences":'
            f'[{{"locator":{{"row_from":{number + 1}}},"source_sha256":"{SOURCE}","text":"{question}"}}],'
            f'"response":"{answer}","split":"train","stratum":"synthetic"}}'
        )
        yield EvidenceRow("train", key, key, key, row, 0, 0)


def make_corpus(folder: Path, n_pairs: int) -> None:
    """The pack's rows and a tokenizer."""
    write_pairs(folder / PAIRS_NAME, rows(n_pairs))
    sample = (text for row in islice(token_rows(folder, "train"), TRAINED_ON) for text in row[3:])
    (folder / TOKENIZER_NAME).write_bytes(train_tokenizer(sample, vocab_size=VOCAB))


def written(folder: Path, pairs: Iterator[TokenRow], tokenizer: TextTokenizer, on_pairs=lambda n: None) -> None:
    write_token_files(
        {"train": pairs}, tokenizer, content_root=CONTENT_ROOT, sources=[SOURCE], folder=folder, on_pairs=on_pairs
    )


def speeds(folder: Path, *, rounds: int, n_pairs: int) -> list[tuple[float, float]]:
    """Pairs a second of ours and of the library alone, a round each."""
    tokenizer = load_tokenizer(folder / TOKENIZER_NAME)
    library = tokenizer._tokenizer
    texts = [text for row in islice(token_rows(folder, "train"), n_pairs) for text in row[3:]]
    found: list[tuple[float, float]] = []

    def ours() -> None:
        written(folder / "round", islice(token_rows(folder, "train"), n_pairs), tokenizer)

    def alone() -> None:
        for start in range(0, len(texts), LIBRARY_TEXTS):
            library.encode_batch_fast(texts[start : start + LIBRARY_TEXTS], add_special_tokens=False)

    for number in range(rounds + 1):
        sides = {ours: 0.0, alone: 0.0}
        for side in sorted(sides, key=lambda one: one.__name__, reverse=bool(number % 2)):
            began_s = time.perf_counter()
            side()
            sides[side] = n_pairs / (time.perf_counter() - began_s)
        found.append((sides[ours], sides[alone]))
        print(f"round {len(found) - 1}: ours {found[-1][0]:,.0f} pairs/s, library {found[-1][1]:,.0f}", flush=True)
    return found[1:]


def encode_and_plan(folder: Path, n_pairs: int) -> dict[str, object]:
    """All of it in this process; sizes in MiB above the bare interpreter."""
    done, children, bare = 0, 0.0, bare_mib()

    def on_pairs(n: int) -> None:
        nonlocal done, children
        if done * 20 // n_pairs < (done + n) * 20 // n_pairs and done + n < n_pairs:
            children = max(children, children_mib())
            own = resident_mib() - bare
            print(f"  {done + n:>12,} pairs: {own:,.0f} MiB and {children:,.0f}", file=sys.stderr, flush=True)
        done += n

    began_s = time.perf_counter()
    tokenizer = load_tokenizer(folder / TOKENIZER_NAME)
    written(folder / "tokens", token_rows(folder, "train"), tokenizer, on_pairs)
    encoded_s, encoding_mib = time.perf_counter() - began_s, resident_mib("VmHWM") - bare + children
    data = open_token_files(folder / "tokens", content_root=CONTENT_ROOT, tokenizer_sha256=tokenizer.sha256)
    return {
        "pairs": n_pairs,
        "tokens_per_pair": round(data.files.splits["train"].n_tokens / n_pairs, 1),
        "encode_s": round(encoded_s, 1),
        "pairs_per_s": round(n_pairs / encoded_s),
        "encoding_peak_mib": round(encoding_mib),
        "plans": {name: plan(data, tokens) for name, tokens in STEP_TOKENS.items()},
        "peak_mib": round(max(encoding_mib, resident_mib("VmHWM") - bare)),
    }


def plan(data: TokenData, step_tokens: int) -> dict[str, float]:
    """Seconds and share of slots used of one epoch."""
    slots, shape = data.splits["train"].slots, step_shape(step_tokens)
    began_s = time.perf_counter()
    made = epoch_plan(PlanKey(CONTENT_ROOT, data.files.tokenizer_sha256, 0, 0), slots, shape=shape)
    seconds = time.perf_counter() - began_s
    return {"s": round(seconds, 1), "steps": made.n_steps, "used": int(slots.sum()) / (made.n_steps * shape.tokens)}


def in_fresh_process(step: str, folder: Path, n_pairs: int) -> str:
    command = [sys.executable, __file__, "--step", step, "--folder", str(folder), "--pairs", str(n_pairs)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def bench(options: argparse.Namespace, folder: Path) -> None:
    began_s = time.perf_counter()
    in_fresh_process("make", folder, options.pairs)
    print(f"{options.pairs:,} pairs made in {time.perf_counter() - began_s:.0f} s", flush=True)
    found = speeds(folder, rounds=options.rounds, n_pairs=min(options.round_pairs, options.pairs))
    ratio = statistics.median(ours / library for ours, library in found)
    print(f"ours / library: {', '.join(f'{a / b:.2f}' for a, b in found)}; median {ratio:.3f} (0.8 is wanted)")
    told = json.loads(in_fresh_process("encode", folder, options.pairs))
    for name, one in told["plans"].items():
        print(f"plan of an epoch, {name}: {one['s']} s, {one['steps']:,} steps, {one['used']:.4%} of the slots used")
    print(f"peak {told['peak_mib']:,} MiB above the interpreter ({told['encoding_peak_mib']:,} while encoding)")
    print(json.dumps({"ratio": round(ratio, 3), **told}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--round-pairs", type=int, default=200_000)
    parser.add_argument("--folder", type=Path, help="empty or absent; default: a temporary one (2 GB at 10M pairs)")
    parser.add_argument("--step", choices=("make", "encode"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step == "make":
        make_corpus(options.folder, options.pairs)
    elif options.step == "encode":
        print(json.dumps(encode_and_plan(options.folder, options.pairs)))
    else:
        folder = options.folder or Path(tempfile.mkdtemp(prefix="bench-data-"))
        folder.mkdir(parents=True, exist_ok=True)
        try:
            bench(options, folder)
        finally:
            if options.folder is None:
                shutil.rmtree(folder)


if __name__ == "__main__":
    main()
