"""Pairs about a small rule set, made by hand: scenarios with facts, an answer by rule, a shown text."""

from __future__ import annotations

from hrmbuild.fingerprint import sha256_hex
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import Answer, Axis, Occurrence, Pair, Split, pair_id

OUTCOMES = ("approved", "rejected")


def rule_pair(
    amount: int, *, limit: int = 500, split: Split = "train", axis: Axis | None = None, variant: str | None = None
) -> Pair:
    """A claim of `amount` under a limit."""
    text = f"R1. Above {limit} EUR: rejected. R2. Else: approved."
    instruction = f"Claims\n{text}\n\nThe claim is {amount} EUR. What is decided?"
    outcome = OUTCOMES[amount > limit]
    response = f"{outcome}. Rule R{1 if amount > limit else 2}."
    inputs = {"ruleset": "claims", "fact.amount": str(amount), "parameter.limit": str(limit)}
    return Pair(
        id=pair_id("direct", instruction, response),
        instruction=instruction,
        response=response,
        condition="direct",
        kind="rules.outcome",
        stratum="rules",
        split=split,
        axis=axis,
        boundary=abs(amount - limit) <= 10,
        book="open",
        derivation="evaluated",
        answer=Answer(type="choice", value=outcome, choices=OUTCOMES),
        content_key=sha256_hex(instruction.encode()),
        label="internal",
        occurrences=(
            Occurrence(
                source_sha256=sha256_hex(b"claims.yaml"),
                locator=Locator(line_from=1),
                text=text,
                template_sha256=sha256_hex(b"template"),
                inputs=inputs | ({"variant": variant} if variant else {}),
            ),
        ),
    )


def train_pairs() -> list[Pair]:
    """Forty scenarios as written, 25 of them approved."""
    return [rule_pair(amount) for amount in range(0, 800, 20)]
