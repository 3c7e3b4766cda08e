"""Four eyes: whether those who must approve a manifest have done so, and what is still awaited.

Owns the counting. A person counts once, by the last decision over exactly this digest: a new freeze is another digest,
so every approval lapses with it. Who signed the freeze never counts, nor does what nobody signed, nor a key that the
trust file does not list as approver, lists for another time, or has revoked. It must not record a decision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hrmbuild.audit.checks import named
from hrmbuild.audit.decisions import DECISIONS_NAME, Recorded, chain_problems, read
from hrmbuild.audit.log import LOG_NAME, Log, read_log
from hrmbuild.audit.manifest import load_manifest_bytes, parse_manifest
from hrmbuild.audit.manifest_signature import manifest_signature_checks, read_manifest_signature
from hrmbuild.audit.trust import Trust, read_trust
from hrmbuild.config.loading import Project
from hrmbuild.config.project import ApprovalsConfig
from hrmbuild.errors import AnswerIsNoError, ConfigError, InputError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.records.manifest import Manifest

SIGNED_FREEZE = "a freeze that counts as signed"


@dataclass(frozen=True)
class Approval:
    """How a manifest stands."""

    sha256: str
    """Digest that is approved: of the manifest's bytes."""
    approved_by: tuple[str, ...] = ()
    """Persons whose approval counts."""
    rejected_by: tuple[str, ...] = ()
    """Persons whose rejection stands."""
    awaited: tuple[str, ...] = ()
    """What is still needed, a sentence each; empty: nothing."""
    not_counted: tuple[str, ...] = ()
    """Approvals that count for nothing, and why."""

    @property
    def ok(self) -> bool:
        """Whether a model may be made of it."""
        return not self.awaited and not self.rejected_by

    def as_dict(self) -> dict[str, Any]:
        """As `status --json` and `approve --json` show it."""
        return {"ok": self.ok, **{name: list(told) if isinstance(told, tuple) else told
                                  for name, told in vars(self).items()}}  # fmt: skip


def demand_approval(project: Project, folder: Path) -> None:
    """Refuse a manifest that is rejected, or not approved as the settings demand.

    Raises:
        AnswerIsNoError: `approvals.rejected`, `approvals.awaited`.
        ConfigError: `approvals.no_trust`, `trust.*`.
        InputError: `decisions.broken`: what was decided was altered or cut.
    """
    found = manifest_approval(project, folder)
    if found.rejected_by:
        raise AnswerIsNoError("approvals.rejected", f"this manifest was rejected by {named(found.rejected_by)}",
                              where=str(folder), why=f"its digest is {found.sha256}",
                              fix="correct the sources and freeze anew, or have the same persons approve")  # fmt: skip
    if found.awaited:
        why = f"what does not count: {named(found.not_counted)}" if found.not_counted else "the settings demand it"
        raise AnswerIsNoError("approvals.awaited", f"this manifest awaits {named(found.awaited)}", where=str(folder),
                              why=why, fix=f"hrmbuild approve {found.sha256[:12]} --reason … --key K")  # fmt: skip


def refuse_to_freeze_first(project: Project) -> None:
    """Without a manifest `train` freezes one itself, unless somebody must approve it.

    Raises:
        AnswerIsNoError: `approvals.no_manifest`.
    """
    settings = project.config.approvals
    if settings is not None and (settings.manifest or settings.sources or settings.roles):
        raise AnswerIsNoError("approvals.no_manifest", "there is no manifest that anybody could have approved",
                              where=str(project.manifests_folder),
                              fix="hrmbuild freeze --key K, then hrmbuild approve it")  # fmt: skip


def manifest_approval(project: Project, folder: Path) -> Approval:
    """Count the approvals of the manifest in a folder.

    Raises:
        ConfigError, InputError: as `demand_approval`.
    """
    data = load_manifest_bytes(folder)
    log = read_log(project.work / LOG_NAME)
    decisions = _whole(project, log)
    digest, settings = sha256_hex(data), project.config.approvals
    about = [one for one in decisions if _is_about(one, "manifest", digest)]
    if settings is None:
        return Approval(digest, rejected_by=_unjudged_rejections(about))
    trust = _trust(project, settings)
    manifest = parse_manifest(data, where=str(folder))
    freezers, unsigned = _freezers(folder, manifest, data, log=log, trust=trust)
    count = _count(about, trust, freezers=freezers)
    awaited = [*unsigned, *_lacking(count, settings)]
    awaited += _lacking_sources(decisions, manifest, settings.sources, trust=trust, freezers=freezers)
    people = tuple(sorted(count.approved))
    rejected = tuple(sorted(count.rejected))
    return Approval(digest, people, rejected, tuple(awaited), count.uncounted)


