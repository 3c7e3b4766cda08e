"""`edits.jsonl`: the texts that reviewers wrote, one a line, named by digest in the decisions.

Owns the file: mode 0600, appending under a lock, reading by digest. A decision is signed and chained and can never be
taken out; its words can: they stand here, with random bytes so that nobody confirms a guessed text by the digest, and
`drop` leaves the digest naming nothing. A line that was altered has another digest and is named by no decision. It must
not say what an edit means (`pipelines.decided`).
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import ValidationError

from hrmbuild.errors import InputError
from hrmbuild.files import disk_errors, write_atomic
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.records.decision import EditedTexts

EDITS_NAME = "edits.jsonl"


def read_edits(path: Path) -> dict[str, EditedTexts]:
    """Texts by digest; a file that is not there holds none, and a line that is no edit is named by no digest.

    Raises:
        InputError: `edits.unreadable`: the disk's own word.
    """
    try:
        lines = path.read_bytes().split(b"\n") if path.exists() else []
    except OSError as error:
        raise InputError("edits.unreadable", f"the edited texts cannot be read: {error.strerror}", where=str(path),
                         fix="check the file's permissions") from error  # fmt: skip
    found: dict[str, EditedTexts] = {}
    for line in filter(None, lines):
        try:
            found[sha256_hex(line)] = EditedTexts.model_validate(json.loads(line))
        except (ValueError, RecursionError, ValidationError):
            continue
    return found


def altered_edits(path: Path, named: Mapping[str, str]) -> list[str]:
    """Pairs whose edited texts were altered: the named line is gone, and one that no decision names stands there.

    Args:
        named: digest -> pair id, as the decisions tell. A digest whose pair has no line at all was erased.

    Raises:
        InputError: `edits.unreadable`.
    """
    there = read_edits(path)
    strangers = {texts.pair for digest, texts in there.items() if digest not in named}
    n_lines = len([line for line in path.read_bytes().split(b"\n") if line]) if path.exists() else 0
    has_broken = n_lines > len(there)
    return sorted(pair for digest, pair in named.items() if digest not in there and (pair in strangers or has_broken))


def append_edit(path: Path, *, pair: str, instruction: str, response: str, answer: str) -> str:
    """Keep the texts of one edit; its digest. On disk when this returns; a line that a kill tore off is ended first.

    Raises:
        InputError: `disk.*`.
    """
    texts = EditedTexts(pair=pair, instruction=instruction, response=response, answer=answer,
                        salt=secrets.token_hex(32))  # fmt: skip
    line = texts.canonical_bytes()
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            size = os.fstat(handle).st_size
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            os.write(handle, b"\n" * torn + line + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
    return sha256_hex(line)


def drop_edits(path: Path, pairs: Collection[str]) -> int:
    """Erase the texts of these pairs (those that a person changed, by id); how many lines went.

    Raises:
        InputError: `disk.*`.
    """
    edits = read_edits(path)
    kept = [texts.canonical_bytes() + b"\n" for texts in edits.values() if texts.pair not in pairs]
    if len(kept) < len(edits):
        write_atomic(path, b"".join(kept))
        with disk_errors(path):
            path.chmod(0o600)
    return len(edits) - len(kept)
