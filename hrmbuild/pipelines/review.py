"""`hrmbuild review`: pairs in a local page, decided with the keyboard; each choice is a decision like any other.

Owns the way from a choice to `decisions.jsonl` (and of edited texts to `edits.jsonl`), and the gates before an edit.
The corpus is read once and closed, so that an ingest may run meanwhile; what was decided takes effect with the next.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from hrmbuild.audit import decisions
from hrmbuild.audit.decisions import DECISIONS_NAME
from hrmbuild.audit.edits import EDITS_NAME, append_edit
from hrmbuild.audit.keys import PrivateKey
from hrmbuild.config.loading import Project
from hrmbuild.config.project import GatesConfig
from hrmbuild.errors import UsageError
from hrmbuild.gates.finding import Finding, Redaction
from hrmbuild.gates.registry import GATES
from hrmbuild.pipelines.decided import (
    EDIT_FACT,
    REVIEWER_FACT,
    SOURCES_FACT,
    Edit,
    read_decided,
    reviewer_name,
    standing_reviews,
)
from hrmbuild.pipelines.deciders import check_reason, deciding_key
from hrmbuild.pipelines.identity import project_templates
from hrmbuild.pipelines.keys import Ask, nobody, now
from hrmbuild.pipelines.review_choice import (
    Sample,
    Wanted,
    check_not_empty,
    from_corpus,
    from_manifest,
    item_of,
    names_of_templates,
)
from hrmbuild.records.decision import UNAUTHENTICATED, Action, Decision, Subject
from hrmbuild.records.pair import Answer, CompiledPair, Pair, SplitKeys, pair_id
from hrmbuild.review.desk import Choice, Desk, Edited, Item, refused
from hrmbuild.review.server import check_libraries, loopback, serve

_ACTIONS: dict[str, Action] = {"accept": "review_accept", "reject": "review_reject", "edit": "review_edit",
                               "undo": "review_undo"}  # fmt: skip
_DEFAULT_REASONS = {"accept": "it stands as it is", "undo": "taken back"}


@dataclass(frozen=True)
class ReviewReport:
    """One visit."""

    decisions: int
    """Made in this visit, those that undid others included."""
    accepted: int
    rejected: int
    edited: int
    """Pairs by what stands at the end of the visit."""
    left: int
    """Pairs of this visit that were not decided."""
    before: int
    """Pairs of the same draw that this reviewer had decided before."""
    reviewer: str
    signed_by: str | None

    def as_dict(self) -> dict[str, Any]:
        """The keys of `review --json`."""
        return {
            "decisions": self.decisions, "accepted": self.accepted, "rejected": self.rejected, "edited": self.edited,
            "left": self.left, "before": self.before, "reviewer": self.reviewer, "signed_by": self.signed_by,
        }  # fmt: skip


@dataclass(frozen=True)
class UndoReport:
    """One review that was taken back."""

    pair: str
    was: str
    """What it had been: accept, reject, edit."""
    reviewer: str

    def as_dict(self) -> dict[str, Any]:
        """The keys of `review --undo --json`."""
        return {"decisions": 1, "pair": self.pair, "undone": self.was, "reviewer": self.reviewer}


@dataclass(frozen=True)
class Serving:
    """Where the page is."""

    announce: Callable[[str], None]
    """Called with the page's address once it is listened to."""
    bind: str = "127.0.0.1"
    port: int = 0


