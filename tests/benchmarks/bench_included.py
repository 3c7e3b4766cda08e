"""Included rows looked at beside own pairs: rows a second and peak memory, by what is looked for.

    python tests/benchmarks/bench_included.py [--base 300000] [--own 20000]

Rows of about 70 words, an eighth of them answered yes. Every thousandth is planted: a contradiction, a row nearly equal
to an own one, a held-out question in other words. What is looked for, and planted, must be found.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hrmbuild.store.overlap import Overlap, Text

PLANTED = 1000
VOCABULARY = ["".join(chr(97 + rank // 26**place % 26) for place in range(4)) for rank in range(30_000)]
LOOKED_FOR = ((None, False), (None, True), (0.6, True))
"""Nearness, and whether contradictions are looked for."""


def texts(name: str, n: int, *, seed: int) -> list[Text]:
    """Pairs of drawn words, few of which are common."""
    ranks = (len(VOCABULARY) * np.random.default_rng(seed).random((n, 70)) ** 3).astype(int)
    made: list[Text] = []
    for number, row in enumerate(ranks.tolist()):
        words = [VOCABULARY[rank] for rank in row]
        reply = "Yes" if number % 8 == 0 else " ".join(words[58:])
        made.append(Text(f"{name}{number}", f"{' '.join(words[:58])}?", f"{reply}."))
    return made


def planted(rows: list[Text], held: list[Text], trained: list[Text]) -> Iterator[Text]:
    """Every thousandth row is another."""
    for number, row in enumerate(rows):
        place, last = divmod(number, PLANTED)
        one, asked = trained[place % len(trained)], held[place % len(held)].instruction
        if last:
            yield row
        elif place % 3 == 0:
            yield Text(f"contradiction{place}", one.instruction, "Nobody has ever known that.")
        elif place % 3 == 1:
            yield Text(f"near{place}", f"So {one.instruction}", one.response)
        else:
            yield Text(f"leak{place}", f"A riddle: {asked}", "Who knows.")


def main() -> None:
    """Print a line for each thing that is looked for."""
    given = argparse.ArgumentParser()
    given.add_argument("--base", type=int, default=300_000)
    given.add_argument("--own", type=int, default=20_000)
    asked = given.parse_args()
    own = texts("own", asked.own, seed=1)
    held, trained = own[: asked.own * 3 // 20], own[asked.own * 3 // 20 :]
    rows = list(planted(texts("base", asked.base, seed=2), held, trained))
    print(f"the rows themselves: {peak():,.0f} MiB; planted {asked.base // PLANTED // 3:,} of each kind", flush=True)
    for near, contradictions in LOOKED_FOR:
        with (
            tempfile.TemporaryDirectory() as spill,
            Overlap(Path(spill), words=13, common=20, near=near, contradictions=contradictions) as overlap,
        ):
            start = time.perf_counter()
            overlap.add_own(held, trained)
            added = time.perf_counter()
            found = Counter(one.code for one in overlap.find(rows))
            rate = asked.base / (time.perf_counter() - added)
        print(f"near {near}, contradictions {contradictions}: own pairs {added - start:.1f} s, {rate:,.0f} rows/s, "
              f"peak {peak():,.0f} MiB, found {dict(sorted(found.items()))}", flush=True)  # fmt: skip


def peak() -> float:
    """Most memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
