"""A JSON file to pairs, tables or a document, as the kind of its source declares; places are JSON pointers.

Owns where in a value the rows stand: an array of objects, an object of objects, or such a member of an object. It must
not repair anything: what RFC 8259 does not allow is refused with its line, another encoding than UTF-8 as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from hrmbuild.readers.contexts_json import is_context_list, read_contexts
from hrmbuild.readers.database_tables import StoredTable, row_cap, stored_records, table_names
from hrmbuild.readers.flow import Flow, FlowText, Paragraph, flow_document, flow_text, words
from hrmbuild.readers.json_values import Ambiguous, BadValue, child_pointer, flattened, parse_json, scalar_text
from hrmbuild.readers.result import MAX_TEXT_BYTES, ReadResult, SourceFile, check_size, skip
from hrmbuild.readers.table_shape import cell_text
from hrmbuild.records.document import Document, Fields, Record, Table
from hrmbuild.records.locator import Locator
from hrmbuild.records.source import Skip

_MAX_SEARCH_DEPTH = 6
_MAX_COLUMNS = 500
_TITLE_KEYS = frozenset({"title", "name", "heading", "subject", "headline"})
_SEVERAL_WORDS = re.compile(r"\S\s+\S")
Rows = list[tuple[str, Any]]
"""Pointer and value of each row."""


def read_json(file: SourceFile) -> ReadResult:
    """Fields (`pairs`), Tables (`tables`) or one Document (`rules`, `memos`).

    Raises:
        InputError: `read.bad_encoding`, `read.bad_json`, `read.too_deep`, `read.too_large`, `read.no_rows`.
    """
    return read_value(file, parsed_file(file))


def read_value(file: SourceFile, value: Any) -> ReadResult:
    """What the kind of the file's source makes of its value."""
    if file.source.kind == "pairs":
        return _pairs(file, value)
    return _tables(file, value) if file.source.kind == "tables" else _document(file, value)


def parsed_file(file: SourceFile) -> Any:
    """The value of the file; RFC 8259 wants UTF-8, and lets a reader ignore a byte-order mark."""
    check_size(file, 4 * MAX_TEXT_BYTES)
    try:
        text = file.data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        line = file.data.count(b"\n", 0, error.start) + 1
        raise file.error("read.bad_encoding", f"byte {error.start} is no UTF-8, which JSON must be", line=line,
                         fix="save the file as UTF-8") from None  # fmt: skip
    try:
        return parse_json(text)
    except BadValue as error:
        raise file.error(error.code, error.detail, line=error.line, fix="mend the file, or leave it out") from None


def _rows_in(value: Any, pointer: str = "", depth: int = 0) -> Iterator[tuple[str, str, Rows]]:
    """Name, pointer and rows of each list of records: arrays of objects, objects of objects, grids."""
    if depth > _MAX_SEARCH_DEPTH or isinstance(value, Ambiguous):
        return
    name = pointer.rpartition("/")[2]
    if isinstance(value, list):
        if value and all(isinstance(one, dict) for one in value):
            yield name, pointer, [(child_pointer(pointer, str(i)), one) for i, one in enumerate(value)]
        elif len(value) > 1 and all(isinstance(one, list) for one in value):
            yield name, pointer, _grid(value, pointer)
    elif isinstance(value, dict):
        if len(value) > 1 and all(isinstance(one, dict) for one in value.values()):
            yield name, pointer, [(child_pointer(pointer, key), one) for key, one in value.items()]
            return
        for key, one in value.items():
            yield from _rows_in(one, child_pointer(pointer, key), depth + 1)


def _grid(value: Sequence[list[Any]], pointer: str) -> Rows:
    """Rows of an array of arrays: its first gives the names."""
    names = [scalar_text(one) if isinstance(one, str) and one.strip() else f"column_{i}"
             for i, one in enumerate(value[0], start=1)]  # fmt: skip
    if len(set(names)) != len(names):
        names = [f"column_{i}" for i in range(1, len(names) + 1)]
    rows = [(child_pointer(pointer, str(i)), row) for i, row in enumerate(value) if i]
    return [(place, dict(zip(names, row, strict=True))) for place, row in rows if len(row) == len(names)]


def _pairs(file: SourceFile, value: Any) -> ReadResult:
    if is_context_list(value):
        return read_contexts(file, value)
    found = list(_rows_in(value)) or ([("", "", [("", value)])] if isinstance(value, dict) else [])
    result = ReadResult([])
    for number, (pointer, row) in enumerate((row for _, _, rows in found for row in rows), start=1):
        place = Locator(pointer=f"/{pointer}" if pointer else "", row_from=number, row_to=number)
        try:
            fields = dict(flattened(row))
        except BadValue as error:
            result.skips.append(skip(error.code, error.detail, place))
            continue
        result.records.append(Fields(source_sha256=file.sha256, path=file.relative, fields=fields, locator=place))
    _shown(result, found)
    return _with_rows(file, result)


def _shown(result: ReadResult, found: Sequence[tuple[str, str, Rows]]) -> None:
    for _, pointer, rows in found:
        result.notes.append(f"rows at {'/' + pointer if pointer else 'the top'}: {len(rows):,}")


def _with_rows(file: SourceFile, result: ReadResult) -> ReadResult:
    if not result.records:
        reason = result.skips[0].detail if result.skips else "no array of objects is in it"
        raise file.error("read.no_rows", f"the file holds no rows: {reason}",
                         fix="declare its source as rules or memos, or leave it out")  # fmt: skip
    return result