@dataclass(frozen=True)
class Reviewer:
    """Who decides, and where it is kept."""

    project: Project
    name: str | None
    role: str | None
    key: PrivateKey | None

    @property
    def called(self) -> str:
        """As `decided.reviewer_of` calls the same person."""
        return reviewer_name(self.key.fingerprint if self.key else None, self.name)

    def record(self, choice: Choice, pair: Pair) -> None:
        """Append the decision; the edited texts are on disk before it names them.

        Raises:
            AnswerIsNoError: `review.reason_personal`.
            InputError: `decisions.broken`, `log.broken`, `disk.*`.
        """
        check_reason(choice.reason, self.project.config.gates)
        facts: dict[str, str] = {}
        if choice.edited is not None:
            facts[SOURCES_FACT] = " ".join(sorted({one.source_sha256 for one in pair.occurrences}))
            facts[EDIT_FACT] = append_edit(
                self.project.work / EDITS_NAME, pair=pair.id, instruction=choice.edited.instruction,
                response=choice.edited.response, answer=choice.edited.answer,
            )  # fmt: skip
        self.keep(choice.action, pair.id, reason=choice.reason or _DEFAULT_REASONS[choice.action], facts=facts)

    def keep(self, action: str, pair: str, *, reason: str, facts: dict[str, str]) -> None:
        """Append one decision on a pair.

        Raises:
            InputError: `decisions.broken`, `log.broken`, `disk.*`.
        """
        named = {REVIEWER_FACT: self.name} if self.key is None and self.name else {}
        decision = Decision(
            action=_ACTIONS[action], subject=Subject(kind="pair", sha256=pair), reason=reason,
            person=self.name or UNAUTHENTICATED, role=self.role, at=now(), facts={**named, **facts},
        )  # fmt: skip
        decisions.append(self.project.work / DECISIONS_NAME, decision, key=self.key)


def review(
    project: Project,
    wanted: Wanted,
    *,
    serving: Serving,
    reviewer: str | None = None,
    key: Path | None = None,
    ask: Ask = nobody,
) -> ReviewReport:
    """Serve the page until Ctrl-C.

    Args:
        reviewer: what to call whoever decides.
        key: private key that signs each decision.

    Raises:
        InputError: `review.not_installed`, `review.no_pair`, `review.port_taken`, `store.*`, `decisions.*`.
        UsageError: `review.not_loopback`, `review.unknown_label`, `review.unknown_role`, `keys.*`.
    """
    check_libraries()
    address = loopback(serving.bind)
    who = reviewer_with(project, reviewer, role=wanted.role, key=key, ask=ask)
    sample = draw(project, wanted, who)
    desk = desk_of(project, wanted, sample, who)
    if sample.pairs:
        serve(desk, address=address, port=serving.port, announce=serving.announce)
    counts = desk.counts()
    return ReviewReport(
        desk.made, counts["accept"], counts["reject"], counts["edit"], len(sample.pairs) - sum(counts.values()),
        sample.n_decided_before, who.called, who.key.fingerprint if who.key else None,
    )  # fmt: skip


def reviewer_with(project: Project, name: str | None, *, role: str | None, key: Path | None, ask: Ask) -> Reviewer:
    """Who decides.

    Raises:
        InputError, UsageError: as `deciders.deciding_key`.
    """
    if key is None:
        return Reviewer(project, name, role, None)
    signer, known_as = deciding_key(project, key, person=name, ask=ask)
    return Reviewer(project, name or known_as, role, signer)


def undo(project: Project, pair: str, *, reason: str | None, who: Reviewer) -> UndoReport:
    """Take back the review of one pair that stands, also where the pair is out of the corpus by now.

    Args:
        pair: its id, or enough of its beginning.
        who: must be who decided.

    Raises:
        UsageError: `review.nothing_to_undo`.
        AnswerIsNoError: `review.reason_personal`.
        InputError: `decisions.*`, `disk.*`.
    """
    read_decided(project)
    standing = standing_reviews(decisions.read(project.work / DECISIONS_NAME).recorded)
    found = [name for name, reviews in standing.items() if name.startswith(pair.lower()) and who.called in reviews]
    if len(found) != 1:
        several = (
            f"{len(found)} pairs begin with {pair!r}" if found else f"no review of {who.called} on {pair!r} stands"
        )
        raise UsageError("review.nothing_to_undo", several, where="--undo",
                         fix="name the whole id, and who decided: --reviewer or --key")  # fmt: skip
    check_reason(reason or "", project.config.gates)
    was = standing[found[0]][who.called].decision.action
    who.keep("undo", found[0], reason=reason or _DEFAULT_REASONS["undo"], facts={})
    return UndoReport(found[0], was.removeprefix("review_"), who.called)


