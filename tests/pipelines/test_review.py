"""What a review does to a corpus: its decisions, the next ingest, the next freeze; and what is never shown."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from small_project import FILES, rewrite, write_project

from hrmbuild.audit.decisions import read
from hrmbuild.audit.edits import altered_edits, drop_edits, read_edits
from hrmbuild.audit.keys import new_key
from hrmbuild.config.loading import Project, load_project
from hrmbuild.errors import AnswerIsNoError, InputError, UsageError
from hrmbuild.pipelines.decided import read_decided
from hrmbuild.pipelines.freeze import freeze, is_frozen_as
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.review import Reviewer, check_reason, desk_of, draw, reviewer_with, undo
from hrmbuild.pipelines.review_choice import Wanted, readable
from hrmbuild.pipelines.review_summary import agreements, cohens_kappa, review_check
from hrmbuild.records.manifest import Agreement
from hrmbuild.records.pair import Pair, pair_id
from hrmbuild.review.desk import Desk, Edited
from hrmbuild.store.corpus import Corpus

ALL = Wanted(show_label="restricted", n=10)
Make = Callable[[str, Callable[[Path], object]], Path]


def make_small(folder: Path) -> None:
    ingest(write_project(folder, {name: text for name, text in FILES.items() if "rules/" not in name}))


@pytest.fixture
def project(make_once: Make, tmp_path: Path) -> Project:
    shutil.copytree(make_once("reviewed", make_small), tmp_path / "project")
    return load_project(tmp_path / "project" / "hrmbuild.yaml")


def visit(project: Project, name: str = "ada", wanted: Wanted = ALL) -> tuple[Desk, list[Pair]]:
    who = Reviewer(project, name, None, None)
    sample = draw(project, wanted, who)
    return desk_of(project, wanted, sample, who), list(sample.pairs)


def drawn(project: Project, name: str = "ada", wanted: Wanted = ALL) -> list[str]:
    """The same without a desk, which takes longer: it reads the templates."""
    return [pair.id for pair in draw(project, wanted, Reviewer(project, name, None, None)).pairs]


def living(project: Project) -> dict[str, Pair]:
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        return {pair.id: pair for pair in corpus.pairs()}


def quoted(pairs: list[Pair]) -> Pair:
    return next(pair for pair in pairs if pair.derivation == "quoted" and pair.answer.type == "text")


def test_the_next_ingest_and_freeze_obey_a_review(project: Project) -> None:
    before = living(project)
    desk, pairs = visit(project, wanted=replace(ALL, n=len(before)))
    changed = quoted(pairs)
    refused, accepted = [pair for pair in pairs if pair is not changed][:2]
    edited = Edited(changed.instruction, changed.response + " So it stands there.", changed.answer.value)
    desk.decide(accepted.id, "accept")
    desk.decide(refused.id, "reject", reason="the evidence is about something else")
    desk.decide(changed.id, "edit", reason="too short", edited=edited)
    with pytest.raises(InputError, match="decided changed"):
        freeze(project)

    report = ingest(project)
    after = living(project)
    new = pair_id(changed.condition, edited.instruction, edited.response)
    assert set(before) - set(after) == {refused.id, changed.id} and set(after) - set(before) == {new}
    assert report.balance.reasons["review.rejected"] == 1
    inputs = after[new].occurrences[0].inputs or {}
    assert (after[new].derivation, inputs["edited_from"]) == ("written_by_person", changed.id)
    assert inputs["edited_response"] == changed.response and after[new].answer == changed.answer
    assert stat.S_IMODE((project.work / "edits.jsonl").stat().st_mode) == 0o600

    frozen = freeze(project)
    review = frozen.manifest.review
    assert review is not None and review.reviewers == 1 and sum(review.splits.values()) == 2
    assert review.decided == {"review_accept": 1, "review_edit": 1, "review_reject": 1} and review.agreement == ()
    assert is_frozen_as(project, frozen.folder)
    told = read(project.work / "decisions.jsonl").recorded
    edits = read_edits(project.work / "edits.jsonl")
    check = review_check(frozen.folder, frozen.manifest, told, edits)
    assert check is not None and check.ok, check
    path, names = project.work / "edits.jsonl", {digest: texts.pair for digest, texts in edits.items()}
    assert altered_edits(path, names) == []
    path.write_bytes(path.read_bytes().replace(b"So it stands", b"So it stood!"))
    assert altered_edits(path, names) == [changed.id]
    path.write_bytes(b"")
    assert altered_edits(path, names) == []  # erased
    altered = frozen.manifest.model_copy(update={"review": review.model_copy(update={"reviewers": 2})})
    for wrong, decisions in ((altered, told), (frozen.manifest, told[:1])):
        check = review_check(frozen.folder, wrong, decisions, edits)
        assert check is not None and not check.ok


@pytest.mark.slow
def test_what_is_undone_comes_back_and_erased_words_leave_the_pair_out(project: Project) -> None:
    before = living(project)
    desk, pairs = visit(project, wanted=replace(ALL, n=len(before)))
    one = quoted(pairs)
    desk.decide(one.id, "edit", reason="x", edited=Edited(one.instruction, one.response + " Yes.", one.answer.value))
    other = next(pair for pair in pairs if pair is not one)
    desk.decide(other.id, "reject", reason="x")
    ingest(project)
    assert drop_edits(project.work / "edits.jsonl", {one.id}) == 1
    ingest(project)
    assert not any(pair.derivation == "written_by_person" for pair in living(project).values())
    assert one.id not in living(project) and read_edits(project.work / "edits.jsonl") == {}
    for pair in (one, other):
        undo(project, pair.id[:16], reason=None, who=Reviewer(project, "ada", None, None))
    ingest(project)
    assert living(project) == before
    with pytest.raises(UsageError, match="no review of ada"):
        undo(project, one.id, reason=None, who=Reviewer(project, "ada", None, None))


def test_the_next_visit_goes_on_and_another_reviewer_sees_the_same_pairs(project: Project) -> None:
    desk, pairs = visit(project)
    names = [pair.id for pair in pairs]
    assert (
        names == drawn(project, "ben") and len(names) == 10 and names != drawn(project, wanted=replace(ALL, nonce="2"))
    )
    for name in names[:4]:
        desk.decide(name, "accept")
    again, left = visit(project)
    assert [pair.id for pair in left] == names[4:]
    assert again.overview()["heading"]["decided before"] == "4 of 10"
    assert len(drawn(project, "ben")) == 10
    desk.decide(names[0], "undo")
    assert len(drawn(project)) == 7


CHOICES = (
    replace(ALL, source="memos/*"), replace(ALL, kind="prose"), replace(ALL, split="train"),
    replace(ALL, source="policies/travel.md", kind="prose.threshold"),
)  # fmt: skip


def test_pairs_are_chosen_by_source_kind_and_split(project: Project) -> None:
    pairs = living(project)
    for wanted in CHOICES:
        found = [pairs[name] for name in drawn(project, wanted=wanted)]
        assert found and all(wanted.split in (None, pair.split) for pair in found)
        assert all(pair.kind.startswith(wanted.kind or "") for pair in found)
    assert {pairs[name].label for name in drawn(project, wanted=CHOICES[0])} == {"confidential"}
    with pytest.raises(InputError, match="no pair fits"):
        drawn(project, wanted=replace(ALL, kind="pros"))


def test_a_refusal_holds_until_its_author_takes_it_back(project: Project) -> None:
    desks = {name: visit(project, name)[0] for name in ("ada", "ben")}
    name = drawn(project)[0]
    desks["ada"].decide(name, "reject", reason="not shown")
    desks["ben"].decide(name, "accept")
    assert (read_decided(project).refused, read_decided(project).accepted) == ({name: "review.rejected"}, frozenset())
    desks["ada"].decide(name, "undo")
    assert (read_decided(project).refused, read_decided(project).accepted) == ({}, {name})


@pytest.mark.slow
def test_a_manifest_gives_the_pairs_that_the_corpus_gives(project: Project) -> None:
    folder = freeze(project).folder
    for wanted in CHOICES:
        assert drawn(project, wanted=wanted) == drawn(project, wanted=replace(wanted, manifest=folder))


def test_nobody_is_shown_a_pair_above_his_label(project: Project) -> None:
    project = rewrite(project, "name: small", "name: small\nroles: {clerk: internal, officer: confidential}")
    everything = living(project)
    assert {pair.label for pair in everything.values()} == {"internal", "confidential"}
    wide = Wanted(n=len(everything))
    for wanted, label in ((replace(wide, role="clerk"), "internal"), (replace(wide, show_label="internal"), "internal"),
                          (replace(wide, role="officer", show_label="internal"), "internal")):  # fmt: skip
        assert {everything[name].label for name in drawn(project, wanted=wanted)} == {label}
    desk, _ = visit(project, wanted=replace(wide, role="clerk"))
    assert "roofs" not in str([desk.pair(name) for name in desk.overview()["pairs"]])
    assert len(drawn(project, wanted=replace(wide, role="officer"))) == len(everything)
    with pytest.raises(InputError, match="no pair fits") as raised:
        drawn(project, wanted=wide)
    assert "above public" in (raised.value.why or "")
    for wrong, code in ((Wanted(role="boss"), "unknown_role"), (Wanted(show_label="secret"), "unknown_label"),
                        (Wanted(role="clerk", show_label="confidential"), "role_below_label")):  # fmt: skip
        with pytest.raises(UsageError) as refused:
            readable(project, wrong)
        assert refused.value.code == f"review.{code}"


def test_an_edit_that_a_gate_refuses_and_a_reason_that_names_somebody_are_not_kept(project: Project) -> None:
    desk, pairs = visit(project, wanted=replace(ALL, n=1000))
    one = quoted(pairs)
    secret, said, answer = "AKIA" + "IOSFODNN7EXAMPLF", one.response, one.answer.value
    wrong = [
        ("review.answer_empty", Edited(one.instruction, "", "")),
        ("review.answer_not_said", Edited(one.instruction, "Something else.", answer)),
        ("review.personal_data", Edited(one.instruction, f"{said} Ask ida.brandt@small.example.", answer)),
        ("gate.secret", Edited(f"{one.instruction} {secret}", said, answer)),
        ("review.answer_alone", Edited(one.instruction, said, answer[:4])),
        ("gate.", Edited(f"{one.instruction}\u202e", said, answer)),
    ]
    for code, edited in wrong:
        with pytest.raises(AnswerIsNoError) as raised:
            desk.decide(one.id, "edit", reason="x", edited=edited)
        assert raised.value.code.startswith(code)
        assert secret not in str(raised.value.as_dict()) and "ida" not in str(raised.value.as_dict())
    with pytest.raises(AnswerIsNoError, match="must not be kept"):
        desk.decide(one.id, "reject", reason="ida.brandt@small.example said so")
    check_reason("the rule in clause 2 says 14 days, not 10", project.config.gates)
    assert not (project.work / "decisions.jsonl").exists() and desk.made == 0


def test_a_key_signs_each_decision_and_no_name_passes_for_a_key(project: Project, tmp_path: Path) -> None:
    key = new_key("ada", tmp_path / "keys")
    who = reviewer_with(project, "Ada", role="clerk", key=key.private, ask=lambda _: None)
    sample = draw(project, ALL, who)
    desk_of(project, ALL, sample, who).decide(sample.pairs[0].id, "accept")
    [one] = read(project.work / "decisions.jsonl").recorded
    assert (one.keyid, one.decision.person, one.decision.role) == (key.fingerprint, "Ada", "clerk")
    pretender = Reviewer(project, who.called, None, None)
    assert pretender.called == f"{who.called} (unsigned)" and len(draw(project, ALL, pretender).pairs) == 10


def test_two_reviewers_and_kappa_by_hand() -> None:
    """50 pairs, 20 accepted by both, 15 refused by both, 5 and 10 apart: kappa 0.4, as in the textbooks."""
    cells = [("accept", "accept", 20), ("accept", "reject", 5), ("reject", "accept", 10), ("reject", "reject", 15)]
    both = [(a, b) for a, b, n in cells for _ in range(n)]
    assert cohens_kappa(both) == pytest.approx(0.4)
    verdicts = {f"{i:03}": {"ada": a, "ben": b} for i, (a, b) in enumerate(both)} | {"x": {"eve": "accept"}}
    assert agreements(verdicts) == (Agreement(between=("ada", "ben"), pairs=50, agreed=35, kappa="0.400"),)
    assert cohens_kappa([("accept", "accept")] * 3) is None
