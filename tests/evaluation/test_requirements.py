"""The gate's expressions: what is read, what is refused, and what holds."""

from __future__ import annotations

import pytest
from rule_pairs import rule_pair

from hrmbuild.errors import UsageError
from hrmbuild.evaluation.abstention import Abstention
from hrmbuild.evaluation.extraction import CanaryExtraction, Extraction, LabelExtraction
from hrmbuild.evaluation.intervals import Estimate
from hrmbuild.evaluation.requirements import check_requirements, judge, needs_extraction, parse_requirements
from hrmbuild.evaluation.scores import Evaluation
from hrmbuild.evaluation.tallies import MODEL, tally

PAIRS = [
    *(rule_pair(amount, split="test", axis="cell") for amount in range(80)),
    *(rule_pair(amount, limit=90, split="test", axis="variant", variant=f"claims/v{amount}") for amount in range(20)),
]
RIGHT = {MODEL: [i % 10 != 0 for i in range(100)], "text removed": [i % 2 == 0 for i in range(100)]}
EVALUATION = Evaluation((), tally(PAIRS, RIGHT, f1=[0.95] * 100), n_too_long=0, abstention=Abstention(10, 8, 90, 1))
SPANS = LabelExtraction(Estimate(0.2, 0.1, 0.3, 100, 100), Estimate(0.05, 0.02, 0.1, 100, 100))
EXTRACTION = Extraction(
    {None: SPANS, "public": SPANS}, {None: CanaryExtraction((9.0, 7.0), verbatim=1, control_bits=(1.0, 2.0))}
)
ROWS = [(one.heading, one.name) for one in EVALUATION.slices]


def verdicts(text: str, extraction: Extraction | None = EXTRACTION) -> dict[str, tuple[float | None, bool]]:
    clauses = parse_requirements(text)
    check_requirements(clauses, rows=ROWS, columns=["text removed"], labels=["public"])
    return {one.clause: (one.figure, one.holds) for one in judge(clauses, EVALUATION, extraction)}


def test_each_clause_has_its_figure() -> None:
    found = verdicts("exact>=0.9, exact>90%, f1>=95%, n>=100, clusters<100, exact[axis: variant]>=0.8,declines>=0.8")
    assert found["exact>=0.9"] == (0.9, True) and found["exact>90%"] == (0.9, False)
    assert found["f1>=95%"][1] and found["n>=100"] == (100, True) and found["clusters<100"] == (100, False)
    assert found["exact[axis: variant]>=0.8"] == (0.9, True) and found["declines>=0.8"] == (0.8, True)


def test_a_bound_of_the_interval_can_be_demanded() -> None:
    found = verdicts("exact.low>=0.9, exact.high>=0.9, exact[axis: cell].low>0.5, lead(text removed).low>0")
    assert [holds for _, holds in found.values()] == [False, True, True, True]
    low, high = EVALUATION.overall.columns[MODEL].interval
    assert found["exact.low>=0.9"][0] == low and found["exact.high>=0.9"][0] == high


def test_a_row_may_be_named_by_its_end_where_only_one_ends_so() -> None:
    found = verdicts("exact[new facts, as written]>=0.5, exact[outcome: new variant] >= 0.5")
    assert len(found) == 2 and all(holds for _, holds in found.values())


def test_extraction_is_trained_less_never_trained() -> None:
    found = verdicts("extraction<=0.01, extraction[public].high<0.5, exposure<=10")
    figure, holds = found["extraction<=0.01"]
    assert figure == pytest.approx(0.15) and not holds
    assert found["extraction[public].high<0.5"][1] and found["exposure<=10"] == (8.0, True)
    assert SPANS.excess.low < 0.15 < SPANS.excess.high
    assert needs_extraction(parse_requirements("exposure<2")) and not needs_extraction(parse_requirements("n>1"))


def test_what_was_not_measured_does_not_hold() -> None:
    assert verdicts("extraction<=0.01", extraction=None) == {"extraction<=0.01": (None, False)}
    nothing = Evaluation((), EVALUATION.slices, 0, Abstention(0, 0, 100, 0))
    (verdict,) = judge(parse_requirements("declines>=0"), nothing)
    assert (verdict.figure, verdict.holds) == (None, False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "exact",
        "exact=0.9",
        "exactly>=0.9",
        "exact>=high",
        "lead>=0",
        "exact(tree)>=0",
        "n.low>=3",
        "declines[x]>=1",
    ],
)
def test_what_cannot_be_read_is_refused_with_what_is_known(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_requirements(f"n>=1, {text}")
    assert caught.value.code == "eval.require_syntax" and "lead(COLUMN)" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "known"),
    [("exact[moon]>=0.1", "axis: cell"), ("lead(oak)>0", "text removed"), ("extraction[secret]<1", "public"),
     ("exact[nowhere]>0.1", "boundary: away from thresholds")],
)  # fmt: skip
def test_unknown_rows_columns_and_labels_are_named_before_anything_is_scored(text: str, known: str) -> None:
    with pytest.raises(UsageError) as caught:
        verdicts(f"{text}, exact[sun]>0")
    assert caught.value.code == "eval.require_unknown"
    assert known in str(caught.value) and "no row 'sun'" in str(caught.value)


def test_an_end_that_several_rows_share_names_them() -> None:
    rows = [("rules", "outcome: new variant"), ("rules", "excerpt: new variant")]
    with pytest.raises(UsageError) as caught:
        check_requirements(parse_requirements("exact[new variant]>0"), rows=rows, columns=[], labels=[])
    assert "several rows end so" in str(caught.value) and "excerpt: new variant" in str(caught.value)
