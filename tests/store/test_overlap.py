"""Included rows beside own pairs: what is planted is found, and minimal pairs and other days are none of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from hrmbuild.store.overlap import Overlap, Overlapping, Text

N = 100
CITIES = ("Aachen", "Bremen", "Coburg", "Dessau", "Erfurt", "Fulda", "Goslar", "Hameln", "Ilmenau", "Jena")
OTHERWISE = ({"condition": "cot"}, {"last": "2019-12-31"}, {"instruction": "the town?"})
THINGS = ("trains", "bridges", "gardens", "schools", "markets", "wells", "towers", "mills", "parks", "inns")


def own(number: int, *, begin: str = "", other: str = "", reply: str = "", **said: Any) -> Text:
    place, thing = CITIES[number % 10], THINGS[number // 10 % 10]
    asked = f"{begin}The town of {place} keeps a list of its {thing}. How many {thing} does it{other} name for {place}?"
    answer = reply or f"It names a good many {thing} in {place}, and all are old."
    return Text(f"own{number}", asked, answer)._replace(**said)


def looked(rows: list[Text], tmp_path: Path, *, near: float | None = 0.6, held: int = 0) -> dict[str, Overlapping]:
    with Overlap(tmp_path, words=13, common=20, near=near) as overlap:
        pairs = [own(number) for number in range(N)]
        overlap.add_own(pairs[:held], pairs[held:])
        return {one.id: one for one in overlap.find(rows)}


def test_every_planted_row_is_found_and_named_with_its_own_pair(tmp_path: Path) -> None:
    rows = [own(n, reply="Nobody counted them.", id=f"c{n}") for n in range(N)]
    rows += [own(n, begin="Well then ", id=f"n{n}") for n in range(N)]
    rows += [own(n) for n in range(0, N, 10)]
    rows += [Text(f"x{n}", f"What is {n} and {n}?", f"{2 * n}.") for n in range(N)]
    found = looked(rows, tmp_path)
    assert Counter(one.code for one in found.values()) == {"contradiction": N, "near": N, "duplicate": 10}
    assert all(one.because == f"own{one.id[1:]}" for one in found.values() if one.code == "contradiction")


def test_minimal_pairs_are_not_near_and_equal_answers_contradict_nothing(tmp_path: Path) -> None:
    rows = [own(n, other=" not", id=f"m{n}") for n in range(N)]
    rows += [own(n, begin="In 1999 ", id=f"y{n}") for n in range(N)]
    plain = own(3, id="plain")
    same = plain._replace(instruction=f" {plain.instruction.upper()} ", response=plain.response.lower().rstrip("."))
    assert {key: one.code for key, one in looked([*rows, same], tmp_path).items()} == {"plain": "near"}


def test_another_condition_another_time_and_another_question_contradict_nothing(tmp_path: Path) -> None:
    with Overlap(tmp_path, words=None, common=20) as overlap:
        overlap.add_own([], [own(3, first="2020-01-01")])
        base = own(3, reply="Nobody counted them.", id="base")
        others = [
            base._replace(condition="cot"),
            base._replace(last="2019-12-31"),
            base._replace(instruction="the town?"),
        ]
        assert list(overlap.find(others)) == []
        assert [one.code for one in overlap.find([base])] == ["contradiction"]


def test_a_held_out_question_in_other_words_is_a_leak(tmp_path: Path) -> None:
    rows = [Text(f"s{n}", f"{CITIES[n]}'s list: how many old {THINGS[n]}?", "Seven.") for n in range(10)]
    asked = [one._replace(id=f"r{n}", instruction=one.instruction.replace("how many", "how very many"))
             for n, one in enumerate(rows)]  # fmt: skip
    with Overlap(tmp_path, words=13, common=20, near=0.6) as overlap:
        overlap.add_own(rows, [])
        assert {one.code for one in overlap.find(asked)} == {"leak"}


def test_what_is_taken_of_the_first_base_holds_against_the_second(tmp_path: Path) -> None:
    with Overlap(tmp_path, words=None, common=20) as overlap:
        overlap.add_own([], [own(1)])
        first = [own(1, reply="None.", id="gone"), own(2, id="taken")]
        assert [one.id for one in overlap.find(first, remember=True)] == ["gone"]
        second = [
            own(1, id="like own", response=own(1).response + " "),
            own(2, reply="None.", id="other"),
            own(2, id="taken"),
        ]
        assert {one.id: (one.code, one.because) for one in overlap.find(second)} == {
            "other": ("contradiction", "taken"), "taken": ("duplicate", "taken"),
        }  # fmt: skip
