"""Pairs of a source that is not in force: each question says when its text was, or the pair is none.

Owns that sentence's place, behind the question; its words stand in `templates/prompt/dated.j2`. It must not judge
whether a file may be read: `standing` did.
"""

from __future__ import annotations

from hrmbuild.gates import validity
from hrmbuild.pairs.context import CompileContext
from hrmbuild.records.pair import CompiledPair

DATED = "prompt/dated.j2"


def in_force(context: CompileContext) -> bool:
    """Whether the file holds on the day of the settings."""
    return validity.refusal(context.settings, context.as_of) is None


def dated(pair: CompiledPair, context: CompileContext) -> CompiledPair:
    """The pair as it may be asked: unchanged where its source is in force."""
    if in_force(context) or pair.book != "open":
        return pair
    source = context.source
    told = context.templates.render(DATED, valid_from=source.effective_from, valid_until=source.effective_until)
    return pair.model_copy(update={"instruction": f"{pair.instruction}\n\n{told.strip()}"})
