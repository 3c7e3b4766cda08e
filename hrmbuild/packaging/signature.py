"""`model.sig`: one signature over every file of a package, in the format of OpenSSF model-signing 1.1.

Owns that file's form and its checks. `model_signing verify key --public_key K --signature model.sig PKG` reads it too;
we write it ourselves because that tool with what it needs is 95 MB, and check it ourselves because it is lenient: what
to leave out is the signer's word there, and paths like `.github` are left out unasked. Here the signature may leave out
itself and nothing else. It must not decide whose key counts (`audit.trust` does).
Sources: https://github.com/sigstore/model-transparency (predicate https://model_signing/signature/v1.0: fields it does
not know are ignored), https://docs.sigstore.dev/about/bundle/ (bundle v0.3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from hrmbuild.audit.checks import Check, named
from hrmbuild.audit.keys import PrivateKey
from hrmbuild.audit.signing import Envelope, parse_canonical, read_envelope, signed_envelope, statement, subjects_of
from hrmbuild.audit.trust import Trust
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import canonical_json

SIGNATURE_NAME = "model.sig"
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
_SERIALIZATION = {
    "allow_symlinks": False,
    "hash_type": "sha256",
    "ignore_paths": [SIGNATURE_NAME],
    "method": "files",
}
_OURS = "hrmbuild"
"""Our own part of the predicate: when, which content root, and the head of the project's log."""


def signature_bytes(files: Mapping[str, str], key: PrivateKey, *, name: str, stated: Mapping[str, str]) -> bytes:
    """The content of `model.sig`.

    Args:
        files: SHA-256 of every file of the package but this one, by POSIX path.
        name: of the model.
        stated: what else is signed; `signed_at` at least.
    """
    resources = [{"algorithm": "sha256", "digest": digest, "name": path} for path, digest in sorted(files.items())]
    predicate = {"resources": resources, "serialization": _SERIALIZATION, _OURS: dict(stated)}
    value = statement(subjects=[(name, _joined(files))], predicate_type=PREDICATE_TYPE, predicate=predicate)
    bundle = {
        "dsseEnvelope": signed_envelope(value, key),
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": hashlib.sha256(key.public.pem).hexdigest()}, "tlogEntries": []},
    }
    return canonical_json(bundle) + b"\n"


def _joined(files: Mapping[str, str]) -> str:
    """SHA-256 over the files' digests, one after another in the order of their paths."""
    return hashlib.sha256(b"".join(bytes.fromhex(files[path]) for path in sorted(files))).hexdigest()


@dataclass(frozen=True)
class PackageSignature:
    """A `model.sig` that was read."""

    envelope: Envelope
    hint: object
    """SHA-256 of the key's PEM, as model-signing looks for it."""
    stated: dict[str, Any]

    def problems(self, hashes: Mapping[str, str]) -> list[str]:
        """What of the folder it does not cover, covers otherwise, or leaves out.

        Args:
            hashes: SHA-256 of every regular file found, this one left out.
        """
        predicate, where = self.envelope.statement["predicate"], SIGNATURE_NAME
        signed = _resources(predicate)
        wrong = [] if predicate.get("serialization") == _SERIALIZATION else ["it leaves out more than itself"]
        if self.envelope.statement["predicateType"] != PREDICATE_TYPE or signed is None:
            return [*wrong, "it is no list of files that were signed"]
        if list(subjects_of(self.envelope, where=where).values()) != [_joined(signed)]:
            wrong.append("its own sum of the files is another")
        wrong += [f"{name} is not signed" for name in sorted(hashes.keys() - signed.keys())]
        wrong += [f"{name} was signed and is missing" for name in sorted(signed.keys() - hashes.keys())]
        common = sorted(hashes.keys() & signed.keys())
        return wrong + [f"{name} is not what was signed" for name in common if hashes[name] != signed[name]]


