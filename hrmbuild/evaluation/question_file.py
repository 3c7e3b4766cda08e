"""An independent validator's file of questions, read whole or refused whole: every bad line is told.

Owns reading JSON lines and CSV into questions. A file with one bad line is not scored at all, since a score over the
other lines would be of other questions than the validator asked. It must not answer or score.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hrmbuild.errors import InputError, raise_all
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.records.question import ValidatorQuestion

MOST_ERRORS = 50
"""Bad lines told at once; their number is told in any case."""
_FIX = "schemas/question.json lists the fields; docs/engineer.md has an example"
_PASSAGE = "passage"


@dataclass(frozen=True)
class QuestionFile:
    """All questions of a file, in its order."""

    sha256: str
    questions: tuple[ValidatorQuestion, ...]
    lines: tuple[int, ...]
    """Where each question stands."""


def read_questions(path: Path) -> QuestionFile:
    """Read a `.jsonl` or `.csv` file.

    Raises:
        InputError: `eval.questions_unreadable`, `eval.questions_empty`, or `eval.bad_question` with every bad line.
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise InputError("eval.questions_unreadable", f"the questions cannot be read: {told}", where=str(path),
                         fix="give a .jsonl or .csv file in UTF-8") from error  # fmt: skip
    rows = _csv_rows(text) if path.suffix.lower() in (".csv", ".tsv") else _json_rows(text)
    found, errors = _checked(path, rows)
    raise_all(errors)
    if not found:
        raise InputError("eval.questions_empty", "there is no question in this file", where=str(path), fix=_FIX)
    return QuestionFile(sha256_hex(data), tuple(found.values()), tuple(found))


def _checked(
    path: Path, rows: Iterator[tuple[int, dict[str, Any] | str]]
) -> tuple[dict[int, ValidatorQuestion], list[InputError]]:
    found: dict[int, ValidatorQuestion] = {}
    errors: list[InputError] = []
    first_line: dict[str, int] = {}
    for line, row in rows:
        try:
            problem, question = (row, None) if isinstance(row, str) else (None, ValidatorQuestion.model_validate(row))
        except ValidationError as error:
            problem, question = _told(error), None
        if question is not None and question.id in first_line:
            problem = f"the id {question.id!r} stands already in line {first_line[question.id]}"
        if problem is not None or question is None:
            errors.append(_bad_line(path, line, problem or ""))
            continue
        first_line[question.id] = line
        found[line] = question
    return found, _capped(path, errors)


def _capped(path: Path, errors: list[InputError]) -> list[InputError]:
    if len(errors) <= MOST_ERRORS:
        return errors
    rest = InputError("eval.bad_question", f"and {len(errors) - MOST_ERRORS} more bad lines", where=str(path))
    return [*errors[:MOST_ERRORS], rest]


def _bad_line(path: Path, line: int, what: str) -> InputError:
    return InputError("eval.bad_question", what, where=f"{path}:{line}", fix=_FIX)


def _told(error: ValidationError) -> str:
    """All problems of one line; never its texts, which may be above the reader's label."""
    parts: list[str] = []
    for detail in error.errors():
        place = ".".join(str(part) for part in detail["loc"])
        said = str(detail["msg"]).removeprefix("Value error, ")
        parts.append(f"{place}: {said}" if place else said)
    return "; ".join(parts)


def _json_rows(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield number, "the line is no JSON"
            continue
        yield number, _plain(row) if isinstance(row, dict) else "the line holds no JSON object"


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Shorthands: a bare text is a passage; a number may stand without quotes, unless floats would have changed it."""
    passages = row.get("passages")
    if isinstance(passages, list):
        row = row | {"passages": [{"text": one} if isinstance(one, str) else one for one in passages]}
    return {key: str(value) if type(value) is int and key in ("id", "group", "expected", "tolerance") else value
            for key, value in row.items()}  # fmt: skip


def _csv_rows(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    header_line = text.partition("\n")[0]
    delimiter = max(",;\t", key=header_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        header = [name.strip() for name in next(reader, [])]
        if len(set(header)) != len(header):
            yield 1, "a column name stands twice"
            return
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, _fields(header, cells)
            line = reader.line_num + 1
    except csv.Error as error:
        yield line, f"this is no CSV: {error}"


def _fields(header: list[str], cells: list[str]) -> dict[str, Any] | str:
    if len(cells) != len(header):
        return f"{len(cells)} cells under {len(header)} columns"
    given = {name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()}
    shown = [given.pop(name) for name in sorted(given) if name == _PASSAGE or name.startswith(_PASSAGE + "_")]
    fields: dict[str, Any] = dict(given)
    if shown:
        fields["passages"] = [{"text": text} for text in shown]
    if "choices" in fields:
        fields["choices"] = [choice.strip() for choice in given["choices"].split("|")]
    return fields
