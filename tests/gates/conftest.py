"""A pair that passes every gate, for tests to spoil."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import Answer, CompiledPair, Occurrence, SplitKeys

GOOD = CompiledPair(
    instruction="Limits\n3.2 Above 500 EUR a receipt is needed since 1 March 2026.\n\nWhich clause asks for a receipt?",
    response="Clause 3.2: above 500 EUR a receipt is needed.",
    kind="prose.clause",
    stratum="rules",
    derivation="quoted",
    answer=Answer(type="text", value="3.2"),
    content_key="0" * 64,
    label="internal",
    split_keys=SplitKeys(document="limits"),
    occurrence=Occurrence(source_sha256="0" * 64, locator=Locator(line_from=1), text="x", template_sha256="0" * 64),
)


@pytest.fixture
def pair() -> Callable[..., CompiledPair]:
    """`pair(response="…")`: the good pair with changes."""
    return lambda **changes: GOOD.model_copy(update=changes)
