"""The table of formats, and the two ways in: `read` a file into records, `resolve` a locator back to its words.

Owns opening the file and checking that its bytes are the ones that were hashed. A new format is one file beside this
one and its line here. Arguments and results are plain values, so `read` may run in a worker process that is allowed
to die.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hrmbuild.config.limits import DEFAULT_LIMITS, LimitsConfig
from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.readers.cases import read_cases
from hrmbuild.readers.csv_table import read_csv
from hrmbuild.readers.dmn import read_dmn
from hrmbuild.readers.docx import read_docx
from hrmbuild.readers.duckdb_file import read_duckdb
from hrmbuild.readers.eml import read_eml
from hrmbuild.readers.html import read_html
from hrmbuild.readers.inference import infer_format, not_read
from hrmbuild.readers.json_file import read_json
from hrmbuild.readers.jsonl import read_jsonl
from hrmbuild.readers.markdown import read_markdown
from hrmbuild.readers.mbox import read_mbox
from hrmbuild.readers.odt import read_odt
from hrmbuild.readers.parquet_file import read_parquet
from hrmbuild.readers.pdf import read_pdf
from hrmbuild.readers.result import MAX_FILE_BYTES, DatabaseOpener, Reader, ReadResult, SourceFile
from hrmbuild.readers.rtf import read_rtf
from hrmbuild.readers.ruleset import read_ruleset
from hrmbuild.readers.sqlite_file import read_sqlite
from hrmbuild.readers.table_copy import read_table_copy
from hrmbuild.readers.text import read_text
from hrmbuild.readers.xlsx import read_ods, read_xls, read_xlsb, read_xlsx
from hrmbuild.readers.xml_file import read_xml
from hrmbuild.readers.yaml_file import read_yaml

READERS: Mapping[str, Reader] = {
    "cases": read_cases,
    "csv": read_csv,
    "dmn": read_dmn,
    "docx": read_docx,
    "eml": read_eml,
    "html": read_html,
    "mbox": read_mbox,
    "odt": read_odt,
    "pdf": read_pdf,
    "rtf": read_rtf,
    "json": read_json,
    "jsonl": read_jsonl,
    "markdown": read_markdown,
    "parquet": read_parquet,
    "ruleset": read_ruleset,
    "duckdb": read_duckdb,
    "sqlite": read_sqlite,
    "table_copy": read_table_copy,
    "text": read_text,
    "ods": read_ods,
    "xls": read_xls,
    "xlsb": read_xlsb,
    "xlsx": read_xlsx,
    "xml": read_xml,
    "yaml": read_yaml,
}
"""Name of a format -> its reader; `format:` of a source takes these names."""

RULE_FORMATS = frozenset({"ruleset", "csv", "xlsx", "xls", "xlsb", "ods", "dmn"})
"""Formats of `kind: rules` that hold rules as data: executable rule sets and decision tables."""

ISOLATED = frozenset(
    {"dmn", "docx", "duckdb", "eml", "html", "mbox", "ods", "odt", "parquet", "pdf", "rtf", "sqlite", "xls", "xlsb",
     "xlsx", "xml", "yaml"}
)  # fmt: skip
"""Formats whose files can crash, hang or swell their parser: `worker.read_guarded` reads them in another process."""
ISOLATED_BYTES = 1 << 20
"""From this size on it reads the files of every format there: what is smaller cannot take much of a plain parser."""

NEEDS_OPENER = frozenset({"duckdb"})
"""Formats whose reader asks a database that somebody else opens."""


def choose_format(path: Path, head: bytes, source: SourceConfig) -> str | None:
    """The format that the source declares (`format:`, `cases:`), else the inferred one."""
    if source.format is not None:
        return source.format
    return "cases" if source.cases is not None else infer_format(path, head)


def read(
    path: Path, *, relative: str, sha256: str, source: SourceConfig, format: str | None,
    open_database: DatabaseOpener | None = None, limits: LimitsConfig = DEFAULT_LIMITS,
) -> ReadResult:  # fmt: skip
    """Everything in one file.

    Args:
        path: where the file is now.
        relative: its POSIX path in records and messages.
        sha256: hash of its bytes, taken by the caller before anything parsed them.
        source: the entry of the settings that declared it.
        format: name of a reader; None, or a name that is none, is refused.
        open_database: for the formats of `NEEDS_OPENER`.
        limits: pages and unpacked sizes above them are refused; time and memory are the worker's.

    Raises:
        InputError: `read.*`: the file cannot be read, and why.
    """
    reader = READERS.get(format) if format is not None else None
    if reader is None:
        raise unknown_format(relative, format)
    data = load_bytes(path, relative)
    file = SourceFile(path=path, relative=relative, sha256=sha256, data=data, source=source,
                      open_database=open_database, limits=limits)  # fmt: skip
    if sha256_hex(file.data) != sha256:
        raise file.error(
            "read.changed",
            "the file changed while it was being read",
            fix="run the command again when nothing writes it",
        )
    try:
        return reader(file)
    except InputError as error:
        if file.data:
            raise
        raise file.error(error.code, "the file is empty: it has 0 bytes", fix="fill it, or leave it out") from None


def unknown_format(relative: str, format: str | None) -> InputError:
    """The refusal of a file that no reader takes."""
    named = f"there is no reader called {format!r}" if format else not_read(relative)
    return InputError(
        "read.unknown_format",
        named,
        where=relative,
        why=f"formats that are read: {', '.join(sorted(READERS))}",
        fix="convert it, name a reader with 'format:' in its source, or leave it out",
    )


def load_bytes(path: Path, relative: str) -> bytes:
    """The bytes of a file of bearable size.

    Raises:
        InputError: `read.too_large`, `read.missing`, `read.unreadable`.
    """
    try:
        n_bytes = path.stat().st_size
        if n_bytes > MAX_FILE_BYTES:
            raise InputError("read.too_large", f"the file has {n_bytes:,} bytes; at most {MAX_FILE_BYTES:,} are read",
                             where=relative, fix="split it")  # fmt: skip
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError("read.missing", "the file is gone", where=relative, fix="restore it, or run again") from None
    except OSError as error:
        raise InputError("read.unreadable", f"the file cannot be opened: {error.strerror or error}", where=relative,
                         fix="check its permissions") from error  # fmt: skip
