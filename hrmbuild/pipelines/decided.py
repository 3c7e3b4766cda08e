"""What the recorded decisions mean for an ingest: released rejections, refused and edited pairs, withdrawn sources.

Owns that meaning. Of several decisions over one thing the last one stands. A release, an edit and a withdrawal concern
the files that their facts name, and enter the keys of those units only, so that an incremental ingest ends where a
fresh one would; a refused pair is refused wherever it was made, in the pass over the whole corpus.

It must not append a decision, nor ask whose signature counts: an ingest honours what is recorded, and the manifest says
so with a digest that `verify` holds against the decisions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hrmbuild.audit.checks import named
from hrmbuild.audit.decisions import DECISIONS_NAME, Recorded, chain_problems, read
from hrmbuild.audit.edits import EDITS_NAME, read_edits
from hrmbuild.audit.log import LOG_NAME, read_log
from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import hash_value
from hrmbuild.records.decision import UNAUTHENTICATED, EditedTexts
from hrmbuild.records.pair import CompiledPair, pair_id

WITHDRAWN, REJECTED_SOURCE = "withdrawn", "source.rejected"
SAID = "built on withdrawn material"
SKETCH_FACT = "sketch"
"""Fact of a withdrawal: fingerprints of the text (`audit.shingles`), so that near copies are known."""
REVIEW_REJECTED, REVIEW_EDITED = "review.rejected", "review.edited"
SOURCES_FACT = "sources"
"""Fact of an edit: the SHA-256 of the sources of the pair's occurrences, separated by blanks."""
EDIT_FACT, REVIEWER_FACT = "edit", "reviewer"
"""Facts of a review: the digest of the new texts in `edits.jsonl`; what the reviewer is called where nobody signs."""
EDITED_FROM = "edited_from"
"""Key in an edited pair's inputs: the id of the pair whose texts a person changed."""
REVIEW_ACTIONS = frozenset({"review_accept", "review_reject", "review_edit", "review_undo"})
Ruling = tuple[str, str]
"""Code and reason."""
NEVER_RELEASED = frozenset({
    "gate.personal_data", "gate.secret", "gate.control_token", "gate.empty_instruction", "gate.empty_response",
    "gate.lone_surrogate", "gate.not_nfc", "corpus.leak", "corpus.protected", REVIEW_REJECTED, REVIEW_EDITED,
})  # fmt: skip
"""What no decision lets in: texts that nobody may keep, that cannot be trained on, or that would spoil a score."""


def rejection_digest(*, code: str, source_sha256: str, pair_id: str) -> str:
    """What names a refused pair: `release` is a decision over this digest."""
    return hash_value([code, source_sha256, pair_id])


@dataclass(frozen=True)
class Edit:
    """New texts for a pair."""

    instruction: str
    response: str
    answer: str
    """Value of the typed answer."""
    sources: tuple[str, ...]
    """SHA-256 of the files whose pair this is."""

    def of(self, pair: CompiledPair) -> CompiledPair:
        """The pair as the person wrote it; its occurrence keeps the texts that stood there before, and its old id."""
        before = {"edited_instruction": pair.instruction, "edited_response": pair.response}
        now = {"edited_instruction": self.instruction, "edited_response": self.response}
        kept = {name: text for name, text in before.items() if now[name] != text}
        kept[EDITED_FROM] = pair_id(pair.condition, pair.instruction, pair.response)
        occurrence = pair.occurrence.model_copy(update={"inputs": {**(pair.occurrence.inputs or {}), **kept}})
        return pair.model_copy(update={
            "instruction": self.instruction, "response": self.response, "derivation": "written_by_person",
            "answer": pair.answer.model_copy(update={"value": self.answer}), "occurrence": occurrence,
            "content_key": hash_value(["edited", self.instruction, self.response]),
        })  # fmt: skip


@dataclass(frozen=True)
class UnitDecisions:
    """The part of them that concerns some files."""

    released: frozenset[str] = frozenset()
    """Digests of rejections that hold no longer."""
    confirmed: frozenset[str] = frozenset()
    """Digests of rejections that a person upheld: what was held is out."""
    edits: Mapping[str, Edit] = field(default_factory=dict)
    """Pair id -> new texts."""
    kept_out: Mapping[str, Ruling] = field(default_factory=dict)
    """SHA-256 of a file -> code and reason."""

    def key(self) -> list[object]:
        """What enters the unit's key; empty where nothing was decided about it."""
        edits = [[one, edit.instruction, edit.response, edit.answer] for one, edit in sorted(self.edits.items())]
        kept_out = [[sha256, *told] for sha256, told in sorted(self.kept_out.items())]
        found = [sorted(self.released), sorted(self.confirmed), edits, kept_out]
        return list(found) if any(found) else []