def _tables(file: SourceFile, value: Any) -> ReadResult:
    if is_context_list(value):
        return read_contexts(file, value)
    result = ReadResult([])
    stem = PurePosixPath(file.relative).stem
    found = list(_rows_in(value))
    names = table_names(f"{pointer} {name or stem}" if names_clash(found) else name or stem
                        for name, pointer, _ in found)  # fmt: skip
    for (_, pointer, rows), name in zip(found, names, strict=True):
        result.records.extend(_table(file, rows, pointer, (name, names), result.skips))
    _shown(result, found)
    return _with_rows(file, result)


def names_clash(found: Sequence[tuple[str, str, Rows]]) -> bool:
    """Two lists of records have the same name at different places."""
    return len({name for name, _, _ in found}) < len(found)


def _table(
    file: SourceFile, rows: Rows, pointer: str, name: tuple[str, Mapping[str, str]], skips: list[Skip]
) -> Iterator[Record]:
    texts: list[dict[str, str]] = []
    for place, row in rows:
        try:
            fields = dict(flattened(row))
        except BadValue as error:
            skips.append(skip(error.code, error.detail, Locator(pointer=f"/{place}")))
            continue
        texts.append(fields)
    for table in fields_table(file, texts, name, skips):
        place = table.locator.model_copy(update={"pointer": f"/{pointer}" if pointer else ""})
        yield table.model_copy(update={"locator": place})


def fields_table(
    file: SourceFile, texts: Sequence[Mapping[str, str]], name: tuple[str, Mapping[str, str]], skips: list[Skip]
) -> Iterator[Table]:
    """Rows of named texts as one Table, columns in the order in which they first come; none where they are too many."""
    columns = list(dict.fromkeys(column for row in texts for column in row))
    if len(columns) > _MAX_COLUMNS:
        detail = f"its rows name {len(columns):,} different values; at most {_MAX_COLUMNS} are a table's columns"
        skips.append(skip("read.no_rectangle", detail, Locator()))
        return
    cap = row_cap(len(columns))
    cells = [[cell_text(row[column]) if column in row else None for column in columns] for row in texts[:cap]]
    stored = StoredTable(name[0], tuple(columns), cells, len(texts))
    for record in stored_records(file, stored, name[1], skips):
        if isinstance(record, Table):
            yield record.model_copy(update={"locator": record.locator.model_copy(update={"sheet": None})})


def _document(file: SourceFile, value: Any) -> ReadResult:
    """One Document: texts of several words as paragraphs, titles as headings; each block with its pointer."""
    flow, pointers = _flow(value)
    if not flow.paragraphs:
        raise file.error("read.no_text", "no value in it is a text of several words",
                         fix="declare its source as tables or pairs, or leave it out")  # fmt: skip
    result = flow_document(file, flow)
    return ReadResult([with_pointers(one, pointers) for one in result.records], result.skips, result.notes)


def with_pointers(record: Record, pointers: Sequence[str]) -> Record:
    """The blocks of a flow's document with the path of the value that each paragraph came from."""
    if not isinstance(record, Document):
        return record
    blocks = []
    for block in record.blocks:
        path = pointers[(block.locator.paragraph or 1) - 1]
        blocks.append(block.model_copy(update={"locator": block.locator.model_copy(update={"pointer": path})}))
    return record.model_copy(update={"blocks": tuple(blocks)})


def json_texts(file: SourceFile) -> dict[str | None, FlowText]:
    """The text that locators of a JSON document count in."""
    return value_texts(parsed_file(file))


def value_texts(value: Any) -> dict[str | None, FlowText]:
    """The text that locators of a value's document count in."""
    return {None: flow_text(_flow(value)[0])}


def _flow(value: Any) -> tuple[Flow, list[str]]:
    flow, pointers = Flow(), list[str]()
    n_other = 0
    stack: list[tuple[str, str, Any, int]] = [("", "", value, 0)]
    while stack:
        pointer, key, value, depth = stack.pop()
        if isinstance(value, Ambiguous):
            detail = f"the key {value.twice!r} stands twice in one object, whose values are not read"
            flow.skips.append(skip("read.duplicate_key", detail, Locator(pointer=f"/{pointer}" if pointer else "")))
        elif isinstance(value, dict):
            ordered = sorted(value.items(), key=lambda item: item[0].lower() not in _TITLE_KEYS)
            stack += [(child_pointer(pointer, name), name, one, depth + 1) for name, one in reversed(ordered)]
        elif isinstance(value, list):
            stack += [(child_pointer(pointer, str(i)), key, one, depth) for i, one in reversed(list(enumerate(value)))]
        elif (paragraph := _paragraph(key, value, depth)) is not None:
            flow.add(paragraph)
            pointers.append(f"/{pointer}")
        else:
            n_other += value is not None
    if n_other:
        detail = f"numbers, codes and single words that are no sentence: {n_other:,}"
        flow.skips.append(skip("read.not_prose", detail, Locator()))
    return flow, pointers


def _paragraph(key: str, value: Any, depth: int) -> Paragraph | None:
    is_title = key.lower() in _TITLE_KEYS
    if type(value) is not str or any("\ud800" <= char <= "\udfff" for char in value):
        return None
    text = words(value)
    if not text or not (is_title or _SEVERAL_WORDS.search(text)):
        return None
    return Paragraph(text, "heading", min(depth, 9)) if is_title and len(text) < 200 else Paragraph(text)
