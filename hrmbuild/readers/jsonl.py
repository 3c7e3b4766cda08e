"""JSON lines to rows of fields: each line is read by itself, a bad one is a skip with its line and the rest goes on.

Nested values are named by JSON pointer without its first slash (`instances/0/input`); numbers keep the spelling of the
file, true and false are those words, null is absent (see `json_values`). It must not choose which fields mean what.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from hrmbuild.readers.database_tables import table_names
from hrmbuild.readers.decoding import decode
from hrmbuild.readers.json_file import fields_table
from hrmbuild.readers.json_values import BadValue, flattened, parse_json
from hrmbuild.readers.result import ReadResult, SourceFile, skip
from hrmbuild.readers.spans import Line, SourceText
from hrmbuild.records.document import Fields
from hrmbuild.records.locator import Locator
from hrmbuild.records.source import Skip


def read_jsonl(file: SourceFile) -> ReadResult:
    """One Fields for each line that holds a JSON object; one Table of them where the source's kind is `tables`.

    Raises:
        InputError: `read.no_json_lines`: no line is a JSON object.
    """
    decoded = decode(file.data, where=file.relative)
    records: list[Fields] = []
    skips: list[Skip] = []
    for line in SourceText(decoded.text).lines:
        if line.is_blank:
            continue
        place = Locator(line_from=line.number, line_to=line.number, row_from=len(records) + 1, row_to=len(records) + 1)
        try:
            fields = parse_line(line)
            records.append(Fields(source_sha256=file.sha256, path=file.relative, fields=fields, locator=place))
        except BadValue as error:
            skips.append(skip(error.code, error.detail, Locator(line_from=line.number, line_to=line.number)))
    if not records:
        reason = skips[0].detail if skips else "the file is empty"
        raise file.error("read.no_json_lines", f"no line of this file is a JSON object: {reason}",
                         fix="write one JSON object a line")  # fmt: skip
    if file.source.kind == "tables":
        stem = PurePosixPath(file.relative).stem
        tables = fields_table(file, [one.fields for one in records], (stem, table_names([stem])), skips)
        return ReadResult(list(tables), skips, decoded.notes)
    return ReadResult(list(records), skips, decoded.notes)


def parse_line(line: Line) -> dict[str, str]:
    """The fields of one line.

    Raises:
        BadValue: with the skip's code and sentence.
    """
    value = parse_json(line.text)
    if not isinstance(value, dict):
        raise BadValue("read.not_an_object", "the line holds a JSON value that is no object")
    return dict(flattened(value))
