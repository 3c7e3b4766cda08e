"""Keys that people sign with: EC P-256, the private half in a PEM file of mode 0600, the public half beside it.

Owns making, reading and using a key, and its fingerprint: SHA-256 of the DER of the public key (SubjectPublicKeyInfo,
RFC 5480). P-256 because model-signing takes no Ed25519. It must not decide whom to trust (`audit.trust` does), nor ask
a person anything: a passphrase is handed in.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hrmbuild.errors import InputError, UsageError
from hrmbuild.files import disk_errors, sync_folder, write_atomic

PRIVATE_SUFFIX, PUBLIC_SUFFIX = ".private.pem", ".public.pem"
PASSPHRASE_VARIABLE = "HRMBUILD_KEY_PASSPHRASE"
"""Environment variable that a passphrase is taken from before anybody is asked."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
Half = TypeVar("Half", ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey)
Passphrase = Callable[[], str | None]
"""Gives the passphrase of an encrypted key, or None where there is none to be had."""


def no_passphrase() -> str | None:
    """For keys that are not encrypted."""
    return None


@dataclass(frozen=True)
class PublicKey:
    """The half that everybody may have."""

    pem: bytes

    @property
    def _key(self) -> ec.EllipticCurvePublicKey:
        key = serialization.load_pem_public_key(self.pem)
        assert isinstance(key, ec.EllipticCurvePublicKey), "checked when it was read"
        return key

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER SubjectPublicKeyInfo, 64 hex digits."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return hashlib.sha256(self._key.public_bytes(serialization.Encoding.DER, form)).hexdigest()

    def has_signed(self, data: bytes, signature: bytes) -> bool:
        """Whether `signature` (ECDSA with SHA-256, DER) is this key's over `data`."""
        try:
            self._key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class PrivateKey:
    """The half that one person has."""

    _key: ec.EllipticCurvePrivateKey

    @property
    def public(self) -> PublicKey:
        """The other half."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return PublicKey(self._key.public_key().public_bytes(serialization.Encoding.PEM, form))

    @property
    def fingerprint(self) -> str:
        """Of the public half."""
        return self.public.fingerprint

    def sign(self, data: bytes) -> bytes:
        """ECDSA with SHA-256, DER. Each call gives other bytes: the scheme draws a number."""
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))


@dataclass(frozen=True)
class KeyFiles:
    """Where a new key lies."""

    private: Path
    public: Path
    fingerprint: str
    encrypted: bool


def new_key(name: str, folder: Path, *, passphrase: str | None = None) -> KeyFiles:
    """Draw a key and write both halves; the private one is readable by its owner alone from its first byte on.

    Raises:
        UsageError: `keys.bad_name`, `keys.exists`: a key is never overwritten.
        InputError: the disk's own word.
    """
    if not _NAME.fullmatch(name):
        raise UsageError("keys.bad_name", f"{name!r} cannot be the name of a key file", where="hrmbuild keys new NAME",
                         fix="use letters, digits, '.', '_' and '-', at most 64 of them")  # fmt: skip
    private, public = folder / f"{name}{PRIVATE_SUFFIX}", folder / f"{name}{PUBLIC_SUFFIX}"
    for path in (private, public):
        if path.exists() or path.is_symlink():
            raise UsageError("keys.exists", "a key of this name is there already", where=str(path),
                             why="what an overwritten key has signed could never be checked again",
                             fix="choose another name, or another folder with --out")  # fmt: skip
    key = PrivateKey(ec.generate_private_key(ec.SECP256R1()))
    _write_private(private, _private_pem(key, passphrase))
    write_atomic(public, key.public.pem)
    return KeyFiles(private, public, key.fingerprint, bool(passphrase))


def _private_pem(key: PrivateKey, passphrase: str | None) -> bytes:
    lock = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    return key._key.private_bytes(  # pyright: ignore[reportPrivateUsage]
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock
    )


def _write_private(path: Path, pem: bytes) -> None:
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)


def read_private_key(path: Path, *, passphrase: Passphrase = no_passphrase) -> PrivateKey:
    """Read a private key; `passphrase` is called only where the file is encrypted.

    Raises:
        InputError: `keys.unreadable`, `keys.too_open`.
        UsageError: `keys.passphrase_needed`, `keys.wrong_passphrase`, `keys.not_private`.
    """
    data = _read(path)
    if b"PRIVATE KEY" not in data:
        raise UsageError("keys.not_private", "this is no private key", where=str(path),
                         why="only the private half can sign",
                         fix=f"name the file that ends in {PRIVATE_SUFFIX}")  # fmt: skip
    _check_mode(path)
    given = passphrase() if b"ENCRYPTED" in data else None
    if b"ENCRYPTED" in data and not given:
        raise UsageError("keys.passphrase_needed", "this key is encrypted, and there is no passphrase",
                         where=str(path),
                         fix=f"set {PASSPHRASE_VARIABLE}, or run the command in a terminal")  # fmt: skip
    try:
        key = serialization.load_pem_private_key(data, given.encode() if given else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if given:
            what = "the passphrase does not open this key, or the file is damaged"
            fix = "try again, or restore the file from its copy"
            raise UsageError("keys.wrong_passphrase", what, where=str(path), fix=fix) from error
        raise _unreadable(path, "it is no PEM private key") from error
    return PrivateKey(_p256(key, ec.EllipticCurvePrivateKey, path))


def _check_mode(path: Path) -> None:
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise InputError("keys.too_open", "others can read this private key", where=str(path),
                         why="whoever can read it can sign in your name",
                         fix=f"chmod 600 {path} (and make a new key if somebody may have read it)")  # fmt: skip


def read_public_key(path: Path) -> PublicKey:
    """Read a public key.

    Raises:
        InputError: `keys.unreadable`: no file, no PEM, or a key of another kind.
    """
    return public_key(_read(path), where=str(path))


def public_key(pem: bytes, *, where: str) -> PublicKey:
    """The public key in these bytes, written in its one form.

    Raises:
        InputError: `keys.unreadable`.
    """
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unreadable(where, "it is no PEM public key") from error
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return PublicKey(_p256(key, ec.EllipticCurvePublicKey, where).public_bytes(serialization.Encoding.PEM, form))


def _p256(key: object, kind: type[Half], where: Path | str) -> Half:
    if not isinstance(key, kind) or not isinstance(key.curve, ec.SECP256R1):
        raise _unreadable(where, "it is no key of the curve P-256")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error.strerror or "it cannot be read") from error


def _unreadable(where: Path | str, told: str) -> InputError:
    return InputError("keys.unreadable", f"this key cannot be read: {told}", where=str(where),
                      fix="name a file that hrmbuild keys new wrote")  # fmt: skip
