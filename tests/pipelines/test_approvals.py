"""Four eyes: who counts, what is awaited, and what train and package do until then."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hrmbuild.audit.decisions import DECISIONS_NAME, append
from hrmbuild.audit.keys import new_key, read_private_key
from hrmbuild.cli.main import app
from hrmbuild.config.loading import Project, load_project
from hrmbuild.errors import AnswerIsNoError, ConfigError, InputError, UsageError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.pipelines.approvals import Approval, demand_approval, manifest_approval
from hrmbuild.pipelines.decide import decide
from hrmbuild.pipelines.deciders import Stated
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.keys import now
from hrmbuild.pipelines.stages import project_stages
from hrmbuild.pipelines.status import status
from hrmbuild.pipelines.train import train
from hrmbuild.pipelines.verify import verify
from hrmbuild.records.decision import Action, Decision, Subject

SETTINGS = """\
name: small
sources:
  - {path: a.jsonl, kind: pairs, owner: me, license: internal}
train: {preset: nano, steps: 1, batch_tokens: 512}
"""
PEOPLE = {
    "ines": "person: Ines, roles: [ingester, approver]",
    "ines2": "person: Ines, roles: [approver]",
    "ada": "person: Ada, roles: [approver]",
    "ada2": "person: Ada, roles: [approver]",
    "bob": "person: Bob, roles: [approver]",
    "rex": "person: Rex, roles: [approver], revoked_at: 2020-02-02",
    "new": "person: New, roles: [approver]",
    "pat": "person: Pat, roles: [packager]",
}


@dataclass(frozen=True)
class Office:
    """A project with a manifest that Ines froze, and a key for each person."""

    project: Project
    keys: Path

    @property
    def manifest(self) -> Path:
        return self.project.manifests_folder / (self.project.manifests_folder / "CURRENT").read_text().strip()

    def decide(self, *names: str, action: Action = "approve", role: str | None = None) -> None:
        digest = sha256_hex((self.manifest / "manifest.json").read_bytes())
        for name in names:
            key = read_private_key(self.keys / f"{name}.private.pem") if name else None
            told = Decision(action=action, subject=Subject(kind="manifest", sha256=digest), reason="read", role=role,
                            at=now(), person=name or "Ada")  # fmt: skip
            append(self.project.work / DECISIONS_NAME, told, key=key)

    def demanding(self, block: str) -> Office:
        self.project.config_path.write_text(f"{SETTINGS}approvals: {{{block}}}\n")
        return Office(load_project(self.project.config_path), self.keys)

    def approval(self, block: str = "manifest: 2") -> Approval:
        return manifest_approval(self.demanding(block).project, self.manifest)


@pytest.fixture(scope="module")
def office_once(tmp_path_factory: pytest.TempPathFactory) -> Office:
    place = tmp_path_factory.mktemp("office")
    folder, keys = place / "project", place / "keys"
    folder.mkdir()
    rows = [{"instruction": f"Why is door {n} open?", "response": f"Because of key {n}."} for n in range(30)]
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "hrmbuild.yaml").write_text(SETTINGS)
    lines = []
    for name, told in PEOPLE.items():
        pem = new_key(name, keys).public
        shutil.copy(pem, folder)
        start = (date.today() + timedelta(days=9)).isoformat() if name == "new" else "2020-01-01"
        lines.append(f"  - {{{told}, public_key: {pem.name}, valid_from: {start}}}")
    new_key("stranger", keys)
    (folder / "trust.yaml").write_text("\n".join(["keys:", *lines]) + "\n")
    project = load_project(folder / "hrmbuild.yaml")
    ingest(project)
    freeze(project, key=keys / "ines.private.pem")
    return Office(project, keys)


@pytest.fixture
def office(office_once: Office, tmp_path: Path) -> Office:
    shutil.copytree(office_once.project.work, tmp_path / "project")
    return Office(load_project(tmp_path / "project" / "hrmbuild.yaml"), office_once.keys)


@pytest.mark.parametrize(
    ("names", "counted", "told"),
    [
        (("ada", "bob"), ["Ada", "Bob"], ""),
        (("ada", "ada"), ["Ada"], ""),
        (("ada", "ada2"), ["Ada"], ""),
        (("ada", "ines"), ["Ada"], "Ines signed the freeze"),
        (("ada", "ines2"), ["Ada"], "Ines signed the freeze"),
        (("ada", ""), ["Ada"], "nobody signed it: unauthenticated"),
        (("ada", "rex"), ["Ada"], "was revoked at 2020-02-02"),
        (("ada", "new"), ["Ada"], "was not yet valid"),
        (("ada", "pat"), ["Ada"], "not as approver"),
        (("ada", "stranger"), ["Ada"], "trust.yaml does not list"),
    ],
)
def test_a_person_counts_once_and_only_with_a_key_that_may_approve(
    office: Office, names: tuple[str, ...], counted: list[str], told: str
) -> None:
    office.decide(*names)
    found = office.approval()
    assert (list(found.approved_by), found.ok) == (counted, len(counted) == 2)
    assert told in " ".join(found.not_counted) and bool(told) == bool(found.not_counted)


def test_a_rejection_stops_until_the_same_person_approves(office: Office) -> None:
    office.decide("ada", "bob")
    office.decide("bob", action="reject")
    found = office.approval()
    assert (found.approved_by, found.rejected_by, found.ok) == (("Ada",), ("Bob",), False)
    with pytest.raises(AnswerIsNoError) as caught:
        demand_approval(office.demanding("manifest: 1").project, office.manifest)
    assert caught.value.code == "approvals.rejected"
    assert project_stages(office.project).next_command.endswith("have who rejected it approve it")
    office.decide("bob")
    assert office.approval().ok


def test_roles_and_sources_may_be_demanded_too(office: Office) -> None:
    office.decide("ada", role="owner")
    assert office.approval("roles: [compliance]").awaited == ("an approval as compliance",)
    office.decide("bob", role="compliance")
    assert office.approval("manifest: 2, roles: [compliance]").ok
    assert "lacking: a.jsonl" in office.approval("sources: 1").awaited[0]
    decide(office.project, "approve", ["a.jsonl"], Stated("read", key=office.keys / "ada.private.pem"))
    assert office.approval("sources: 1").ok


def test_train_awaits_the_approval_and_a_new_freeze_needs_a_new_one(office: Office) -> None:
    asking = office.demanding("manifest: 2")
    office.decide("ada")
    with pytest.raises(AnswerIsNoError) as caught:
        train(asking.project)
    assert caught.value.code == "approvals.awaited" and "1 more person" in caught.value.what
    assert not asking.project.runs_folder.exists() or not list(asking.project.runs_folder.iterdir())
    stages = project_stages(asking.project)
    assert stages.next_command.startswith("hrmbuild approve") and "1 more person" in (stages.awaited or "")
    told = status(asking.project).approval
    assert told is not None and told.approved_by == ("Ada",)
    office.decide("bob")
    assert office.approval().ok and project_stages(asking.project).next_command == "hrmbuild train"
    report = verify(office.manifest, project=asking.project)
    assert report.ok and report.authentic, [check for check in report.checks if not check.ok]
    with (office.project.folder / "a.jsonl").open("a") as file:
        file.write('\n{"instruction": "Who holds the lamp?", "response": "The porter."}')
    ingest(asking.project)
    freeze(asking.project)
    stale = office.approval()
    assert stale.approved_by == () and "signed" in stale.awaited[0] and len(stale.awaited) == 2


def test_without_a_manifest_nothing_is_frozen_behind_the_approvers_back(office: Office) -> None:
    shutil.rmtree(office.project.manifests_folder)
    with pytest.raises(AnswerIsNoError) as caught:
        train(office.demanding("manifest: 1").project)
    assert caught.value.code == "approvals.no_manifest" and not office.project.manifests_folder.exists()


def test_without_a_trust_file_nobody_can_count_and_without_demands_a_rejection_stops(office: Office) -> None:
    demand_approval(office.project, office.manifest)
    office.decide("", action="reject")
    with pytest.raises(AnswerIsNoError):
        demand_approval(office.project, office.manifest)
    (office.project.work / "trust.yaml").unlink()
    with pytest.raises(ConfigError) as caught:
        office.approval()
    assert caught.value.code == "approvals.no_trust"


@pytest.mark.parametrize(
    ("name", "person", "code", "told"),
    [
        ("pat", None, "decide.key_does_not_count", "the key of Pat, who may sign as packager, not as approver"),
        ("rex", None, "decide.key_does_not_count", "was revoked at 2020-02-02"),
        ("stranger", None, "decide.key_does_not_count", "trust.yaml does not list"),
        ("ada", "Bob", "decide.another_person", "this is the key of Ada, not of Bob"),
    ],
)
def test_a_decision_that_could_only_count_for_nothing_is_refused_before_it_stands_for_good(
    office: Office, name: str, person: str | None, code: str, told: str
) -> None:
    with pytest.raises(UsageError) as caught:
        decide(office.project, "approve", ["a.jsonl"],
               Stated("read", person=person, key=office.keys / f"{name}.private.pem"))  # fmt: skip
    assert caught.value.code == code and told in caught.value.what
    assert not (office.project.work / DECISIONS_NAME).exists()


def test_who_approves_is_named_by_the_trust_file_and_sees_what_is_still_awaited(office: Office) -> None:
    with pytest.raises(UsageError) as caught:
        decide(office.project, "approve", [office.manifest.name[:-1] + "x"], Stated("read"))
    assert f"did you mean {office.manifest.name}?" in (caught.value.fix or "")
    asking, stated = office.demanding("manifest: 2"), Stated("read", key=office.keys / "ada2.private.pem")
    report = decide(asking.project, "approve", [asking.manifest.name], stated)
    assert report.recorded[0].decision.person == "Ada"
    assert [(one.approved_by, one.ok) for one in report.approvals] == [(("Ada",), False)]
    (asking.project.work / "trust.yaml").unlink()
    assert project_stages(asking.project).next_command.startswith("write trust.yaml")
    asking.project.corpus_path.write_bytes(b"as good as locked by an ingest")
    report = decide(asking.project, "approve", [str(asking.manifest)], stated)
    assert report.approvals[0].awaited[0].startswith("there is no trust.yaml")
    assert report.recorded[0].decision.person == f"key {(report.recorded[0].keyid or '')[:16]}"
    with pytest.raises(InputError):
        decide(asking.project, "approve", ["a.jsonl"], stated)


def test_the_commands_record_show_and_name_what_is_wrong(office: Office) -> None:
    config = ["--config", str(office.project.config_path)]

    def typed(*words: str) -> str:
        done = CliRunner().invoke(app, [*words, *config], catch_exceptions=True)
        return done.stdout if done.exit_code == 0 else f"failed: {done.exception!r}"

    key = str(office.keys / "ada.private.pem")
    told = json.loads(typed("approve", str(office.manifest), "--reason", "read", "--key", key, "--json"))
    assert [entry["action"] for entry in told["entries"]] == ["approve"] and len(told["log_head"]) == 64
    assert "approve   manifest" in typed("approve", office.manifest.name, "--reason", "read", "--role", "owner")
    log = typed("audit", "log")
    assert "3 entries" in log and "by unauthenticated: read" in log
    assert "nothing of that kind" in typed("rejections")
    assert "decide.unknown" not in log and "nothing here is named" in typed("reject", "nowhere", "--reason", "x")
    assert "without a reason" in typed("approve", office.manifest.name, "--reason", " ")
    lines = (office.project.work / DECISIONS_NAME).read_bytes().splitlines(keepends=True)
    (office.project.work / DECISIONS_NAME).write_bytes(lines[0])
    assert json.loads(CliRunner().invoke(app, ["audit", "log", "--json", *config]).stdout)["ok"] is False
