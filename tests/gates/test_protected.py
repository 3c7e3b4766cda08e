"""Protected attributes and their proxies: no fact, filter or grouping, unless somebody allowed it."""

from __future__ import annotations

import pytest

from hrmbuild import gates
from hrmbuild.config.permission import ProtectedAttribute, ProtectedException
from hrmbuild.config.project import GatesConfig

ALLOWED = ProtectedException(basis="Article 10(5)", approver="dpo@example.org")
RULES = {"sex": ProtectedAttribute(proxies=("first name",)), "age": ProtectedAttribute(allowed=ALLOWED)}
ROWS = "WITH claims(id, sex, amount) AS (VALUES (CAST('1' AS BIGINT), CAST('sex) SELECT' AS VARCHAR)))"


@pytest.mark.parametrize(
    ("occurrence", "refused"),
    [
        ({"query": f"{ROWS} SELECT sum(amount) FROM claims"}, False),
        ({"query": f"{ROWS} SELECT sum(amount) FROM claims WHERE sex = 'f'"}, True),
        ({"query": 'SELECT "Sex", count(*) FROM claims GROUP BY "Sex"'}, True),
        ({"query": "SELECT count(*) FROM claims WHERE kind = 'sex'"}, False),
        ({"query": "SELECT min(first_name) FROM claims"}, True),
        ({"query": "SELECT avg(age), max(sexagesimal) FROM claims"}, False),
        ({"inputs": {"fact.sex": "f", "fact.amount": "3"}}, True),
        ({"inputs": {"fact.age": "30"}}, False),
    ],
)
def test_no_question_turns_on_a_protected_attribute(pair, occurrence, refused):
    one = pair()
    finding = gates.run(one.model_copy(update={"occurrence": one.occurrence.model_copy(update=occurrence)}),
                        GatesConfig(protected=RULES))  # fmt: skip
    assert (finding.code if finding else None) == ("gate.protected" if refused else None)
