"""What follows a freeze: its entry in the project's log and, with a key, its signature.

Owns the order: the entry first, so that the head that is signed covers it. Freezing again adds neither: the entry is
there, and a signature by the same key stays as it is. A kill in between is mended by running `freeze` again.
"""

from __future__ import annotations

from pathlib import Path

from hrmbuild.audit.decisions import DECISIONS_NAME, mend
from hrmbuild.audit.keys import PrivateKey
from hrmbuild.audit.log import LOG_NAME, append, read_log
from hrmbuild.audit.manifest import SIGNATURE_NAME, load_manifest_bytes
from hrmbuild.audit.manifest_signature import manifest_signature, manifest_signature_checks, read_manifest_signature
from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError
from hrmbuild.files import write_atomic
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.pipelines.keys import now
from hrmbuild.records.manifest import Manifest


def log_and_sign(project: Project, folder: Path, manifest: Manifest, *, signer: PrivateKey | None) -> None:
    """Tell the log of the manifest in `folder`, and sign it where there is a key.

    Raises:
        InputError: `log.broken`, `log.unreadable`; the disk's own word.
    """
    digest = sha256_hex(manifest.canonical_bytes())
    facts = {"content_root": manifest.content_root} | ({"signed_by": signer.fingerprint} if signer else {})
    mend(project.work / DECISIONS_NAME)
    known = read_log(project.work / LOG_NAME)
    if known.problem is None and known.knows("freeze", digest):
        head = known.head
    else:
        head = append(project.work / LOG_NAME, "freeze", digest, at=now(), facts=facts)
    if signer is not None and not _has_signed(folder, manifest, signer):
        data = manifest_signature(manifest, signer, signed_at=now(), log_head=head)
        write_atomic(folder / SIGNATURE_NAME, data)


def _has_signed(folder: Path, manifest: Manifest, signer: PrivateKey) -> bool:
    try:
        envelope = read_manifest_signature(folder)
    except InputError:
        return False
    checks = manifest_signature_checks(folder, manifest, load_manifest_bytes(folder), trust=None)
    return envelope is not None and envelope.is_signed_by(signer.public) and all(check.ok for check in checks)
