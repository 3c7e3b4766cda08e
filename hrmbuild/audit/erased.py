"""An evidence pack after an erasure: which rows lost their texts, and why it still answers to its signed roots.

Owns `erased.json` and what is left of an erased row: no text, no salt, no place; its leaves, and what counts need.
Every row goes that an erased source supports, alone or with others: a leaf is of the whole row, so none can lose one of
its texts. What another source supports is in the corpus, and the next freeze gives it a row without the erased place.
The manifest never changes: `erased.json` names the files that an erasure rewrote by their new hashes, and the project's
log names `erased.json`. It must not decide what may be erased.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hrmbuild.audit import evidence
from hrmbuild.audit.evidence import EvidenceRejection, EvidenceRow
from hrmbuild.files import disk_errors, sync_file, sync_folder, write_atomic
from hrmbuild.fingerprint import canonical_json, hash_file
from hrmbuild.records.erased import Erased
from hrmbuild.records.pair import REDACTED

ERASED_NAME = "erased.json"
_KEPT = ("id", "split", "stratum", "kind", "axis", "label")
REWRITTEN = (evidence.PAIRS_NAME, evidence.REJECTIONS_NAME, evidence.SALTS_NAME, evidence.CHECK_NAME)
"""Files of a pack that an erasure writes anew; the checker, because the first ones know no erased row."""
_DETAIL = "erased"


def erased_row(text: str) -> dict[str, Any] | None:
    """What is left of an erased row; None for any other."""
    if not text.startswith('{"axis"') and not text.startswith('{"erased"'):
        return None
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    allowed = {"erased", "occurrences", *_KEPT}
    is_one = value.get("erased") is True and set(value) <= allowed
    return value if is_one and canonical_json(value) == text.encode() else None


def read_erased(folder: Path) -> Erased | None:
    """What was erased of a pack; None where nothing was, or the file says nothing that can be taken."""
    try:
        data = (folder / ERASED_NAME).read_bytes()
        found = Erased.model_validate(json.loads(data))
    except (OSError, ValueError, ValidationError, RecursionError):
        return None
    return found if found.canonical_bytes() == data else None


def erase_pack(folder: Path, sha256: str) -> int:
    """Take a source's texts and salts out of a pack, and write `erased.json`; how many rows of it are erased now.

    A kill at any instant leaves a pack that verifies, and the next call goes on to the same bytes.

    Raises:
        InputError: `evidence.unreadable`, `disk.*`.
    """
    before = read_erased(folder)
    sources = frozenset({sha256, *(before.sources if before else ())})
    gone = Counter[str]()
    salts = evidence.read_salts(folder)
    new = {name: folder / f".{name}.erasing" for name in REWRITTEN}
    with disk_errors(folder):
        evidence.write_pairs(new[evidence.PAIRS_NAME], _rows(folder, sources, gone))
        evidence.write_rejections(new[evidence.REJECTIONS_NAME], _rejections(folder, sources))
        kept = {one: salt for one, salt in salts.items() if one not in gone}
        evidence.write_salts(new[evidence.SALTS_NAME], kept)
        new[evidence.CHECK_NAME].write_bytes(evidence.checker_source())
        told = Erased(sources=tuple(sorted(sources)), pairs=len(gone),
                      files={name: hash_file(path) for name, path in new.items()})  # fmt: skip
        write_atomic(folder / ERASED_NAME, told.canonical_bytes())
        for name, path in new.items():
            sync_file(path)
            os.replace(path, folder / name)
        sync_folder(folder)
    return len(gone)


def _rows(folder: Path, sources: frozenset[str], gone: Counter[str]) -> Iterator[EvidenceRow]:
    for row in evidence.read_evidence(folder):
        value = row.value
        if not sources.isdisjoint(one["source_sha256"] for one in value["occurrences"]):
            gone[row.id] += 1
            row = replace(row, row=_skeleton(value))
        yield row


def _skeleton(value: dict[str, Any]) -> str:
    """What counts need; a heading of the text or its place would tell of it."""
    kept = {name: value[name] for name in _KEPT if name in value}
    places = [_place(one) for one in value["occurrences"]]
    return canonical_json({"erased": True, **kept, "occurrences": places}).decode()


def _place(one: dict[str, Any]) -> dict[str, Any]:
    inputs: dict[str, str] = one.get("inputs") or {}
    masked = inputs.get(REDACTED)
    return {"source_sha256": one["source_sha256"], **({"inputs": {REDACTED: masked}} if masked else {})}


def _rejections(folder: Path, sources: frozenset[str]) -> Iterator[EvidenceRejection]:
    for one in evidence.read_rejections(folder):
        if one.source_sha256 in sources:
            one = replace(one, detail=_DETAIL, locator="{}", text=None)
        yield one
