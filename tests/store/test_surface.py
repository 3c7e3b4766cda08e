"""Near duplicates, leaks, contradictions and minimal pairs: planted, all of them found or kept as they must be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from handmade import make_pair, make_source
from hypothesis import given
from hypothesis import strategies as st

from hrmbuild.fingerprint import draw_below
from hrmbuild.records.pair import CompiledPair, Split
from hrmbuild.store.corpus import Corpus
from hrmbuild.store.surface import SurfaceRules, superfluous
from hrmbuild.store.writer import FileOutcome

_WORDS = [
    "harbour", "ledger", "copper", "window", "garden", "market", "signal", "engine", "letter", "river", "pocket",
    "candle", "bridge", "forest", "ticket", "mirror", "summer", "violin", "saddle", "basket", "anchor", "meadow",
    "lantern", "barrel", "thimble", "orchard", "compass", "quarry", "feather", "marble", "cellar", "pepper",
    "willow", "turbine", "saffron", "gravel", "pelican", "velvet", "tunnel", "cobalt", "walnut", "kettle",
    "sparrow", "canvas", "timber", "magnet",
]  # fmt: skip
RULES = SurfaceRules(near_duplicates=0.6, leak_words=13)
A, B = make_source("pairs/a.jsonl"), make_source("pairs/b.jsonl")


def _sentence(key: str, n: int) -> list[str]:
    return [_WORDS[draw_below(len(_WORDS), "surface test", 1, f"{key}/{i}")] for i in range(n)]


def _imported(instruction: str, response: str, **more: Any) -> CompiledPair:
    pair = make_pair(instruction, response, source=A, kind="pairs.text", **more)
    return pair.model_copy(update={"derivation": "imported"})


def _settled(
    path: Path,
    pairs: Sequence[tuple[CompiledPair, Split]],
    *,
    rules: SurfaceRules = RULES,
    protected: Sequence[str] = (),
) -> tuple[set[str], dict[str, int]]:
    """Instructions that stay, and rejections by code."""
    with Corpus.open(path) as corpus:
        with corpus.replace_unit("u", "k") as unit:
            for pair, split in pairs:
                unit.add_candidate(A.path, pair, split=split, axis=None if split == "train" else "cell")
            unit.add_file(FileOutcome(A, None, "read", None, n_records=1, n_productive=1, n_made=len(pairs)))
        corpus.settle(labels=("internal",), seed=7, rules=rules, protected=protected)
        balance = corpus.balance()
        assert balance.made == balance.kept + balance.rejected
        assert sum(corpus.rejections_by_gate().values()) == balance.rejected
        return {pair.instruction for pair in corpus.pairs()}, balance.reasons


def _edited(words: list[str], number: int) -> list[str]:
    """One word replaced, put in or left out, or only other case and signs."""
    at = draw_below(len(words), "edit", 1, str(number))
    return [
        [*words[:at], "zephyr", *words[at + 1 :]],
        [*words[:at], "zephyr", *words[at:]],
        [*words[:at], *words[at + 1 :]],
        [word.upper() + "," for word in words],
    ][number % 4]


def test_of_200_near_duplicates_at_least_95_percent_go_and_one_of_each_stays(tmp_path: Path) -> None:
    pairs: list[tuple[CompiledPair, Split]] = []
    for number in range(200):
        words = _sentence(f"near {number}", 12 + number % 30)
        answer = " ".join(_sentence(f"answer {number}", 3 + number % 4))
        pairs += [
            (_imported(" ".join(words), answer), "train"),
            (_imported(" ".join(_edited(words, number)), answer), "train"),
        ]
    kept, reasons = _settled(tmp_path / "c.duckdb", pairs)
    print(f"near duplicates found: {reasons.get('corpus.near_duplicate', 0)} of 200")
    assert 190 <= reasons["corpus.near_duplicate"] <= 200
    assert all(pairs[2 * i][0].instruction in kept or pairs[2 * i + 1][0].instruction in kept for i in range(200))


def test_no_minimal_pair_is_taken_for_a_duplicate(tmp_path: Path) -> None:
    pairs: list[tuple[CompiledPair, Split]] = []
    for number in range(100):
        words = _sentence(f"minimal {number}", 20)
        base = " ".join(words)
        changed, one, other = [
            (f"{base} above {number + 10} EUR", f"{base} above {number + 11} EUR", ("granted", "refused")),
            (f"{base} is allowed", f"{base} is not allowed", ("same words here", "same words here")),
            (f"{base} for employees", f"{base} for contractors", ("yes", "no")),
            (f"what is {number}+4 {base}", f"what is {number}*4 {base}", ("it depends", "it depends")),
        ][number % 4]
        long = f"{other[0]}. " + base, f"{other[1]}. " + base
        answers = other if number % 8 < 4 else long
        pairs += [(_imported(changed, answers[0]), "train"), (_imported(one, answers[1]), "train")]
    kept, reasons = _settled(tmp_path / "c.duckdb", pairs)
    assert (len(kept), reasons) == (200, {})


def test_a_short_quote_that_stands_in_two_documents_is_no_duplicate(tmp_path: Path) -> None:
    long = " ".join(_sentence("quote", 14))
    with Corpus.open(tmp_path / "c.duckdb") as corpus:
        for source, asked in ((A, "Who wrote it?"), (B, "Whose memo is it?")):
            with corpus.replace_unit(source.path, "k") as unit:
                for words in ("Head of Claims.", long):
                    pair = make_pair(f"{source.path} {asked} {words}", words, source=source)
                    unit.add_candidate(source.path, pair, split="train", axis=None)
                unit.add_file(FileOutcome(source, None, "read", None, n_records=1, n_productive=1, n_made=2))
        corpus.settle(labels=("internal",), seed=7, rules=RULES)
        assert sorted(pair.response for pair in corpus.pairs()) == sorted(["Head of Claims.", "Head of Claims.", long])


def test_compiled_pairs_are_never_compared_by_their_words(tmp_path: Path) -> None:
    base = " ".join(_sentence("rules", 40))
    cases = [
        make_pair(f"{base} {word}", "refused", source=A, kind="rules.outcome").model_copy(
            update={"derivation": "evaluated"}
        )
        for word in _WORDS
    ]
    kept, reasons = _settled(
        tmp_path / "c.duckdb", [(case, "train" if i % 2 else "test") for i, case in enumerate(cases)]
    )
    assert (len(kept), reasons) == (len(cases), {})


def test_all_of_200_leaks_between_the_sides_are_found_and_the_held_out_pair_stays(tmp_path: Path) -> None:
    pairs: list[tuple[CompiledPair, Split]] = []
    for number in range(200):
        shared = " ".join(_sentence(f"leak {number}", 13))
        mine, theirs = " ".join(_sentence(f"mine {number}", 25)), " ".join(_sentence(f"theirs {number}", 25))
        held: Split = "dev" if number % 2 else "test"
        pairs += [
            (_imported(f"{mine} {shared}", f"a{number}"), "train"),
            (_imported(f"{shared} {theirs}", f"b{number}"), held),
        ]
        pairs.append((_imported(" ".join(_sentence(f"clean {number}", 40)), f"c{number}"), "train"))
    kept, reasons = _settled(tmp_path / "c.duckdb", pairs)
    assert reasons == {"corpus.leak": 200}
    assert kept == {pair.instruction for n, (pair, _) in enumerate(pairs) if n % 3}


def test_words_of_a_protected_set_are_not_trained_on(tmp_path: Path) -> None:
    secret = [" ".join(_sentence(f"protected {number}", 30)) for number in range(50)]
    pairs: list[tuple[CompiledPair, Split]] = [
        (_imported("start " + " ".join(_sentence(f"protected {number}", 30)[8:22]) + " end", "x"), "train")
        for number in range(50)
    ]
    pairs += [(_imported(" ".join(_sentence(f"free {number}", 30)), "y"), "train") for number in range(50)]
    pairs.append((_imported("What is the capital of Atlantis?", "Nowhere"), "train"))
    rules = SurfaceRules(leak_words=13, protected=(("eval.jsonl", "0" * 64),))
    protected = [*secret, "what is the capital of atlantis"]
    kept, reasons = _settled(tmp_path / "c.duckdb", pairs, rules=rules, protected=protected)
    assert (reasons, len(kept)) == ({"corpus.protected": 51}, 50)


def test_100_contradictions_are_found_and_other_times_are_no_contradiction(tmp_path: Path) -> None:
    pairs: list[tuple[CompiledPair, Split]] = []
    for number in range(100):
        question = " ".join(_sentence(f"question {number}", 9))
        same = question if number % 2 else f"  {question.upper()} "
        pairs += [(_imported(question, f"{number} days"), "train"), (_imported(same, f"{number + 1} days"), "train")]
        then = " ".join(_sentence(f"dated {number}", 9))
        pairs += [
            (_imported(then, "10 EUR", valid=(None, "2024-12-31")), "train"),
            (_imported(then, "20 EUR", valid=("2025-01-01", None)), "train"),
        ]
    kept, reasons = _settled(tmp_path / "c.duckdb", pairs)
    assert reasons == {"corpus.contradiction": 200}
    assert len(kept) == 100


def test_what_stays_does_not_depend_on_the_order(tmp_path: Path) -> None:
    words = _sentence("cluster", 24)
    pairs: list[tuple[CompiledPair, Split]] = [
        (_imported(" ".join(_edited(words, number)), "the same answer"), "train") for number in range(24)
    ]
    forth = _settled(tmp_path / "1.duckdb", pairs)
    assert forth == _settled(tmp_path / "2.duckdb", pairs[::-1])
    assert len(forth[0]) == 1


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda e: (f"{e[0]:02}", f"{e[1]:02}"))))
def test_of_a_cluster_the_smallest_id_stays(edges: list[tuple[str, str]]) -> None:
    gone = set(superfluous(edges))
    for one, other in edges:
        assert one == other or max(one, other) in gone
    assert gone == set(superfluous(edges[::-1]))


@pytest.mark.parametrize("rules", [SurfaceRules(), SurfaceRules(near_duplicates=0.6), SurfaceRules(leak_words=13)])
def test_an_empty_corpus_is_settled(tmp_path: Path, rules: SurfaceRules) -> None:
    assert _settled(tmp_path / "c.duckdb", [], rules=rules) == (set(), {})