def _resources(predicate: Mapping[str, Any]) -> dict[str, str] | None:
    listed = predicate.get("resources")
    found: dict[str, str] = {}
    for one in cast(list[Any], listed) if isinstance(listed, list) else [None]:
        if not isinstance(one, dict) or cast(dict[str, Any], one).keys() != {"algorithm", "digest", "name"}:
            return None
        fields = cast(dict[str, Any], one)
        if fields["algorithm"] != "sha256" or fields["name"] in found or not _is_digest(fields["digest"]):
            return None
        found[str(fields["name"])] = fields["digest"]
    return found


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and all(sign in "0123456789abcdef" for sign in value)


def read_signature(folder: Path) -> PackageSignature:
    """Read `model.sig`.

    Raises:
        InputError: `signature.unreadable`.
    """
    path = folder / SIGNATURE_NAME
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(f"it cannot be read: {error.strerror}") from error
    bundle = parse_canonical(data, where=SIGNATURE_NAME)
    if not isinstance(bundle, dict) or cast(dict[str, Any], bundle).get("mediaType") != MEDIA_TYPE:
        raise _unreadable(f"it is no bundle of type {MEDIA_TYPE}")
    fields = cast(dict[str, Any], bundle)
    material = fields.get("verificationMaterial")
    plain = isinstance(material, dict) and cast(dict[str, Any], material).keys() == {"publicKey", "tlogEntries"}
    key = cast(dict[str, Any], material)["publicKey"] if plain else None
    if len(fields) != 3 or not isinstance(key, dict) or cast(dict[str, Any], key).keys() != {"hint"}:
        raise _unreadable("it is no bundle with a public key")
    envelope = read_envelope(fields.get("dsseEnvelope"), where=SIGNATURE_NAME)
    stated = envelope.statement["predicate"].get(_OURS)
    known = cast(dict[str, Any], stated) if isinstance(stated, dict) else {}
    return PackageSignature(envelope, cast(dict[str, Any], key)["hint"], known)


def _unreadable(what: str) -> InputError:
    return InputError("signature.unreadable", what, where=SIGNATURE_NAME, fix="copy the package again")


def signature_checks(
    folder: Path, hashes: Mapping[str, str], *, expected: bool, content_root: str, trust: Trust | None
) -> Iterator[Check]:
    """Whether the signature covers exactly what is there; and, with a trust file, whether it counts.

    Args:
        hashes: SHA-256 of every regular file found but `model.sig`.
        expected: the package says that it was signed.
    """
    if not (folder / SIGNATURE_NAME).exists():
        if expected:
            yield Check(SIGNATURE_NAME, False, "missing: this package was signed")
        if trust is not None:
            yield Check("signed by", False, "nobody: there is no model.sig", about_who=True)
        return
    try:
        signature = read_signature(folder)
        wrong = signature.problems(hashes)
    except InputError as error:
        yield Check(SIGNATURE_NAME, False, error.what)
        if trust is not None:
            yield Check("signed by", False, f"not to be told: {error.what}", about_who=True)
        return
    if signature.stated.get("content_root") != content_root:
        wrong.append("it states another content_root")
    told = f"{len(hashes)} files, none left out; key {signature.envelope.keyid[:16]}"
    yield Check(SIGNATURE_NAME, not wrong, named(wrong) if wrong else told)
    if trust is not None:
        yield _who_check(signature, trust)


def _who_check(signature: PackageSignature, trust: Trust) -> Check:
    verdict = trust.judge(signature.envelope, role="packager", signed_at=signature.stated.get("signed_at"))
    hints = {
        hashlib.sha256(one.key.pem).hexdigest() for one in trust.keys if one.key.fingerprint == verdict.fingerprint
    }
    if verdict.ok and signature.hint not in hints:
        return Check("signed by", False, "its hint for other tools names another key", about_who=True)
    return Check("signed by", verdict.ok, verdict.detail.removeprefix("signed by "), about_who=True)
