"""All gates in their fixed order; the first refusal wins and is the one that is counted.

Owns the order: what makes text unusable comes before what makes an answer wrong, and numbers are looked for in what is
shown before any of them is masked. A new gate is one file beside this
one and its line here.
"""

from __future__ import annotations

from hrmbuild.config.project import GatesConfig
from hrmbuild.gates import control_tokens, grounding, language, length, personal_data, protected, secrets, unicode
from hrmbuild.gates.finding import Finding, Gate
from hrmbuild.records.pair import CompiledPair

GATES: tuple[Gate, ...] = (
    Gate(length.NAME, length.check),
    Gate(unicode.NAME, unicode.check),
    Gate(control_tokens.NAME, control_tokens.check),
    Gate(language.NAME, language.check),
    Gate(protected.NAME, protected.check),
    Gate(grounding.NAME, grounding.check),
    Gate(secrets.NAME, secrets.check),
    Gate(personal_data.NAME, personal_data.check),
)
"""Their names and the settings' thresholds stand in manifests."""


def run(pair: CompiledPair, config: GatesConfig) -> Finding | None:
    """The first refusal, or None when the pair may enter the corpus, be it masked."""
    for gate in GATES:
        verdict = gate.check(pair, config)
        if isinstance(verdict, Finding):
            return verdict
    return None
