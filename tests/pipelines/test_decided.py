"""What persons decided takes effect with the next ingest, the same whether it is done again or anew, and is counted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hrmbuild.audit.decisions import DECISIONS_NAME, append
from hrmbuild.audit.log import append as append_to_log
from hrmbuild.config.loading import Project, load_project
from hrmbuild.errors import AnswerIsNoError, ConfigError, InputError, UsageError
from hrmbuild.fingerprint import canonical_json, sha256_hex
from hrmbuild.pipelines.decide import decide, release
from hrmbuild.pipelines.decided import rejection_digest
from hrmbuild.pipelines.deciders import Stated
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.rejections import ListedRejection, rejections
from hrmbuild.pipelines.verify import verify
from hrmbuild.records.decision import Action, Decision, Subject, SubjectKind
from hrmbuild.store.corpus import Corpus

SETTINGS = """\
name: small
sources:
  - {path: a.jsonl, kind: pairs, owner: me, license: internal, label: public}
  - {path: b.jsonl, kind: pairs, owner: me, license: internal}
"""
HOLD = "gates: {quarantine: [gate.hidden_character]}\n"
WHY = Stated("read and decided")


def pair(instruction: str, response: str) -> str:
    return json.dumps({"instruction": instruction, "response": response})


def project_in(folder: Path, extra: str = "") -> Project:
    folder.mkdir(exist_ok=True)
    shelves = [pair(f"Which number belongs to shelf {n}?", f"Number {n}.") for n in range(40)]
    odd = [
        pair("Who sleeps here, c\u200bd?", "Nobody."),
        pair("Who stands there, e\u200bf?", "A fox."),
        pair("What is the token?", "ghp_0123456789abcdefghijABCDEFGHIJ012345"),
        pair("Who holds the lamp?", "The porter."),
    ]
    (folder / "a.jsonl").write_text("\n".join([*shelves, *odd]))
    doors = [pair(f"Why is door {n} open?", f"Because of key {n}.") for n in range(10)]
    (folder / "b.jsonl").write_text("\n".join([*doors, pair("Who holds the lamp?", "The archivist.")]))
    (folder / "hrmbuild.yaml").write_text(SETTINGS + extra)
    return load_project(folder / "hrmbuild.yaml")


def listed(project: Project, code: str) -> list[ListedRejection]:
    return list(rejections(project, code=code, show_label="restricted", limit=100).rows)


def record(project: Project, action: Action, kind: SubjectKind, sha256: str, **facts: str) -> None:
    told = Decision(
        action=action, subject=Subject(kind=kind, sha256=sha256), reason="so", at="2026-06-01T10:00:00Z", facts=facts
    )
    append(project.work / DECISIONS_NAME, told)


def pairs_of(project: Project) -> dict[str, str]:
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        return {one.instruction: one.id for one in corpus.pairs()}


@pytest.fixture(scope="module")
def plain_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = project_in(tmp_path_factory.mktemp("decided") / "p")
    ingest(project)
    return project


@pytest.fixture
def plain(plain_once: Project, tmp_path: Path) -> Project:
    """Ingested, nothing held, nothing decided."""
    shutil.copytree(plain_once.work, tmp_path / "p")
    return load_project(tmp_path / "p" / "hrmbuild.yaml")


def test_held_pairs_are_counted_apart_and_enter_or_go_as_somebody_decides(tmp_path: Path) -> None:
    project = project_in(tmp_path / "p", HOLD)
    first = ingest(project)
    assert (first.balance.made, first.balance.kept, first.balance.rejected, first.balance.n_held) == (55, 50, 3, 2)
    frozen = freeze(project)
    assert frozen.manifest.quarantined == {"gate.hidden_character": 2} and frozen.manifest.decisions is None
    assert verify(frozen.folder, project=project).ok
    held = listed(project, "gate.hidden_character")
    release(project, [held[0].digest[:8]], WHY)
    decide(project, "reject", [held[1].digest], WHY)
    with pytest.raises(InputError) as caught:
        freeze(project)
    assert caught.value.code == "freeze.stale_corpus" and "decided" in caught.value.what
    second = ingest(project)
    assert second.redone == ("a.jsonl",)
    assert (second.balance.kept, second.balance.rejected, second.balance.n_held) == (51, 4, 0)
    again = freeze(project)
    assert again.manifest.decisions is not None
    assert again.manifest.decisions.counts == {"reject": 1, "release": 1}
    report = verify(again.folder, project=project)
    assert report.ok and "reject 1, release 1" in [one.detail for one in report.checks]
    record(project, "withdraw", "source", held[0].source_sha256)  # later: it changes nothing for an older manifest
    assert verify(again.folder, project=project).ok
    told = again.manifest.canonical() | {"decisions": {"sha256": "0" * 64, "counts": {"release": 2}}}
    (again.folder / "manifest.json").write_bytes(canonical_json(told))
    data = (again.folder / "manifest.json").read_bytes()
    append_to_log(project.work / "log.jsonl", "freeze", sha256_hex(data), at="2026-06-01T10:00:00Z", facts={})
    failed = {one.name: one.detail for one in verify(again.folder, project=project).checks if not one.ok}
    assert "they differ from those" in failed["decisions in the manifest"]


@pytest.mark.slow
def test_an_ingest_that_goes_on_ends_where_a_fresh_one_does(tmp_path: Path) -> None:
    project = project_in(tmp_path / "p", HOLD)
    ingest(project)
    held, known = listed(project, "gate.hidden_character"), pairs_of(project)
    one_side = next(one for one in listed(project, "corpus.contradiction") if one.path == "a.jsonl")
    release(project, [held[0].digest, one_side.digest], WHY)
    record(project, "review_reject", "pair", known["Which number belongs to shelf 3?"])
    record(project, "review_accept", "pair", known["Which number belongs to shelf 4?"])
    step = ingest(project)
    assert step.balance.reasons == {"corpus.contradiction": 1, "gate.secret": 1, "review.rejected": 1}
    decide(project, "reject", ["b.jsonl"], WHY)
    last = ingest(project)
    assert last.quarantined == (("b.jsonl", "source.rejected: it was decided that this file stays out: " + WHY.reason),)
    told = freeze(project).manifest
    project.corpus_path.unlink()
    assert ingest(project).balance == last.balance
    fresh = freeze(project).manifest
    assert (fresh.content_root, fresh.decisions) == (told.content_root, told.decisions)
    assert told.decisions is not None and told.decisions.counts == {
        "release": 2, "review_accept": 1, "review_reject": 1, "source.rejected": 1,
    }  # fmt: skip
    decide(project, "approve", ["b.jsonl"], WHY)
    assert ingest(project).balance == step.balance and verify(freeze(project).folder, project=project).ok


@pytest.mark.slow
def test_a_withdrawn_file_is_kept_out_by_its_bytes_until_the_withdrawal_is_taken_back(tmp_path: Path) -> None:
    project = project_in(tmp_path / "p")
    sha256 = {one.source.path: one.source.sha256 for one in ingest(project).sources}["b.jsonl"]
    record(project, "withdraw", "source", sha256)
    (tmp_path / "p" / "b.jsonl").rename(tmp_path / "p" / "c.jsonl")
    (tmp_path / "p" / "hrmbuild.yaml").write_text(SETTINGS.replace("b.jsonl", "c.jsonl"))
    assert [path for path, _ in ingest(project_again(project)).quarantined] == ["c.jsonl"]
    record(project, "release", "source", sha256)
    assert ingest(project_again(project)).quarantined == ()


def project_again(project: Project) -> Project:
    return load_project(project.config_path)


def test_what_nobody_can_read_cannot_be_released_neither_by_command_nor_by_hand(plain: Project) -> None:
    project = plain
    (secret,) = listed(project, "gate.secret")
    assert secret.text is None and not secret.releasable
    with pytest.raises(AnswerIsNoError) as caught:
        release(project, [secret.digest], WHY)
    assert caught.value.code == "release.unread" and "correct it there" in (caught.value.fix or "")
    assert not (project.work / DECISIONS_NAME).exists()
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        ids = [one.pair_id for one in corpus.rejections() if one.code == "gate.secret"]
    assert ids == [None]
    digest = rejection_digest(code="gate.secret", source_sha256=secret.source_sha256, pair_id="0" * 64)
    record(project, "release", "rejection", digest, source_sha256=secret.source_sha256)
    again = ingest(project)
    assert again.redone and again.balance.reasons["gate.secret"] == 1


def test_texts_above_the_asked_label_are_not_listed(plain_once: Project) -> None:
    project = plain_once
    shown = rejections(project, code="corpus.contradiction").rows
    assert [(one.path, one.text is None) for one in shown] == [("a.jsonl", False), ("b.jsonl", True)]
    with pytest.raises(UsageError) as caught:
        rejections(project, show_label="secret")
    assert caught.value.code == "audit.unknown_label"


@pytest.mark.parametrize("code", ["gate.secret", "gate.hidden_charakter", "corpus.cap"])
def test_what_cannot_be_held_is_refused_in_the_settings(tmp_path: Path, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ingest(project_in(tmp_path / "p", f"gates: {{quarantine: [{code}]}}\n"))
    assert caught.value.code == "config.not_held"


def test_altered_decisions_stop_the_ingest(plain: Project) -> None:
    project = plain
    record(project, "withdraw", "source", "a" * 64)
    path = project.work / DECISIONS_NAME
    path.write_bytes(path.read_bytes().replace(b"A", b"B", 1))
    with pytest.raises(InputError) as caught:
        ingest(project)
    assert caught.value.code == "decisions.broken"


@pytest.mark.parametrize(("name", "kind"), [("abc", None), ("0" * 64, None), ("0" * 12, "sample")])
def test_what_is_not_there_is_not_decided_about(tmp_path: Path, name: str, kind: SubjectKind | None) -> None:
    project = project_in(tmp_path / "p")
    with pytest.raises(UsageError) as caught:
        decide(project, "approve", [name], WHY, kind=kind)
    assert caught.value.code == "decide.unknown" and not (project.work / DECISIONS_NAME).exists()
    decide(project, "approve", ["0" * 64], WHY, kind="sample")
