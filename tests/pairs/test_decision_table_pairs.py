"""Pairs of decision tables: each answer computed again by hand, the deciding row named, broken promises counted."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from ruleset_support import opened, templates

from hrmbuild.assets import asset_folder
from hrmbuild.config.project import RulesConfig, SourceConfig
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.rules_executable import compile_ruleset
from hrmbuild.readers.registry import infer_format, read
from hrmbuild.records.document import RuleSetFile
from hrmbuild.records.pair import CompiledPair, Rejection
from hrmbuild.records.source import Source

FOLDER = asset_folder("examples") / "decision-tables"
SETTINGS = SourceConfig(
    path="x", kind="rules", rules=RulesConfig(scenarios=60, variants=8, variant_scenarios=10, check_fraction=0)
)


def compiled(path: Path) -> list[CompiledPair | Rejection]:
    """All that a table gives."""
    data = path.read_bytes()
    format, sha256 = infer_format(path, data) or "", sha256_hex(data)
    (record,) = read(path, relative=path.name, sha256=sha256, source=SETTINGS, format=format).records
    assert isinstance(record, RuleSetFile)
    source = Source(path=path.name, sha256=sha256, n_bytes=len(data), kind="rules", format=format, declared_by="x")
    with opened() as connection:
        context = CompileContext(seed=0, source=source, settings=SETTINGS, templates=templates(), connection=connection)
        return list(compile_ruleset(record, context))


def parking(facts: dict[str, str], limits: dict[str, Decimal]) -> str:
    """The rows of `parking-permits.csv`, by hand; thresholds rise."""
    near, far = sorted(limits.values())
    km = Decimal(facts["distance"])
    if facts["disabled_badge"] == "true" or facts["shift"] in ("night", "early") or km >= far:
        return "grant"
    return "waitlist" if near < km < far and facts["shift"] == "day" else "refuse"


def courier(facts: dict[str, str], limits: dict[str, Decimal]) -> str:
    """The rows of `courier-fee.yaml`, by hand."""
    (limit,) = limits.values()
    weight = Decimal(facts["weight"])
    if facts["zone"] == "abroad":
        return "24.00"
    if weight > limit:
        return str((Decimal("4.00") + weight).quantize(Decimal("0.01")))
    return "4.50" if facts["zone"] == "city" else "6.90"


@pytest.mark.parametrize(("name", "by_hand"), [("parking-permits.csv", parking), ("courier-fee.yaml", courier)])
def test_every_answer_is_what_the_rows_say(name, by_hand):
    n = 0
    for pair in compiled(FOLDER / name):
        inputs = pair.occurrence.inputs
        facts = {key[5:]: value for key, value in inputs.items() if key.startswith("fact.")}
        limits = {key: Decimal(value) for key, value in inputs.items() if key.startswith("parameter.")}
        whole = pair.kind == "rules.outcome" and {"distance", "shift", "disabled_badge"} <= facts.keys()
        if whole or (pair.kind == "rules.outcome" and {"weight", "zone"} <= facts.keys()):
            assert pair.answer.value == by_hand(facts, limits), pair.instruction
            n += 1
    assert n >= 30


def test_a_pair_names_the_row_that_decides_and_shows_no_code():
    pairs = [pair for pair in compiled(FOLDER / "parking-permits.csv") if isinstance(pair, CompiledPair)]
    for pair in pairs:
        if pair.kind == "rules.outcome" and "Rule P4" in pair.response:
            assert (pair.occurrence.locator.row_from, pair.occurrence.locator.line_from) == (4, 5)
        assert "_at_" not in pair.instruction and "{" not in pair.occurrence.text


def test_rows_that_hold_together_against_the_hit_policy_make_no_pair(tmp_path):
    (tmp_path / "bad.csv").write_text("U,km [0..100],decision\nA,<=30,near\nB,>20,mid\n")
    made = compiled(tmp_path / "bad.csv")
    (refused,) = [one for one in made if isinstance(one, Rejection)]
    assert refused.code == "compile.overlap" and "A and B hold together" in refused.detail
    for pair in made:
        if isinstance(pair, CompiledPair) and pair.kind == "rules.outcome":
            assert not pair.response.count(" yes") > 1, pair.response
