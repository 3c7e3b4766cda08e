"""Who decides: the key that signs a decision, and the person whom the project's trust file names behind it.

Owns refusing, before anything is written, a key whose decision could only count for nothing: what is recorded stays for
good, and every later `verify --trust` would name it; and a reason that must not be kept. It must not record a decision
or say what one leads to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hrmbuild.audit.keys import PrivateKey
from hrmbuild.audit.trust import TRUST_NAME, Trust, read_trust
from hrmbuild.config.loading import Project
from hrmbuild.config.project import GatesConfig
from hrmbuild.errors import AnswerIsNoError, UsageError
from hrmbuild.gates.personal_data import found_words
from hrmbuild.gates.secrets import find_secrets
from hrmbuild.pipelines.keys import Ask, nobody, now, signing_key
from hrmbuild.records.decision import UNAUTHENTICATED


@dataclass(frozen=True)
class Decider:
    """Who signs, and under which name."""

    key: PrivateKey | None
    person: str


@dataclass(frozen=True)
class Stated:
    """What a person says beside what it is about."""

    reason: str
    role: str | None = None
    person: str | None = None
    key: Path | None = None
    ask: Ask = nobody

    def decider(self, project: Project) -> Decider:
        """The key to sign with and its person.

        Raises:
            UsageError: `decide.no_reason`, `keys.*`, and as `deciding_key`.
            AnswerIsNoError: as `check_reason`.
        """
        if not self.reason.strip():
            raise UsageError("decide.no_reason", "a decision without a reason is none", where="--reason",
                             fix="say in one sentence why")  # fmt: skip
        check_reason(self.reason, project.config.gates)
        if self.key is None:
            return Decider(None, UNAUTHENTICATED)
        key, known_as = deciding_key(project, self.key, person=self.person, ask=self.ask)
        return Decider(key, self.person or known_as or f"key {key.fingerprint[:16]}")


def check_reason(reason: str, gates: GatesConfig) -> None:
    """A reason stands in the decisions for good, and no erasure reaches it.

    Raises:
        AnswerIsNoError: `review.reason_personal`: it holds a secret or names somebody.
    """
    kinds = sorted({kind for kind, _ in found_words([reason], gates)} | ({"secret"} if find_secrets(reason) else set()))
    if kinds:
        raise AnswerIsNoError("review.reason_personal", f"the reason names what must not be kept ({', '.join(kinds)})",
                              why="a reason stands in the decisions for good", fix="say it without")  # fmt: skip


def deciding_key(
    project: Project, path: Path, *, person: str | None, ask: Ask = nobody
) -> tuple[PrivateKey, str | None]:
    """A key that may decide, and its person where the project's trust file names one.

    Args:
        person: the name that is given beside the key; another one than the trust file's is refused.

    Raises:
        UsageError: `decide.key_does_not_count`, `decide.another_person`, `keys.*`.
        ConfigError: the trust file.
    """
    key, trust = signing_key(path, ask=ask), _own_trust(project)
    if trust is None:
        return key, None
    verdict = trust.listed(key.fingerprint, role="approver", signed_at=now())
    if not verdict.ok:
        raise UsageError("decide.key_does_not_count", f"a decision with this key would count for nothing: it is "
                         f"{verdict.detail}", where=str(path),
                         why="nothing that is recorded is taken out again, and verify would name it for ever",
                         fix=f"sign with the key of an approver, or list this one in {_trust_path(project).name}",
                         )  # fmt: skip
    if person is not None and person != verdict.person:
        raise UsageError("decide.another_person", f"this is the key of {verdict.person}, not of {person}",
                         where=str(path), why=f"{_trust_path(project).name} says whose it is",
                         fix=f"leave out --person, or sign with a key of {person}")  # fmt: skip
    return key, verdict.person


def _own_trust(project: Project) -> Trust | None:
    path = _trust_path(project)
    return read_trust(path, today=datetime.now(UTC).date()) if path.is_file() else None


def _trust_path(project: Project) -> Path:
    asked = project.config.approvals
    return project.config_path.parent / (asked.trust if asked is not None else TRUST_NAME)
