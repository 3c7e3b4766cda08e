"""Real files that nobody here wrote: every span resolves, and nothing but a refusal ever comes back."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest
from reader_spans import check_spans

from hrmbuild import readers
from hrmbuild.config.project import CasesConfig, SourceConfig
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import sha256_hex

KINDS = ("rules", "memos", "tables", "pairs", "nasty")
MAX_SECONDS = 20.0


def read_one(path: Path, kind: str, cases: CasesConfig | None = None) -> tuple[str | None, readers.ReadResult]:
    """Infer and read, as ingest does."""
    data = path.read_bytes()
    source = SourceConfig(path=path.name, kind="rules" if kind == "nasty" else kind, cases=cases)
    format = readers.choose_format(path, data[: readers.HEAD_BYTES], source)
    return format, readers.read(path, relative=path.name, sha256=sha256_hex(data), source=source, format=format)


def files_of(folder: Path) -> list[Path]:
    """All files below, in order, without the notes on their origin."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SOURCE.txt")


@pytest.mark.parametrize(
    ("folder", "n_files"),
    [("rules/github-site-policy", 37), ("memos/ruby-mail-eml", 44), ("rules/sara-tax-statutes/common", 9),
     ("memos/fomc-minutes", 11)],
)  # fmt: skip
def test_every_span_of_real_documents_stands_in_its_file(shared_data, folder, n_files):
    n_read = n_spans = 0
    for path in files_of(shared_data / folder):
        try:
            format, result = read_one(path, folder.split("/")[0])
        except InputError:
            continue
        n_read += 1
        n_spans += check_spans(path, format, result)
    assert n_read == n_files and n_spans > n_files


def test_no_prolog_of_a_case_reaches_a_field(shared_data):
    cases = CasesConfig(blocks=("Text", "Question"))
    paths = files_of(shared_data / "rules/sara-tax-statutes/files")
    for path in paths:
        _, result = read_one(path, "rules", cases)
        words = " ".join(result.records[0].fields.values())
        assert ":-" not in words and "_(" not in words and "% Facts" not in words
        assert len(result.skips) == 1 and ":-" in readers.resolve(path, result.skips[0].locator, format="cases")
    assert len(paths) == 221


def test_csv_corner_cases_have_the_documented_answer(shared_data):
    folder = shared_data / "nasty/csv-spectrum/files"
    for path in files_of(folder / "csvs"):
        _, result = read_one(path, "tables")
        names = [column.name for column in result.records[0].columns]
        cells = zip(*(column.cells for column in result.records[0].columns), strict=True)
        rows = [dict(zip(names, (cell or "" for cell in row), strict=True)) for row in cells]
        answer = json.loads(
            (folder / "json" / f"{path.stem}.json").read_text(encoding="utf-8").replace("\\r\\n", "\\n")
        )
        wanted = answer if isinstance(answer, list) else [answer]
        for row in (*rows, *wanted):
            row.pop("Contact Phone Number", None)  # the two files disagree on it upstream
        assert rows == wanted, path.name


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_real_file_is_read_or_refused_and_none_hangs(shared_data, kind, capsys):
    table: Counter[tuple[str, str]] = Counter()
    for path in files_of(shared_data / kind):
        folder = "/".join(path.relative_to(shared_data).parts[:2])
        started_at_s = time.monotonic()
        try:
            format, result = read_one(path, kind)
            check_spans(path, format, result)
            table[folder, f"read as {format}"] += 1
            table.update((folder, f"skip {skip.code}") for skip in result.skips)
        except InputError as error:
            table[folder, f"refused: {error.code}"] += 1
        assert time.monotonic() - started_at_s < MAX_SECONDS, path
    with capsys.disabled():
        print(*(f"{folder:32} {what:36} {count:5}" for (folder, what), count in sorted(table.items())), sep="\n")
    assert table
