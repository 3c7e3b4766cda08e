"""Files that say nearly what a withdrawn file said: known by fingerprints, and kept out with it.

Owns that comparison. What comes of it depends on the files' bytes, their settings and the recorded decisions alone, so
that an incremental ingest ends where a fresh one would. Only prose is compared (`rules`, `memos`): rows of tables and
existing pairs are kept out by their bytes. It must not keep any text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hrmbuild.audit.shingles import NEAR_COPY, hashes_of, share, shingles
from hrmbuild.config.loading import Project
from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import InputError
from hrmbuild.pipelines.decided import Decided, Ruling
from hrmbuild.pipelines.source_files import Found, FoundFile
from hrmbuild.readers.inference import HEAD_BYTES
from hrmbuild.readers.registry import choose_format
from hrmbuild.readers.worker import read_guarded
from hrmbuild.records.document import Document, Fields, Record, Table
from hrmbuild.store.database_files import open_database_file

WITHDRAWN_COPY = "withdrawn.near_copy"
PROSE = frozenset({"rules", "memos"})


def with_near_copies(project: Project, found: Found, decided: Decided) -> Decided:
    """The decisions, with the near copies of withdrawn sources among the files that were found."""
    sketches = {sha256: hashes_of(told) for sha256, told in decided.sketches.items()}
    if not sketches:
        return decided
    copies: dict[str, Ruling] = {}
    for file in found.files:
        if project.config.sources[file.entry].kind in PROSE and file.sha256 not in decided.kept_out:
            ruling = _ruling(text_of(project, file), sketches)
            copies |= {file.sha256: ruling} if ruling is not None else {}
    return replace(decided, copies=copies)


def _ruling(text: str, sketches: dict[str, frozenset[str]]) -> Ruling | None:
    runs = shingles(text)
    shares = sorted(((share(told, runs), sha256) for sha256, told in sketches.items()), reverse=True)
    nearest, sha256 = shares[0]
    if nearest < NEAR_COPY:
        return None
    return WITHDRAWN_COPY, f"{nearest:.0%} of the words of the withdrawn source {sha256[:12]} stand in it"


def text_of(project: Project, file: FoundFile) -> str:
    """All words that a reader finds in a file; none of a file that cannot be read, which ingest reports."""
    settings: SourceConfig = project.config.sources[file.entry]
    try:
        with file.path.open("rb") as opened:
            format_name = choose_format(file.path, opened.read(HEAD_BYTES), settings)
        result = read_guarded(
            file.path, relative=file.relative, sha256=file.sha256, source=settings, format=format_name,
            open_database=open_database_file, limits=project.config.limits,
        )  # fmt: skip
    except (InputError, OSError):
        return ""
    return "\n".join(part for record in result.records for part in _words(record))


def _words(record: Record) -> Iterable[str]:
    if isinstance(record, Document):
        return [block.text for block in record.blocks]
    if isinstance(record, Table):
        return [
            " ".join(cell or "" for cell in row) for row in zip(*(one.cells for one in record.columns), strict=True)
        ]
    if isinstance(record, Fields):
        return list(record.fields.values())
    return [record.model_dump_json()]
