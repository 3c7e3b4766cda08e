"""Which questions hang together: what is counted as one draw when a score's interval is computed.

Owns the key of a pair's cluster. The finest thing that its questions share and that another sample would have had
different: the variant of a rule set, the case (facts) under rules as written, the document or table, the imported row.
On the axis `document` it is the rule set or document itself: one new rule set is one observation, however many
questions are asked about it. It must not score.
"""

from __future__ import annotations

from hrmbuild.records.pair import Pair

_ONE_ROW = frozenset({"imported", "written_by_person", "written_by_model"})
_FACT = "fact."
GROUP = "group"
"""Key of an occurrence's inputs: a validator's own group of questions."""


def cluster_of(pair: Pair) -> str:
    """The key of a pair's cluster."""
    first = pair.occurrences[0]
    inputs = first.inputs or {}
    if GROUP in inputs:
        return f"group {inputs[GROUP]}"
    if pair.derivation in _ONE_ROW:
        return f"row {pair.content_key}"
    if "ruleset" not in inputs:
        return f"file {first.source_sha256}"
    if pair.axis == "document":
        return f"rules {inputs['ruleset']}"
    if "variant" in inputs:
        return f"variant {inputs['variant']}"
    facts = ",".join(f"{name}={value}" for name, value in sorted(inputs.items()) if name.startswith(_FACT))
    return f"case {inputs['ruleset']} {facts}"
