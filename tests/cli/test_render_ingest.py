"""The closing table of an ingest: by file, by entry where there are many, and pairs beside their evidence."""

from __future__ import annotations

from hrmbuild.cli.render_ingest import MOST_FILES, ingest_lines, preview_lines
from hrmbuild.pipelines.ingest_report import IngestReport, PreviewPair
from hrmbuild.records.source import Source
from hrmbuild.store.balance import Balance, FileBalance
from hrmbuild.store.reading import StoredSource


def report_of(n_files: int) -> IngestReport:
    files = [FileBalance(f"a/b/{n}.md", "read", 1, 1, 0, 2, 1, 0, 1) for n in range(n_files)]
    sources = [
        StoredSource(
            Source(path=one.path, sha256="0" * 64, n_bytes=1, kind="rules", format="markdown", declared_by="h.yaml:4"),
            one.path, "read", None, 1, 0, 0, 2, 1, 1, {"gate.markup": 1}, {},
        )
        for one in files
    ]  # fmt: skip
    balance = Balance(tuple(files), n_files, 0, {"gate.markup": n_files})
    return IngestReport(balance, tuple(sources), (), (), (), (), tuple((one.path, "x") for one in files), 0)


def test_many_files_are_told_by_entry_and_few_by_file():
    few, many = "\n".join(ingest_lines(report_of(3))), "\n".join(ingest_lines(report_of(MOST_FILES + 1)))
    assert "a/b/2.md" in few and "inferred     a/b/2.md: x" in few
    assert "a/b/7.md" not in many and "h.yaml:4" in many and f"{MOST_FILES + 1} read" in many
    assert f"inferred     x: a/b/0.md and {MOST_FILES} more" in many
    assert f"gate.markup {MOST_FILES + 1}" in many and f"{MOST_FILES + 1} files" in many


def test_evidence_stands_beside_the_pair_where_there_is_room_and_steers_no_terminal():
    pair = PreviewPair("h.yaml:4", "0", "train", "prose.who", "direct", "Who pays?\n" + "words " * 40, "the desk",
                       (("a.md", "line 3", "The desk \x1b[31mpays."),))  # fmt: skip
    wide, narrow = preview_lines([pair], columns=120), preview_lines([pair], columns=60)
    assert wide[2].startswith("Who pays?") and wide[2].endswith("│ stands in a.md, line 3:")
    assert all(len(line) <= 120 for line in wide)
    assert narrow[-1] == "   stands in a.md, line 3: The desk \\x1b[31mpays."
    assert not any("\x1b" in line for line in (*wide, *narrow))
