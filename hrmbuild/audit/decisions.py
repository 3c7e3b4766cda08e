"""`decisions.jsonl`: what persons decided, one DSSE envelope a line, signed where there was a key.

Owns the file: appending under a lock, reading, and naming what was altered or cut. It must not say what a decision
means (`pipelines.decided`, `pipelines.approvals`), nor whose key counts (`audit.trust`).

Two records hold each other: a decision states the head of `log.jsonl` before it, and the log gets an entry with the
SHA-256 of the decision's line. So a line that is altered, taken out or cut off is missed by the log, and a log whose
end was cut off does not know the last decisions.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from hrmbuild.audit.checks import Check, named
from hrmbuild.audit.keys import PrivateKey
from hrmbuild.audit.log import LOG_NAME, START, Log, append_locked, locked, read_log
from hrmbuild.audit.signing import (
    Envelope,
    parse_canonical,
    read_envelope,
    signed_bytes,
    statement,
    subjects_of,
    unsigned_bytes,
)
from hrmbuild.audit.trust import Trust, Verdict
from hrmbuild.errors import InputError
from hrmbuild.files import disk_errors
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.records.decision import UNAUTHENTICATED, Action, Decision
from hrmbuild.records.log import LogEntry

DECISIONS_NAME = "decisions.jsonl"
PREDICATE_TYPE = "urn:hrmbuild:decision:1"
_ACTIONS: frozenset[str] = frozenset(Action.__args__)


@dataclass(frozen=True)
class Recorded:
    """A decision that stands in the file; nothing is known yet of who signed it."""

    line: int
    sha256: str
    """Of the line's bytes without the newline: what the log says of it."""
    decision: Decision
    envelope: Envelope

    @property
    def keyid(self) -> str | None:
        """Fingerprint of the key that is said to have signed; None: nobody did."""
        return self.envelope.keyid or None

    @property
    def title(self) -> str:
        """`line 3 (approve manifest 0123456789ab)`."""
        subject = self.decision.subject
        return f"line {self.line} ({self.decision.action} {subject.kind} {subject.sha256[:12]})"

    def judge(self, trust: Trust) -> Verdict:
        """Whether it counts as signed by somebody who may decide."""
        if self.keyid is None:
            return Verdict(False, f"nobody signed it: {UNAUTHENTICATED}")
        return trust.judge(self.envelope, role="approver", signed_at=self.decision.at)


@dataclass(frozen=True)
class Decisions:
    """The file as it was read."""

    recorded: tuple[Recorded, ...] = ()
    """Oldest first."""
    problems: tuple[str, ...] = ()
    """Lines that are no decisions, each named."""


def read(path: Path) -> Decisions:
    """Read the decisions; a file that is not there holds none.

    Raises:
        InputError: `decisions.unreadable`: the disk's own word.
    """
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise InputError("decisions.unreadable", f"the decisions cannot be read: {error.strerror}", where=str(path),
                         fix="check the file's permissions") from error  # fmt: skip
    recorded: list[Recorded] = []
    problems: list[str] = []
    lines = data.split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        found = _recorded(line, number)
        if isinstance(found, str):
            problems.append(f"line {number}: {found}")
        else:
            recorded.append(found)
    if lines[-1]:
        problems.append(f"line {len(lines)}: it was torn off")
    return Decisions(tuple(recorded), tuple(problems))


def _recorded(line: bytes, number: int) -> Recorded | str:
    where = f"{DECISIONS_NAME}:{number}"
    try:
        envelope = read_envelope(parse_canonical(line + b"\n", where=where), where=where, may_be_unsigned=True)
        decision = Decision.model_validate(envelope.statement["predicate"])
        wanted = _statement(decision)
    except (InputError, ValidationError) as error:
        return error.what if isinstance(error, InputError) else "it is no decision of format 1"
    if envelope.statement != wanted or subjects_of(envelope, where=where) == {}:
        return "its statement and its decision differ"
    if not envelope.keyid and decision.person != UNAUTHENTICATED:
        return f"it names {decision.person}, and nobody signed it"
    return Recorded(number, sha256_hex(line), decision, envelope)


def _statement(decision: Decision) -> dict[str, object]:
    subject = decision.subject
    return statement(
        subjects=[(subject.name or subject.kind, subject.sha256)],
        predicate_type=PREDICATE_TYPE,
        predicate=decision.canonical(),
    )


def append(path: Path, decision: Decision, *, key: PrivateKey | None = None) -> Recorded:
    """Record a decision: its line here, then its entry in `log.jsonl` beside this file.

    Without a key its person is `unauthenticated`. A kill between the two writes is mended by the next call, or `mend`.

    Raises:
        InputError: `decisions.broken`, `log.broken`: nothing is added to records that do not hold; `disk.*`.
    """
    log_path = path.parent / LOG_NAME
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # The log's lock too: the head that a decision states is the one that its entry follows.
        with _locked(path) as handle, locked(log_path):
            _drop_torn(handle)
            before = _whole(path, log_path)
            told = _filled(decision, key, head=read_log(log_path).head)
            value = _statement(told)
            data = signed_bytes(value, key) if key is not None else unsigned_bytes(value)
            os.lseek(handle, 0, os.SEEK_END)
            os.write(handle, data)
            os.fsync(handle)
            found = _recorded(data[:-1], len(before.recorded) + 1)
            assert isinstance(found, Recorded), found
            _tell_log(log_path, found)
    return found


def mend(path: Path) -> None:
    """Bring file and log to agree after a kill between the two; before anything else is told to the log.

    Raises:
        InputError: `log.broken`; `disk.*`.
    """
    if not path.exists():
        return
    with disk_errors(path), _locked(path) as handle, locked(path.parent / LOG_NAME):
        _drop_torn(handle)
        _tell_last(read(path), path.parent / LOG_NAME)


