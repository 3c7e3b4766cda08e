"""`hrmbuild keys new` and `keys show`; and for whoever signs: the key that `--key` names, and the time.

Owns where keys lie by default and how a passphrase is come by: the environment first, else whoever is handed in asks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hrmbuild.audit.keys import (
    PASSPHRASE_VARIABLE,
    KeyFiles,
    PrivateKey,
    PublicKey,
    new_key,
    read_private_key,
    read_public_key,
)
from hrmbuild.errors import UsageError

Ask = Callable[[str], str | None]
"""Asks a person for a secret; None where nobody is there."""


def nobody(question: str) -> str | None:
    """Where no person can be asked."""
    return None


@dataclass(frozen=True)
class NewKeyReport:
    """One key that was made."""

    files: KeyFiles
    today: str

    def as_dict(self) -> dict[str, Any]:
        """The keys of `keys new --json`."""
        return {
            "private": str(self.files.private),
            "public": str(self.files.public),
            "fingerprint": self.files.fingerprint,
            "encrypted": self.files.encrypted,
            "trust_entry": self.trust_entry,
        }

    @property
    def trust_entry(self) -> str:
        """What the keeper of a trust file adds, once the fingerprint was compared by another way."""
        return _entry(self.files.public.name, self.files.fingerprint, valid_from=self.today)


@dataclass(frozen=True)
class ShownKey:
    """A key that was looked at."""

    path: Path
    key: PublicKey

    def as_dict(self) -> dict[str, Any]:
        """The keys of `keys show --json`."""
        return {"path": str(self.path), "fingerprint": self.key.fingerprint, "public_key": self.key.pem.decode()}


def _entry(public: str, fingerprint: str, *, valid_from: str) -> str:
    return (
        "keys:\n"
        "  - person: NAME\n"
        "    roles: [packager]        # ingester signs freezes, approver decisions, packager packages\n"
        f"    public_key: {public}\n"
        f"    fingerprint: {fingerprint}\n"
        f"    valid_from: {valid_from}\n"
    )


def make_key(name: str, *, out: Path, encrypt: bool, ask: Ask = nobody) -> NewKeyReport:
    """Make a key.

    Args:
        out: folder; made where absent.
        encrypt: with a passphrase: the environment's, else one that `ask` is given twice.

    Raises:
        UsageError: `keys.*`.
        InputError: the disk's own word.
    """
    passphrase = _new_passphrase(ask) if encrypt or os.environ.get(PASSPHRASE_VARIABLE) else None
    return NewKeyReport(new_key(name, out, passphrase=passphrase), now()[:10])


def _new_passphrase(ask: Ask) -> str:
    known = os.environ.get(PASSPHRASE_VARIABLE)
    if known:
        return known
    first, again = ask("Passphrase of the new key: "), ask("The same again: ")
    if not first or first != again:
        what = "the two passphrases differ" if first != again else "there is no passphrase"
        raise UsageError("keys.no_passphrase", what, where="hrmbuild keys new",
                         fix=f"type it twice in a terminal, or set {PASSPHRASE_VARIABLE}")  # fmt: skip
    return first


def show_key(path: Path, *, ask: Ask = nobody) -> ShownKey:
    """The fingerprint and the public half of a key, from either half.

    Raises:
        InputError: `keys.unreadable`, `keys.too_open`.
        UsageError: a private key that its passphrase does not open.
    """
    if path.is_file() and b"PRIVATE KEY" in path.read_bytes():
        return ShownKey(path, signing_key(path, ask=ask).public)
    return ShownKey(path, read_public_key(path))


def signing_key(path: Path, *, ask: Ask = nobody) -> PrivateKey:
    """The private key that `--key` names.

    Raises:
        InputError, UsageError: `keys.*`.
    """
    return read_private_key(
        path, passphrase=lambda: os.environ.get(PASSPHRASE_VARIABLE) or ask(f"Passphrase of {path.name}: ")
    )


def now() -> str:
    """The time as signed statements and log entries state it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
