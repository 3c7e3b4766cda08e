"""A YAML file that holds no rules to pairs, tables or a document, as a JSON file is; places are JSON pointers.

Owns the step to a value: scalars are the text that was written. Which values are rows or prose is `json_file`'s work.
"""

from __future__ import annotations

from typing import Any

from hrmbuild.errors import InputError
from hrmbuild.readers.decoding import decode
from hrmbuild.readers.flow import FlowText
from hrmbuild.readers.json_file import read_value, value_texts
from hrmbuild.readers.result import ReadResult, SourceFile, check_size
from hrmbuild.readers.yaml_text import YamlTextError, parse_yaml_text

_MAX_BYTES = 8 << 20
"""The parser takes about ten seconds for a megabyte."""


def read_yaml(file: SourceFile) -> ReadResult:
    """Fields (`pairs`), Tables (`tables`) or one Document (`rules`, `memos`).

    Raises:
        InputError: as `read_json`; `read.not_yaml`, `read.yaml_alias`, `read.yaml_too_deep`, `read.duplicate_key`.
    """
    result = read_value(file, _value(file))
    note = "it has neither 'ruleset' nor 'decision_table' at its top, so it is read as data"
    return ReadResult(result.records, result.skips, [note, *result.notes])


def yaml_texts(file: SourceFile) -> dict[str | None, FlowText]:
    """The text that locators of a YAML document count in."""
    return value_texts(_value(file))


def _value(file: SourceFile) -> Any:
    check_size(file, _MAX_BYTES)
    try:
        return parse_yaml_text(decode(file.data, where=file.relative).text).value
    except YamlTextError as error:
        where = f"{file.relative}:{error.line}:{error.column}"
        raise InputError(error.code, error.what, where=where, fix="mend the line named above") from None
