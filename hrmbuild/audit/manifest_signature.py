"""`manifest.dsse.json` beside a manifest: who froze it, as a signed statement over its digest.

Owns that file's content and its checks. `freeze --key` writes it; signing again replaces it, because the manifest is
what stays. It must not write a file, nor decide whose key counts (`audit.trust` does).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hrmbuild.audit.checks import Check, named, not_looked_at
from hrmbuild.audit.keys import PrivateKey
from hrmbuild.audit.log import Log
from hrmbuild.audit.manifest import MANIFEST_NAME, SIGNATURE_NAME
from hrmbuild.audit.signing import Envelope, read_signed, signed_bytes, statement, subjects_of
from hrmbuild.audit.trust import Trust
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.records.manifest import Manifest

PREDICATE_TYPE = "urn:hrmbuild:freeze:1"


def manifest_signature(manifest: Manifest, key: PrivateKey, *, signed_at: str, log_head: str) -> bytes:
    """The content of `manifest.dsse.json`."""
    stated = {
        "content_root": manifest.content_root,
        "label": manifest.label,
        "log_head": log_head,
        "roots": manifest.roots.canonical(),
        "signed_at": signed_at,
    }
    subjects = [(MANIFEST_NAME, sha256_hex(manifest.canonical_bytes()))]
    return signed_bytes(statement(subjects=subjects, predicate_type=PREDICATE_TYPE, predicate=stated), key)


def read_manifest_signature(folder: Path) -> Envelope | None:
    """The signature beside a manifest, None where there is none.

    Raises:
        InputError: `signature.unreadable`.
    """
    path = folder / SIGNATURE_NAME
    if not path.is_file():
        return None
    return read_signed(path.read_bytes(), where=SIGNATURE_NAME)


def manifest_signature_checks(folder: Path, manifest: Manifest, data: bytes, *, trust: Trust | None) -> Iterator[Check]:
    """Whether the signature is about this manifest; and, with a trust file, whether it counts.

    Args:
        data: the manifest's bytes.
    """
    try:
        envelope = read_manifest_signature(folder)
        wrong = [] if envelope is None else list(_problems(envelope, manifest, data))
    except (InputError, OSError) as error:
        told = error.what if isinstance(error, InputError) else f"it cannot be read: {error.strerror}"
        yield Check(SIGNATURE_NAME, False, told)
        if trust is not None:
            yield Check("signed by", False, f"not to be told: {told}", about_who=True)
        return
    if envelope is not None:
        told = f"about this manifest; key {envelope.keyid[:16]}"
        yield Check(SIGNATURE_NAME, not wrong, named(wrong) if wrong else told)
    if trust is not None:
        yield _who_check(envelope, trust)


def _who_check(envelope: Envelope | None, trust: Trust) -> Check:
    if envelope is None:
        return Check("signed by", False, f"nobody: there is no {SIGNATURE_NAME}", about_who=True)
    stated = envelope.statement["predicate"].get("signed_at")
    verdict = trust.judge(envelope, role="ingester", signed_at=stated)
    return Check("signed by", verdict.ok, verdict.detail.removeprefix("signed by "), about_who=True)


def _problems(envelope: Envelope, manifest: Manifest, data: bytes) -> Iterator[str]:
    predicate = envelope.statement["predicate"]
    if envelope.statement["predicateType"] != PREDICATE_TYPE:
        yield f"it states no {PREDICATE_TYPE}"
    if subjects_of(envelope, where=SIGNATURE_NAME) != {MANIFEST_NAME: sha256_hex(data)}:
        yield "it is about another manifest"
    if predicate.get("content_root") != manifest.content_root or predicate.get("label") != manifest.label:
        yield "it states another content_root or label"


def log_check(log: Log | None, *, event: str, sha256: str, stated_head: object, signed_at: object = None) -> Check:
    """Whether the project's log holds, knows this artifact, and still reaches what a signature says of it.

    Args:
        log: None where the project has none.
        stated_head: head of the log that a signature states; None without one.
        signed_at: the time that it states.
    """
    if stated_head is None and (log is None or (not log.entries and log.problem is None)):
        return not_looked_at("log", "there is none: nothing tells that this was made here, or when")
    if log is None:
        return Check("log", False, "log.jsonl is missing, a signature states its head")
    wrong = [] if log.problem is None else [log.problem]
    if not log.knows(event, sha256):
        wrong.append(f"it does not know this {event} ({sha256[:12]})")
    if stated_head is not None and stated_head not in log.links:
        wrong.append("it does not reach the head that the signature states: its end was cut off, or it is another log")
    elif stated_head is not None and log.is_before(signed_at, str(stated_head)):
        wrong.append("the signature states a day before the line whose head it states: a key may have expired since")
    return Check(
        "log", not wrong, named(wrong) if wrong else f"{len(log.links)} entries, each chained to the one before"
    )
