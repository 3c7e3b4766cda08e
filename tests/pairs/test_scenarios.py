"""Scenarios: where they stand, what they cover, and that a plain Python reading of the rules agrees."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from ruleset_support import EXAMPLES, context_of, example_record, opened, ruleset

from hrmbuild.pairs.rules_checked import CheckedRules, check_rules
from hrmbuild.pairs.rules_domains import domain_of
from hrmbuild.pairs.rules_evaluate import NO_RULE
from hrmbuild.pairs.rules_executable import draw_scenarios
from hrmbuild.pairs.scenarios import Scenario, build_scenarios, cell_sides
from hrmbuild.pairs.variants import as_written
from hrmbuild.records.ruleset import Fact


def scenarios_of(n: int, *, seed: int = 0, boundary_fraction: float = 0.5) -> tuple[CheckedRules, list[Scenario]]:
    with opened() as connection:
        rules = check_rules(ruleset(), path="x.yaml", connection=connection)
        written = as_written(rules.ruleset, in_force=rules.in_force)
        found = build_scenarios(
            rules, [(written, n)], boundary_fraction=boundary_fraction, seed=seed, connection=connection
        )
    return rules, found


def facts_of(rules: CheckedRules, scenario: Scenario) -> dict[str, str]:
    return {domain.name: domain.text(index) for domain, index in zip(rules.domains, scenario.case, strict=True)}


def by_hand(facts: dict[str, str]) -> tuple[str, list[str]]:
    """The parking rules, read by a person."""
    distance, fired = int(facts["distance"]), []
    if distance < 5:
        fired.append(("R1", "refuse"))
    if facts["permit"] == "true" and facts["role"] != "guest":
        fired.append(("R2", "give"))
    if 20 <= distance <= 35:
        fired.append(("R3", "share"))
    return (fired[0][1] if fired else NO_RULE), [rule for rule, _ in fired]


def test_duckdb_decides_as_a_person_does() -> None:
    rules, found = scenarios_of(120)
    assert len(found) > 100
    for scenario in found:
        outcome, fired = by_hand(facts_of(rules, scenario))
        assert scenario.decision.outcome == outcome
        assert [rules.ruleset.rules[i].id for i in scenario.decision.fired] == fired


def test_boundary_means_at_just_below_or_just_above_a_threshold() -> None:
    rules, found = scenarios_of(120)
    near = {4, 5, 6, 19, 20, 21, 34, 35, 36}
    assert all(s.boundary == (int(facts_of(rules, s)["distance"]) in near) for s in found)
    assert {int(facts_of(rules, s)["distance"]) for s in found} >= near


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.8])
def test_the_share_of_boundary_cases_is_the_one_asked_for(fraction: float) -> None:
    _, found = scenarios_of(80, boundary_fraction=fraction)
    share = sum(s.boundary for s in found) / len(found)
    assert abs(share - fraction) < 0.12


def test_every_cell_overlap_and_gap_is_met() -> None:
    _, found = scenarios_of(120)
    assert len({s.cell for s in found}) == 4 * 3 * 2
    assert any(len(s.decision.fired) == 2 for s in found)
    assert any(s.decision.outcome == NO_RULE for s in found)
    assert all("colour" not in s.cell for s in found)


def test_cases_are_distinct_by_what_rules_read() -> None:
    rules, found = scenarios_of(120)
    read = [tuple(v for k, v in facts_of(rules, s).items() if k in rules.read) for s in found]
    assert len(set(read)) == len(read)


def test_the_same_seed_gives_the_same_cases_and_another_gives_others() -> None:
    cases = [[s.case for s in scenarios_of(60, seed=seed)[1]] for seed in (1, 1, 2)]
    assert cases[0] == cases[1] != cases[2]


def test_half_of_a_small_space_is_the_most_that_is_taken() -> None:
    assert 100 <= len(scenarios_of(5000)[1]) <= 123 == 41 * 3 * 2 // 2


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_outcome_of_an_example_is_a_majority_and_all_cells_are_covered(name: str) -> None:
    record = example_record(name)
    with opened() as connection:
        rules = check_rules(record.ruleset, path=record.path, connection=connection)
        context = context_of(record, connection, variants=30, excerpt_fraction=0, check_fraction=0)
        drawn = draw_scenarios(rules, context, connection)
    counts = Counter(s.decision.outcome for s in drawn.whole)
    assert set(counts) == set(record.ruleset.outcomes)
    assert max(counts.values()) < 0.6 * len(drawn.whole)
    assert len({s.cell for s in drawn.whole if s.variant.key is None}) == 36
    assert 0.45 < sum(s.boundary for s in drawn.whole) / len(drawn.whole) < 0.55
    sides = cell_sides(drawn.whole, seed=0)
    cells = {(s.decision.decided_by, s.cell) for s in drawn.whole if s.variant.key is None}
    n_cells = Counter(rule for rule, _ in cells)
    tested = {rule for rule, cell in cells if sides.get(cell) == "test"}
    assert {rule for rule, cell in cells if cell not in sides} == {0, 1, 2, 3, 4}
    assert tested == {rule for rule, n in n_cells.items() if n > 2}


@pytest.mark.parametrize(
    ("position", "edge", "index"),
    [
        ("10", "from", 0),
        ("10", "after", 1),
        ("12", "from", 1),
        ("12", "after", 1),
        ("15", "from", 1),
        ("99", "from", 5),
    ],
)
def test_thresholds_cut_a_grid_where_the_comparison_turns(position: str, edge: str, index: int) -> None:
    domain = domain_of("x", Fact(type="integer", text="x", min="10", max="30", step="5"))
    assert domain.first(Decimal(position), edge=edge) == index  # pyright: ignore[reportArgumentType]


def test_dates_and_decimals_have_canonical_texts() -> None:
    day = domain_of("d", Fact(type="date", text="d", min="2024-02-27", max="2024-03-02"))
    price = domain_of("p", Fact(type="decimal", text="p", min="1", max="2", step="0.25"))
    assert [day.text(i) for i in range(day.size)][1:4] == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert [price.text(i) for i in range(price.size)] == ["1.00", "1.25", "1.50", "1.75", "2.00"]
