"""The report of an ingest as lines for a person: the closing table, what was left out and why, pairs with evidence.

Owns wording and layout. It must not compute: every number stands in the report.
"""

from __future__ import annotations

import os
import shutil
import textwrap
from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from hrmbuild.cli.output import table, visible

if TYPE_CHECKING:
    from hrmbuild.pipelines.ingest_report import IngestReport, PreviewPair
    from hrmbuild.store.reading import StoredSource

SHOWN_REASONS = 3
"""Reasons named in a line of the closing table; all of them stand below it and in `--json`."""
MOST_FILES = 60
"""Above it, a line is an entry of the settings and no longer a file; `--json` has every file."""
MOST_NOTES = 20
"""Above it, equal inferences stand in one line with the number of their files."""
MIN_COLUMNS = 100
"""From this width on, evidence stands beside the pair, else below it."""


def ingest_lines(report: IngestReport) -> list[str]:
    """The balance sheet, what was left out and why, and the closing line."""
    balance = report.balance
    lines = _entries(report) if len(report.sources) > MOST_FILES else _files(report)
    lines += [f"quarantined  {path}: {reason}" for path, reason in report.quarantined]
    lines += [f"no file      {where}: {path}: {detail}" for where, path, detail in report.unmatched]
    lines += _notes(report.notes)
    lines += preview_lines(report.previews, columns=shutil.get_terminal_size().columns)
    lines += ["", "rejections by reason (a record that gives no pair counts here too; `hrmbuild explain CODE`):"
              ] if balance.reasons else []  # fmt: skip
    lines += [f"  {code}  {n:,}" for code, n in balance.reasons.items()]
    lines += [f"  {code}  {n:,} held until a decision: hrmbuild rejections --held" for code, n in balance.held.items()]
    n_skipped = sum(one.n_skipped for one in report.sources)
    aside = (
        [f"{n_skipped:,} parts of files were seen and not read (hrmbuild audit report lists them)"] if n_skipped else []
    )
    aside += [f"{report.n_hidden:,} hidden files and folders were not looked at"] if report.n_hidden else []
    return [*lines, "", *aside, _summary(report)]


def _files(report: IngestReport) -> list[str]:
    rows: list[tuple[object, ...]] = [
        (one.source.path, one.status, one.n_records, one.n_made, one.n_kept, one.n_rejected, _reasons(one.reasons))
        for one in report.sources
    ]
    rows.append((*_total(report), ""))
    return table(["source", "state", "records", "made", "kept", "rejected", "reasons"], rows)


def _entries(report: IngestReport) -> list[str]:
    """One line an entry of the settings, in their order of paths."""
    entries: dict[str, list[StoredSource]] = {}
    for one in report.sources:
        entries.setdefault(one.source.declared_by, []).append(one)
    rows = [_entry(declared_by, files) for declared_by, files in entries.items()]
    rows.append(("", *_total(report), ""))
    return table(["declared by", "source", "files", "records", "made", "kept", "rejected", "reasons"], rows)


def _entry(declared_by: str, files: Sequence[StoredSource]) -> tuple[object, ...]:
    reasons: Counter[str] = Counter()
    for one in files:
        reasons.update(one.reasons)
    n_out = sum(one.status == "quarantined" for one in files)
    n_read = f"{len(files) - n_out:,} read" + (f", {n_out:,} quarantined" if n_out else "")
    counted = ((one.n_records, one.n_made, one.n_kept, one.n_rejected) for one in files)
    numbers = map(sum, zip(*counted, strict=True))
    return (declared_by, os.path.commonpath([one.source.path for one in files]), n_read, *numbers, _reasons(reasons))


def _total(report: IngestReport) -> tuple[object, ...]:
    balance = report.balance
    n_records = sum(one.n_records for one in report.sources)
    return ("all", f"{len(report.sources)} files", n_records, balance.made, balance.kept, balance.rejected)


def _reasons(reasons: dict[str, int]) -> str:
    most = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{code} {n:,}" for code, n in most[:SHOWN_REASONS])
    return f"{shown}, …" if len(most) > SHOWN_REASONS else shown


def _notes(notes: Sequence[tuple[str, str]]) -> list[str]:
    if len(notes) <= MOST_NOTES:
        return [f"inferred     {path}: {note}" for path, note in notes]
    paths: dict[str, list[str]] = {}
    for path, note in notes:
        paths.setdefault(note, []).append(path)
    return [f"inferred     {note}: {named[0]}" + (f" and {len(named) - 1:,} more" if named[1:] else "")
            for note, named in paths.items()]  # fmt: skip


def _summary(report: IngestReport) -> str:
    balance = report.balance
    files = f"{report.read:,} read, {report.unchanged:,} unchanged, {len(report.quarantined):,} quarantined"
    written = "nothing was written" if report.dry_run else f"{balance.distinct_pairs:,} distinct pairs in the corpus"
    held = f" + {balance.n_held:,} quarantined" if balance.n_held else ""
    return (
        f"{report.seen:,} files: {files}; {balance.made:,} pairs made = {balance.kept:,} kept + "
        f"{balance.rejected:,} rejected{held}; {written}"
    )


def preview_lines(previews: Sequence[PreviewPair], *, columns: int) -> list[str]:
    """Each pair with its evidence: side by side where the terminal is wide enough."""
    lines: list[str] = []
    for pair in previews:
        lines += ["", f"--- {pair.kind} · {pair.split} · {pair.condition} · declared by {pair.declared_by}"]
        told = [*map(visible, pair.instruction.splitlines()), *(f"=> {visible(one)}" for one in
                pair.response.splitlines())]  # fmt: skip
        shown = [(f"stands in {path}, {place}:", _one_line(text)) for path, place, text in pair.evidence]
        lines += _beside(told, shown, columns=columns) if columns >= MIN_COLUMNS else _below(told, shown)
    return lines


def _below(told: Sequence[str], shown: Sequence[tuple[str, str]]) -> list[str]:
    return [*told, *(f"   {where} {text}" for where, text in shown)]


def _beside(told: Sequence[str], shown: Sequence[tuple[str, str]], *, columns: int) -> list[str]:
    width = (columns - 3) // 2
    left = [line for one in told for line in textwrap.wrap(one, width) or [""]]
    right = [line for pair in shown for one in pair for line in textwrap.wrap(one, width)]
    return [f"{one:<{width}} │ {other}".rstrip() for one, other in zip_longest(left, right, fillvalue="")]


def _one_line(text: str, *, most: int = 600) -> str:
    flat = visible(" ".join(text.split()))
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"
