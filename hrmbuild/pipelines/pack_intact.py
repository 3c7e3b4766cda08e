"""Is an evidence pack what its manifest lists, before anything is made of it?"""

from __future__ import annotations

from pathlib import Path

from hrmbuild.audit.evidence import SALTS_NAME
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import hash_file
from hrmbuild.records.manifest import Manifest


def check_evidence(folder: Path, manifest: Manifest, *, fix: str) -> None:
    """Every file that the manifest lists, by hash; the salts may be kept elsewhere.

    Raises:
        InputError: `evidence.altered`.
    """
    for name, expected in sorted(manifest.evidence.items()):
        path = folder / name
        if name == SALTS_NAME and not path.exists():
            continue
        if not path.is_file() or hash_file(path) != expected:
            raise InputError(
                "evidence.altered",
                "this file is not the one that was frozen"
                if path.is_file()
                else "this file of the manifest is missing",
                where=str(path),
                why="what is trained on must be what the manifest says",
                fix=fix,
            )
