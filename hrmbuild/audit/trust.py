"""Whose signature counts: `trust.yaml` read strictly, and each signature judged by it.

Owns that judgement. A key is taken from the trust file and from nowhere else: never from what is verified. It reads no
clock but for the day of today, which the caller hands in.

A signature counts when its key is listed for the role, signed exactly these bytes, on a day on which it was valid, and
is not revoked. The day is the one that the signer states; so a revoked key counts for nothing, whatever day it states.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from hrmbuild.audit.keys import PublicKey, public_key, read_public_key
from hrmbuild.audit.signing import Envelope
from hrmbuild.config.loading import validate_settings
from hrmbuild.config.yaml_lines import parse_yaml
from hrmbuild.errors import ConfigError, HrmbuildError, UsageError, raise_all
from hrmbuild.records.trust import Role, TrustedKey, TrustFile

TRUST_NAME = "trust.yaml"
_STATED_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})T\d{2}:\d{2}:\d{2}Z")


@dataclass(frozen=True)
class Verdict:
    """Whether a signature counts, and why in one sentence."""

    ok: bool
    detail: str
    person: str | None = None
    """Who signed; None where no listed key did."""
    fingerprint: str | None = None


@dataclass(frozen=True)
class KnownKey:
    """A listed key with its public half at hand."""

    entry: TrustedKey
    key: PublicKey


@dataclass(frozen=True)
class Trust:
    """A trust file that was read."""

    keys: tuple[KnownKey, ...]
    today: date
    """Day of the verification."""
    path: Path | None = None
    """The file; whose list it is decides what an answer is worth."""

    def judge(self, envelope: Envelope, *, role: Role, signed_at: object) -> Verdict:
        """Whether `envelope` counts as signed by somebody who may sign as `role`.

        Args:
            signed_at: what the signed payload states, `2026-11-22T17:31:30Z`.
        """
        known = next((one for one in self.keys if one.key.fingerprint == envelope.keyid), None)
        if known is None:
            return Verdict(False, f"signed with a key that trust.yaml does not list ({envelope.keyid[:16]})")
        entry, mark = known.entry, known.key.fingerprint
        who = f"{entry.person} ({mark[:16]})"
        if not envelope.is_signed_by(known.key):
            return Verdict(False, f"names the key of {who}, which did not sign these bytes", None, mark)
        problem = self._problem(entry, role=role, signed_at=signed_at)
        if problem is not None:
            return Verdict(False, f"signed by {who}, {problem}", entry.person, mark)
        return Verdict(True, f"signed by {who} as {role} at {signed_at}", entry.person, mark)

    def listed(self, fingerprint: str, *, role: Role, signed_at: str) -> Verdict:
        """Whether a signature of this key, made at that time, would count."""
        known = next((one for one in self.keys if one.key.fingerprint == fingerprint), None)
        if known is None:
            return Verdict(False, f"a key that trust.yaml does not list ({fingerprint[:16]})")
        who = f"the key of {known.entry.person}"
        problem = self._problem(known.entry, role=role, signed_at=signed_at)
        return Verdict(problem is None, f"{who}, {problem}" if problem else who, known.entry.person, fingerprint)

    def _problem(self, entry: TrustedKey, *, role: Role, signed_at: object) -> str | None:
        if role not in entry.roles:
            return f"who may sign as {', '.join(entry.roles)}, not as {role}"
        if entry.revoked_at is not None and entry.revoked_at <= self.today.isoformat():
            return f"whose key was revoked at {entry.revoked_at}: nothing of it counts any more"
        stated = _STATED_DAY.fullmatch(signed_at) if isinstance(signed_at, str) else None
        if stated is None:
            return "without a time that can be read"
        day = stated[1]
        if day > self.today.isoformat():
            return f"at a time that has not come ({signed_at})"
        if day < entry.valid_from:
            return f"whose key was not yet valid at {signed_at} (it is from {entry.valid_from})"
        if entry.valid_until is not None and day > entry.valid_until:
            return f"whose key had expired at {signed_at} (it was valid until {entry.valid_until})"
        return None


def read_trust(path: Path, *, today: date, verified: Path | None = None) -> Trust:
    """Read a trust file; every problem at once.

    Args:
        verified: what is going to be verified: a trust file inside of it is refused.

    Raises:
        UsageError: `trust.not_found`, `trust.inside`.
        ConfigError: `config.*` with line and column; `trust.wrong_fingerprint`, `trust.key_twice`,
            `trust.person_twice`, `trust.bad_day`.
        InputError: `keys.unreadable`.
    """
    if verified is not None and path.resolve().is_relative_to(verified.resolve()):
        raise UsageError("trust.inside", "this trust file lies inside of what it should judge", where=str(path),
                         why="whoever wrote the one could have written the other",
                         fix="take a trust file that you keep yourself")  # fmt: skip
    entries = _read_file(path).keys
    known = [(f"{path.name}: keys.{number}", entry, _key_of(entry, path)) for number, entry in enumerate(entries)]
    raise_all([*_entry_problems(known), *_twice(known)])
    return Trust(tuple(KnownKey(entry, key) for _, entry, key in known), today, path)


def _read_file(path: Path) -> TrustFile:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError("trust.not_found", f"this trust file cannot be read: {told}", where=str(path),
                         fix="check the path after --trust; docs/auditor.md shows such a file") from error  # fmt: skip
    return validate_settings(TrustFile, parse_yaml(text, name=path.name), name=path.name)


def _key_of(entry: TrustedKey, path: Path) -> PublicKey:
    if entry.public_key.startswith("-----BEGIN"):
        return public_key(f"{entry.public_key}\n".encode(), where=f"{path.name}: {entry.person}")
    return read_public_key(path.parent / entry.public_key)


def _entry_problems(known: Sequence[tuple[str, TrustedKey, PublicKey]]) -> list[HrmbuildError]:
    problems: list[HrmbuildError] = []
    for where, entry, key in known:
        if entry.fingerprint not in (None, key.fingerprint):
            problems.append(
                ConfigError("trust.wrong_fingerprint", f"the key of {entry.person} has another fingerprint",
                            where=where, why=f"it is {key.fingerprint}",
                            fix="ask the person for it by another way than the one the key came")
            )  # fmt: skip
        problems += [
            ConfigError("trust.bad_day", f"{name}: {day} is no day", where=where, fix="write YYYY-MM-DD")
            for name in ("valid_from", "valid_until", "revoked_at")
            if (day := getattr(entry, name)) is not None and not _is_day(day)
        ]
    return problems


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _twice(known: Sequence[tuple[str, TrustedKey, PublicKey]]) -> list[HrmbuildError]:
    """One key is one person: a key under two names could be its own second pair of eyes; so could a person whose name
    is spelt in two ways."""
    seen: dict[str, str] = {}
    spelt: dict[str, str] = {}
    problems: list[HrmbuildError] = []
    for where, entry, key in known:
        plain = "".join(unicodedata.normalize("NFKC", entry.person).casefold().split())
        if spelt.setdefault(plain, entry.person) != entry.person:
            what = f"{entry.person!r} and {spelt[plain]!r} would count as two persons"
            problems.append(ConfigError("trust.person_twice", what, where=where, fix="spell one person in one way"))
        if key.fingerprint in seen:
            what = f"the key of {entry.person} is that of {seen[key.fingerprint]}"
            problems.append(ConfigError("trust.key_twice", what, where=where, fix="list each key once"))
        seen.setdefault(key.fingerprint, entry.person)
    return problems
