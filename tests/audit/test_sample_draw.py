"""The draw of a sample and the bound on errors, against independent computations."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from math import comb
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrmbuild.audit.evidence import PAIRS_NAME, EvidenceRow, write_pairs
from hrmbuild.audit.sample import sample_digest, sample_key, upper_bound
from hrmbuild.pipelines.pack_facts import draw

ROOT = "ab" * 32


@pytest.mark.parametrize(
    ("errors", "n", "bound"),
    [
        (0, 50, 1 - 0.05 ** (1 / 50)),
        (0, 1, 0.95),
        (0, 300, 1 - 0.05 ** (1 / 300)),
        (49, 50, 0.95 ** (1 / 50)),
        (5, 5, 1.0),
    ],
)
def test_the_bound_is_that_of_the_closed_forms(errors: int, n: int, bound: float) -> None:
    assert upper_bound(errors, n) == pytest.approx(bound, abs=1e-12)


@pytest.mark.slow
@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
def test_at_the_bound_so_few_errors_have_a_chance_of_one_in_twenty(drawn: tuple[int, int]) -> None:
    errors, n = drawn
    p = upper_bound(errors, n)
    chance = sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(errors + 1))
    assert chance == pytest.approx(0.05, abs=1e-9)


def test_more_errors_give_a_higher_bound_and_more_pairs_a_lower_one() -> None:
    assert all(a < b for a, b in pairwise(upper_bound(k, 50) for k in range(51)))
    assert all(a > b for a, b in pairwise(upper_bound(2, n) for n in range(2, 200)))
    with pytest.raises(ValueError, match="3 errors of 2"):
        upper_bound(3, 2)


def test_the_database_draws_what_the_formula_says(tmp_path: Path) -> None:
    leaves = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(500)]
    write_pairs(tmp_path / PAIRS_NAME, (EvidenceRow("train", leaf, leaf, leaf, "{}", 1, 1) for leaf in leaves))
    nonce = "Würfel: 4 'x' | ü"
    expected = sorted(leaves, key=lambda leaf: sample_key(ROOT, nonce, leaf))[:20]
    assert [one.leaf for one in draw(tmp_path, root=ROOT, nonce=nonce, n=20)] == expected
    by_hand = hashlib.sha256(f"hrmbuild-sample-1|{ROOT}|{nonce}|{leaves[0]}".encode()).hexdigest()
    assert sample_key(ROOT, nonce, leaves[0]) == by_hand
    assert [one.leaf for one in draw(tmp_path, root=ROOT, nonce="another", n=20)] != expected


def test_a_sample_has_another_digest_when_anything_about_it_changes() -> None:
    told = {"manifest_sha256": "0" * 64, "root": ROOT, "nonce": "n", "leaves": ["a", "b"]}
    others = [told | {"nonce": "m"}, told | {"leaves": ["b", "a"]}, told | {"root": "cd" * 32}]
    assert len({sample_digest(**one) for one in (told, *others)}) == 4