def _tell_last(decisions: Decisions, log_path: Path) -> None:
    if decisions.recorded and _is_unlogged(decisions.recorded[-1], read_log(log_path)):
        _tell_log(log_path, decisions.recorded[-1])


def _filled(decision: Decision, key: PrivateKey | None, *, head: str) -> Decision:
    named_person = decision.person if decision.person != UNAUTHENTICATED else None
    person = UNAUTHENTICATED if key is None else named_person or f"key {key.fingerprint[:16]}"
    return decision.model_copy(update={"log_head": head, "person": person})


def _whole(path: Path, log_path: Path) -> Decisions:
    """The decisions before this one; the last is told to the log where a kill came in between."""
    decisions = read(path)
    _tell_last(decisions, log_path)
    problems = list(chain_problems(decisions, read_log(log_path)))
    if problems:
        raise InputError("decisions.broken", f"the decisions do not hold: {named(problems)}", where=str(path),
                         why="a decision after a break would vouch for what stands before it",
                         fix=f"restore {DECISIONS_NAME} and {LOG_NAME} from their copy")  # fmt: skip
    return decisions


def _is_unlogged(last: Recorded, log: Log) -> bool:
    """Whether the log ends just before this decision: the mark of a kill, not of an alteration."""
    return (
        log.problem is None
        and not log.knows(last.decision.action, last.sha256)
        and (last.decision.log_head == log.head)
    )


def _tell_log(log_path: Path, recorded: Recorded) -> None:
    decision = recorded.decision
    append_locked(log_path, decision.action, recorded.sha256, at=decision.at, facts=_log_facts(recorded))


def _log_facts(recorded: Recorded) -> dict[str, str]:
    subject = recorded.decision.subject
    facts = {"subject": subject.sha256, "kind": subject.kind}
    return facts | ({"signed_by": recorded.keyid} if recorded.keyid else {})


def _is_told_by(recorded: Recorded, entry: LogEntry) -> bool:
    """Whether an entry says of a decision all that it must; its number and its link are the chain's own."""
    decision = recorded.decision
    return (entry.event, entry.at, entry.facts) == (decision.action, decision.at, _log_facts(recorded))


def chain_problems(decisions: Decisions, log: Log, *, may_lack_last: bool = False) -> Iterator[str]:
    """What was altered, added, moved or cut in either record, each line named.

    Args:
        may_lack_last: a kill may have come between a decision and its entry in the log.
    """
    yield from decisions.problems
    if log.problem is not None:
        yield f"{LOG_NAME} {log.problem}"
    told = {entry.sha256: entry for entry in log.entries if entry.event in _ACTIONS}
    there, known = {one.sha256 for one in decisions.recorded}, {START, *log.links}
    for one in decisions.recorded:
        last = one is decisions.recorded[-1]
        if one.sha256 not in told and not (may_lack_last and last and _is_unlogged(one, log)):
            yield f"{one.title} is not what {LOG_NAME} tells: it was altered or added, or the log's end was cut off"
        if one.sha256 in told and not _is_told_by(one, told[one.sha256]):
            yield f"{LOG_NAME} line {told[one.sha256].n} tells another thing than the decision of {one.title}"
        if one.decision.log_head not in known:
            yield f"{one.title} states a head that {LOG_NAME} does not reach"
        elif one.sha256 in told and one.decision.log_head != told[one.sha256].previous:
            yield f"{one.title} was decided at another place of {LOG_NAME} than line {told[one.sha256].n} tells"
    for sha256, entry in told.items():
        if sha256 not in there:
            yield f"the decision of {LOG_NAME} line {entry.n} ({entry.event}) is not there as it was told"
    order = [told[one.sha256].n for one in decisions.recorded if one.sha256 in told]
    if order != sorted(set(order)):
        yield f"the lines stand in another order than {LOG_NAME} tells, or twice"


def decision_checks(decisions: Decisions, log: Log, *, trust: Trust | None) -> Iterator[Check]:
    """Whether both records hold; and, with a trust file, whether each signature counts.

    What nobody signed says so of itself and is counted apart; it satisfies nobody who asks for approval.
    """
    if not decisions.recorded and not decisions.problems and not any(e.event in _ACTIONS for e in log.entries):
        return
    wrong = list(chain_problems(decisions, log))
    n = len(decisions.recorded)
    yield Check("decisions", not wrong, named(wrong) if wrong else f"{n} decisions, each told by {LOG_NAME}")
    if trust is None:
        return
    judged = [(one, one.judge(trust)) for one in decisions.recorded if one.keyid is not None]
    doubted = [f"{one.title}: {verdict.detail}" for one, verdict in judged if not verdict.ok]
    doubted += [
        f"{one.title}: states a day before the line of {LOG_NAME} that it follows: a key may have expired since"
        for one, _ in judged
        if log.is_before(one.decision.at, one.decision.log_head)
    ]
    doubted += ["lines that are no decisions"] if decisions.problems else []
    people = sorted({verdict.person for _, verdict in judged if verdict.person})
    told = [*people, *([f"{n - len(judged)} {UNAUTHENTICATED}"] if n > len(judged) else [])]
    yield Check("decisions signed by", not doubted, named(doubted or told), about_who=True)


def _drop_torn(handle: int) -> None:
    """Cut what a kill left of a line: it was reported to nobody and the log does not know it."""
    size = os.fstat(handle).st_size
    data = os.pread(handle, size, 0)
    whole = data.rfind(b"\n") + 1
    if whole < size:
        os.ftruncate(handle, whole)


@contextmanager
def _locked(path: Path) -> Generator[int]:
    """One writer at a time; the lock is the file itself, readable by its owner alone from its first byte on."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)
