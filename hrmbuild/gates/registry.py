"""All gates in their fixed order; the first refusal wins and is the one that is counted.

Owns the order: what makes text unusable comes before what makes an answer wrong. A new gate is one file beside this
one and its line here.
"""

from __future__ import annotations

from hrmbuild.config.project import GatesConfig
from hrmbuild.gates import control_tokens, grounding, length, unicode
from hrmbuild.gates.finding import Finding, Gate
from hrmbuild.records.pair import CompiledPair

GATES: tuple[Gate, ...] = (
    Gate(length.NAME, length.check),
    Gate(unicode.NAME, unicode.check),
    Gate(control_tokens.NAME, control_tokens.check),
    Gate(grounding.NAME, grounding.check),
)
"""Their names and the settings' thresholds stand in manifests."""


def run(pair: CompiledPair, config: GatesConfig) -> Finding | None:
    """The first refusal, or None when the pair may enter the corpus."""
    for gate in GATES:
        finding = gate.check(pair, config)
        if finding is not None:
            return finding
    return None