def _is_about(one: Recorded, kind: str, sha256: str) -> bool:
    return (one.decision.subject.kind, one.decision.subject.sha256) == (kind, sha256)


def _whole(project: Project, log: Log) -> tuple[Recorded, ...]:
    decisions = read(project.work / DECISIONS_NAME)
    problems = list(chain_problems(decisions, log, may_lack_last=True))
    if problems:
        raise InputError("decisions.broken", f"the decisions do not hold: {named(problems)}",
                         where=str(project.work / DECISIONS_NAME), why="an approval that was altered is none",
                         fix=f"restore {DECISIONS_NAME} and {LOG_NAME} from their copy")  # fmt: skip
    return decisions.recorded


def _trust(project: Project, settings: ApprovalsConfig) -> Trust:
    path = project.config_path.parent / settings.trust
    if not path.is_file():
        raise ConfigError("approvals.no_trust", f"there is no {settings.trust}", where="approvals.trust",
                          why="without it nobody can say whose approval counts",
                          fix="write it (hrmbuild keys new prints an entry), or remove approvals")  # fmt: skip
    return read_trust(path, today=datetime.now(UTC).date())


def _unjudged_rejections(about: list[Recorded]) -> tuple[str, ...]:
    """Without a trust file everybody's rejection stops, until the same key approves."""
    last = {one.keyid: one.decision for one in about}
    return tuple(sorted(one.person for one in last.values() if one.action == "reject"))


@dataclass(frozen=True)
class _Count:
    approved: dict[str, str | None]
    """Person -> role, as the last decision states it."""
    rejected: frozenset[str]
    uncounted: tuple[str, ...]


def _count(about: list[Recorded], trust: Trust, *, freezers: frozenset[str]) -> _Count:
    last: dict[str, Recorded] = {}
    uncounted: list[str] = []
    for one in about:
        if one.decision.action not in ("approve", "reject"):
            continue
        verdict = one.judge(trust)
        person = verdict.person if verdict.ok else None
        if person is None:
            uncounted.append(f"line {one.line}: {verdict.detail}")
        elif one.decision.action == "approve" and (person in freezers or one.keyid in freezers):
            uncounted.append(f"line {one.line}: {person} signed the freeze")
        else:
            last[person] = one
    approved = {who: one.decision.role for who, one in last.items() if one.decision.action == "approve"}
    return _Count(approved, frozenset(last) - approved.keys(), tuple(uncounted))


def _lacking(count: _Count, settings: ApprovalsConfig) -> Iterator[str]:
    wanted = max(settings.manifest, len(settings.roles or ()) and 1)
    missing = wanted - len(count.approved)
    if missing > 0:
        yield f"the approval of {missing} more person{'s' if missing > 1 else ''} (of {wanted})"
    for role in settings.roles or ():
        if role not in count.approved.values():
            yield f"an approval as {role}"


def _lacking_sources(
    decisions: tuple[Recorded, ...], manifest: Manifest, wanted: int, *, trust: Trust, freezers: frozenset[str]
) -> Iterator[str]:
    if not wanted:
        return
    of_source: dict[str, list[Recorded]] = {}
    for one in decisions:
        if one.decision.subject.kind == "source":
            of_source.setdefault(one.decision.subject.sha256, []).append(one)
    lacking = [
        entry.source.path
        for entry in manifest.sources
        if entry.status == "read"
        and len(_count(of_source.get(entry.source.sha256, []), trust, freezers=freezers).approved) < wanted
    ]
    if lacking:
        yield f"{wanted} approvals of each source (lacking: {named(lacking, limit=3)})"


def _freezers(
    folder: Path, manifest: Manifest, data: bytes, *, log: Log, trust: Trust
) -> tuple[frozenset[str], list[str]]:
    """Persons and keys that froze this manifest; and what is awaited where nobody knows who did."""
    entries = [one for one in log.entries if (one.event, one.sha256) == ("freeze", sha256_hex(data))]
    marks = {one.facts["signed_by"] for one in entries if "signed_by" in one.facts}
    checks = list(manifest_signature_checks(folder, manifest, data, trust=trust))
    try:
        envelope = read_manifest_signature(folder)
    except InputError:
        envelope = None  # Said by the checks.
    marks |= {envelope.keyid} if envelope is not None else set()
    people = {one.entry.person for one in trust.keys if one.key.fingerprint in marks}
    wrong = [check.detail for check in checks if not check.ok]
    awaited = [f"{SIGNED_FREEZE} ({named(wrong)}): hrmbuild freeze --key K"] if wrong else []
    return frozenset(marks | people), awaited
