"""One pair before the gates: in, out with its reason, or held until somebody decides.

Owns what follows from a gate's finding, and from decisions on it: a released finding lets the pair go on to the next
gate, a pair that a person wrote anew passes all gates again. It must not find anything itself: gates do.
"""

from __future__ import annotations

from hrmbuild.config.project import GatesConfig
from hrmbuild.errors import ConfigError
from hrmbuild.gates.finding import Finding, Redaction
from hrmbuild.gates.registry import GATES
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.splits import assign
from hrmbuild.pipelines.dated_pairs import dated
from hrmbuild.pipelines.decided import NEVER_RELEASED, UnitDecisions, rejection_digest
from hrmbuild.pipelines.masking import Masker
from hrmbuild.records.pair import CompiledPair, Rejection, pair_id
from hrmbuild.records.reasons import REASONS
from hrmbuild.store.writer import UnitWriter


def check_quarantine(config: GatesConfig) -> None:
    """Whether what `gates.quarantine` names can be held.

    Raises:
        ConfigError: `config.not_held`.
    """
    known = {code for code in REASONS if code.startswith("gate.")} - NEVER_RELEASED
    wrong = [code for code in config.quarantine or () if code not in known]
    if wrong:
        raise ConfigError("config.not_held", f"{', '.join(wrong)} cannot be held until a decision",
                          where="gates.quarantine",
                          why="only a gate's finding on one pair can, whose text may be kept and may enter a corpus",
                          fix=f"name some of: {', '.join(sorted(known))}")  # fmt: skip


def gate_pair(
    pair: CompiledPair, context: CompileContext, writer: UnitWriter, masker: Masker, *, decisions: UnitDecisions
) -> None:
    """Write what becomes of a pair."""
    keeper = _Keeper(context, writer, masker, decisions)
    kept = keeper.passed(dated(pair, context))
    edit = decisions.edits.get(_id(kept)) if kept is not None else None
    if kept is not None and edit is not None:
        kept = keeper.passed(edit.of(kept))
    if kept is not None:
        split, axis = assign(kept.split_keys, context.seed)
        writer.add_candidate(context.source.path, kept, split=split, axis=axis)


class _Keeper:
    """The gates, for the pairs of one record."""

    def __init__(self, context: CompileContext, writer: UnitWriter, masker: Masker, decisions: UnitDecisions) -> None:
        self._context, self._writer, self._masker, self._decisions = context, writer, masker, decisions

    def passed(self, pair: CompiledPair) -> CompiledPair | None:
        """The pair as it may be trained on; None after its refusal was written."""
        config = self._masker.config
        for gate in GATES:
            verdict = gate.check(pair, config)
            if isinstance(verdict, Finding) and not self._is_released(pair, verdict):
                self._writer.add_rejection(self._refusal(pair, verdict), gate=gate.name)
                return None
            if isinstance(verdict, Redaction):
                pair = self._masker.pair(pair, verdict)
        return pair

    def _digest(self, pair: CompiledPair, finding: Finding) -> str:
        return rejection_digest(code=finding.code, source_sha256=self._context.source.sha256, pair_id=_id(pair))

    def _is_released(self, pair: CompiledPair, finding: Finding) -> bool:
        if not finding.keeps_text or finding.code in NEVER_RELEASED or not self._decisions.released:
            return False
        return self._digest(pair, finding) in self._decisions.released

    def _refusal(self, pair: CompiledPair, finding: Finding) -> Rejection:
        """As it may be kept; it is held where the settings say so, its text may be kept and nobody upheld it."""
        source = self._context.source
        refusal = Rejection(
            stage="gate", code=finding.code, detail=finding.detail, path=source.path, source_sha256=source.sha256,
            locator=pair.occurrence.locator, text=f"{pair.instruction}\n\n{pair.response}", pair_id=_id(pair),
            label=pair.label,
        )  # fmt: skip
        told = self._masker.rejection(refusal, keeps_text=finding.keeps_text)
        held = finding.code in (self._masker.config.quarantine or ()) and told.pair_id is not None
        if held and self._digest(pair, finding) not in self._decisions.confirmed:
            return told.model_copy(update={"stage": "quarantine"})
        return told


def _id(pair: CompiledPair) -> str:
    return pair_id(pair.condition, pair.instruction, pair.response)