def draw(project: Project, wanted: Wanted, who: Reviewer) -> Sample:
    """The pairs that this reviewer has not decided yet.

    Raises:
        InputError: `review.no_pair`, `store.*`, `decisions.broken`.
    """
    read_decided(project)  # refuses decisions that do not hold before anything is shown
    standing = standing_reviews(decisions.read(project.work / DECISIONS_NAME).recorded)
    before = {pair for pair, reviews in standing.items() if who.called in reviews}
    if wanted.manifest is not None:
        sample = from_manifest(project, wanted.manifest, wanted, decided=before)
    else:
        sample = from_corpus(project, wanted, decided=before)
    check_not_empty(project, sample)
    return sample


def desk_of(project: Project, wanted: Wanted, sample: Sample, who: Reviewer) -> Desk:
    """The sample on a desk whose choices are recorded."""
    names = names_of_templates(project_templates(project))
    pairs = {pair.id: pair for pair in sample.pairs}
    chosen = {"source": wanted.source, "kind": wanted.kind, "split": wanted.split}
    heading = {"project": project.config.name, "shown up to": sample.label, "nonce": wanted.nonce}
    heading |= {name: value for name, value in chosen.items() if value}
    heading |= {"reviewer": who.called}
    if sample.n_decided_before:
        heading |= {"decided before": f"{sample.n_decided_before} of {sample.n_drawn}"}
    return Desk(
        [item_of(pair, sample.path_of, names) for pair in sample.pairs],
        record=lambda choice: who.record(choice, pairs[choice.item.id]),
        check=lambda item, edited: check_edit(pairs[item.id], item, edited, project.config.gates),
        heading=heading,
    )


def check_edit(pair: Pair, item: Item, edited: Edited, gates: GatesConfig) -> None:
    """Whether texts that a person wrote may enter the corpus: the answer fits its type, and every gate lets them pass.

    Raises:
        AnswerIsNoError: `review.answer_*`, `review.personal_data`, or a gate's own code.
    """
    _check_answer(pair.answer, edited)
    edit = Edit(edited.instruction, edited.response, edited.answer, ())
    for occurrence_number in range(len(pair.occurrences)):
        new = edit.of(_compiled(pair, occurrence_number))
        for gate in GATES:
            verdict = gate.check(new, gates)
            if isinstance(verdict, Finding):
                raise refused(verdict.code, verdict.detail)
            if isinstance(verdict, Redaction):
                kinds = ", ".join(sorted({kind for kind, _ in verdict.words}))
                raise refused("review.personal_data", f"the texts name somebody ({kinds}): write them without")
    if pair_id(pair.condition, edited.instruction, edited.response) == pair.id:
        raise refused("review.answer_alone", "only the answer that scores read was changed, and not the texts")


def _check_answer(answer: Answer, edited: Edited) -> None:
    value = edited.answer
    if answer.type == "choice" and answer.choices and value not in answer.choices:
        raise refused("review.answer_no_choice", f"the answer is none of: {', '.join(answer.choices)}")
    if answer.type == "number" and not _is_decimal(value):
        raise refused("review.answer_no_number", "the answer is an exact decimal, as 1250.50")
    if answer.type == "date" and not _is_date(value):
        raise refused("review.answer_no_date", "the answer is a date, as 2026-05-31")
    if answer.type in ("text", "choice", "absent", "boolean") and value not in edited.response:
        raise refused("review.answer_not_said", "the answer that scores read does not stand in the response")
    if not value.strip():
        raise refused("review.answer_empty", "there is no answer that scores could read")


def _is_decimal(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def _is_date(text: str) -> bool:
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _compiled(pair: Pair, occurrence_number: int) -> CompiledPair:
    """The pair as its compiler made it, for gates that look at one."""
    return CompiledPair(
        instruction=pair.instruction, response=pair.response, condition=pair.condition, kind=pair.kind,
        stratum=pair.stratum, book=pair.book, derivation=pair.derivation, answer=pair.answer,
        content_key=pair.content_key, label=pair.label, valid_from=pair.valid_from, valid_until=pair.valid_until,
        boundary=pair.boundary, split_keys=SplitKeys(document="review"),
        occurrence=pair.occurrences[occurrence_number],
    )  # fmt: skip