@dataclass(frozen=True)
class Decided:
    """All decisions that an ingest honours."""

    released: Mapping[str, str] = field(default_factory=dict)
    """Digest of a rejection -> SHA-256 of its source."""
    confirmed: Mapping[str, str] = field(default_factory=dict)
    """The same of rejections that were upheld."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Pair id -> code, in the pass over the whole corpus."""
    edits: Mapping[str, Edit] = field(default_factory=dict)
    kept_out: Mapping[str, Ruling] = field(default_factory=dict)
    """SHA-256 of a withdrawn or rejected source -> code and reason."""
    sketches: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of a withdrawn source -> fingerprints of its text."""
    copies: Mapping[str, Ruling] = field(default_factory=dict)
    """The same of near copies, which follow from files and sketches (`near_copies`); they are in no digest."""
    accepted: frozenset[str] = frozenset()
    """Pair ids that a review accepted: they change no pair and are counted."""

    @property
    def sha256(self) -> str:
        """Of all of it, whatever the corpus holds."""
        edits = {
            one: [edit.instruction, edit.response, edit.answer, list(edit.sources)] for one, edit in self.edits.items()
        }
        told = [dict(self.released), dict(self.confirmed), dict(self.refused), edits, sorted(self.accepted)]
        return hash_value([*told, {one: list(ruling) for one, ruling in self.kept_out.items()}])

    def for_files(self, hashes: Iterable[str]) -> UnitDecisions:
        """What concerns files with these SHA-256."""
        wanted = frozenset(hashes)
        return UnitDecisions(
            released=frozenset(digest for digest, source in self.released.items() if source in wanted),
            confirmed=frozenset(digest for digest, source in self.confirmed.items() if source in wanted),
            edits={one: edit for one, edit in self.edits.items() if not wanted.isdisjoint(edit.sources)},
            kept_out={one: told for one, told in {**self.copies, **self.kept_out}.items() if one in wanted},
        )

    def entry(self, *, sources: Iterable[str], pairs: Container[str]) -> dict[str, Any]:
        """What the manifest says of the decisions that took effect, as `records.manifest.DecisionsEntry`; or nothing.

        Args:
            sources: SHA-256 of the corpus's files.
            pairs: ids of the pairs that it made.
        """
        rulings = self._rulings(sources, pairs)
        counts = dict(sorted(Counter(action for action, *_ in rulings).items()))
        return {"sha256": hash_value(rulings), "counts": counts} if rulings else {}

    def _rulings(self, sources: Iterable[str], pairs: Container[str]) -> list[list[str]]:
        unit = self.for_files(sources)
        found = [["release", digest] for digest in unit.released]
        found += [["reject", digest] for digest in unit.confirmed]
        found += [
            ["review_edit", one, edit.instruction, edit.response, edit.answer] for one, edit in unit.edits.items()
        ]
        found += [[code, sha256] for sha256, (code, _) in unit.kept_out.items() if sha256 in self.kept_out]
        found += [
            ["review_reject", one] for one, code in self.refused.items() if code == REVIEW_REJECTED and one in pairs
        ]
        found += [["review_accept", one] for one in self.accepted if one in pairs]
        return sorted(found)


NOTHING_DECIDED = Decided()


def read_decided(project: Project) -> Decided:
    """What stands in the project's decisions.

    Raises:
        InputError: `decisions.broken`: they or the log were altered or cut; `decisions.unreadable`, `log.unreadable`.
    """
    path = project.work / DECISIONS_NAME
    if not path.exists():
        return NOTHING_DECIDED
    decisions = read(path)
    problems = list(chain_problems(decisions, read_log(project.work / LOG_NAME), may_lack_last=True))
    if problems:
        raise InputError("decisions.broken", f"the decisions do not hold: {named(problems)}", where=str(path),
                         why="an ingest must not honour a decision that nobody made, nor forget one",
                         fix=f"restore {DECISIONS_NAME} and {LOG_NAME} from their copy")  # fmt: skip
    return decided(decisions.recorded, read_edits(project.work / EDITS_NAME))


def reviewer_name(keyid: str | None, name: str | None) -> str:
    """What a reviewer is called: the key that signs, else the name given, marked as one that proves nothing."""
    if keyid:
        return f"key {keyid[:16]}"
    return f"{name} (unsigned)" if name else UNAUTHENTICATED


def reviewer_of(one: Recorded) -> str:
    """Who reviewed."""
    return reviewer_name(one.keyid, one.decision.facts.get(REVIEWER_FACT))


def standing_reviews(recorded: Sequence[Recorded]) -> dict[str, dict[str, Recorded]]:
    """Pair id -> reviewer -> the review of theirs that stands, the newest last; what was undone is left out."""
    found: dict[str, dict[str, Recorded]] = {}
    for one in recorded:
        subject, action = one.decision.subject, one.decision.action
        if subject.kind == "pair" and action in REVIEW_ACTIONS:
            reviews = found.setdefault(subject.sha256, {})
            reviews.pop(reviewer_of(one), None)
            if action != "review_undo":
                reviews[reviewer_of(one)] = one
    return {pair: reviews for pair, reviews in found.items() if reviews}


def decided(recorded: Sequence[Recorded], edits: Mapping[str, EditedTexts]) -> Decided:
    """The meaning of decisions, oldest first, with the texts of edits by digest."""
    released: dict[str, str] = {}
    confirmed: dict[str, str] = {}
    withdrawn: dict[str, Ruling] = {}
    sketches: dict[str, str] = {}
    rejected: dict[str, Ruling] = {}
    for one in recorded:
        action, subject, facts = one.decision.action, one.decision.subject, one.decision.facts
        told = one.decision.reason
        match subject.kind, action:
            case "rejection", "release":
                released[subject.sha256] = facts.get("source_sha256", "")
                confirmed.pop(subject.sha256, None)
            case "rejection", "reject":
                confirmed[subject.sha256] = facts.get("source_sha256", "")
                released.pop(subject.sha256, None)
            case "source", "withdraw":
                withdrawn[subject.sha256] = (WITHDRAWN, told)
                sketches[subject.sha256] = facts.get(SKETCH_FACT) or sketches.get(subject.sha256, "")
            case "source", "release":
                withdrawn.pop(subject.sha256, None)
            case "source", "reject":
                rejected[subject.sha256] = (REJECTED_SOURCE, told)
            case "source", "approve":
                rejected.pop(subject.sha256, None)
            case _:
                pass
    reviews = {pair: _prevailing(of_pair) for pair, of_pair in standing_reviews(recorded).items()}
    kept_out = {**rejected, **withdrawn}
    sketches = {one: told for one, told in sketches.items() if one in withdrawn and told}
    return replace(
        _reviewed(reviews, edits), released=released, confirmed=confirmed, kept_out=kept_out, sketches=sketches
    )


def _prevailing(reviews: Mapping[str, Recorded]) -> Recorded:
    """Of several persons' reviews of one pair: a refusal before an edit before an acceptance, then the newest."""
    strictness = {"review_reject": 2, "review_edit": 1, "review_accept": 0}
    return max(reversed(list(reviews.values())), key=lambda one: strictness[one.decision.action])


def _reviewed(reviews: dict[str, Recorded], texts: Mapping[str, EditedTexts]) -> Decided:
    by_action: dict[str, dict[str, Recorded]] = {"review_accept": {}, "review_reject": {}, "review_edit": {}}
    for pair, one in reviews.items():
        by_action[one.decision.action][pair] = one
    edited = by_action["review_edit"]
    edits = {pair: edit for pair, one in edited.items() if (edit := _edit(one, texts)) is not None}
    refused = dict.fromkeys(by_action["review_reject"], REVIEW_REJECTED) | dict.fromkeys(edited, REVIEW_EDITED)
    return Decided(refused=refused, edits=edits, accepted=frozenset(by_action["review_accept"]))


def _edit(one: Recorded, texts: Mapping[str, EditedTexts]) -> Edit | None:
    """Its texts; None where they were erased: the pair as it was stays refused."""
    facts = one.decision.facts
    new = texts.get(facts.get(EDIT_FACT, ""))
    if new is None or new.pair != one.decision.subject.sha256:
        return None
    return Edit(new.instruction, new.response, new.answer, tuple(facts.get(SOURCES_FACT, "").split()))
