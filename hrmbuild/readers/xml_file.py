"""An XML file to what its source's kind declares: statutes and regulations (USLM, RegML) and other texts to a
Document, repeated elements to a Table or to rows of fields.

Owns the hardened parse: no entity is expanded, no DTD loaded, nothing fetched, and a file that declares entities is
refused. It must not run XSLT or follow schema locations. The walks stand in `xml_texts`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

import lxml.etree as etree

from hrmbuild.readers.database_tables import StoredTable, row_cap, stored_records, table_names
from hrmbuild.readers.flow import FlowText, flow_document, flow_text
from hrmbuild.readers.json_file import with_pointers
from hrmbuild.readers.result import MAX_TEXT_BYTES, ReadResult, SourceFile, check_size, skip
from hrmbuild.readers.spans import nfc
from hrmbuild.readers.table_shape import cell_text
from hrmbuild.readers.xml_texts import XmlFlow, element_path, local, xml_flow
from hrmbuild.records.document import Document, Fields, Record, Table
from hrmbuild.records.locator import Locator

_MAX_COLUMNS = 500
_NAMING = ("property", "name", "key", "field", "id")
"""Attributes that tell the children of a record apart where their element does not."""


def read_xml(file: SourceFile) -> ReadResult:
    """One Document (`rules`, `memos`), one Table (`tables`), or one Fields a repeated element (`pairs`).

    Raises:
        InputError: `read.broken_xml`, `read.xml_entities`, `read.too_large`, `read.no_text`, `read.no_rows`.
    """
    root = hardened_root(file)
    if file.source.kind in ("tables", "pairs"):
        return _rows(file, root)
    walked = xml_flow(root)
    if not walked.flow.paragraphs:
        raise file.error("read.no_text", "no element of it holds words", fix="leave it out")
    result = flow_document(file, walked.flow)
    records = [_titled(with_pointers(one, walked.paths), walked.flow.title) for one in result.records]
    return ReadResult(records, result.skips, result.notes)


def _titled(record: Record, title: str | None) -> Record:
    """A regulation under its own name: its first heading is only its first section's."""
    return record.model_copy(update={"title": title}) if title and isinstance(record, Document) else record


def xml_file_texts(file: SourceFile) -> dict[str | None, FlowText]:
    """The text that locators of an XML document count in."""
    walked: XmlFlow = xml_flow(hardened_root(file))
    return {None: flow_text(walked.flow)}


def hardened_root(file: SourceFile) -> etree._Element:
    """The root element.

    Raises:
        InputError: `read.broken_xml`, `read.xml_entities`, `read.too_large`.
    """
    check_size(file, 2 * MAX_TEXT_BYTES)
    if b"<!ENTITY" in file.data.replace(b"\0", b""):
        raise _entities(file)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False,
                             attribute_defaults=False, huge_tree=False, remove_comments=True,
                             remove_pis=True)  # fmt: skip
    try:
        root = etree.fromstring(file.data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise file.error("read.broken_xml", f"the file is no XML that can be read: {error}",
                         fix="mend it, or leave it out") from None  # fmt: skip
    if next(root.iter(etree.Entity), None) is not None:
        raise _entities(file)
    return root


def _entities(file: SourceFile) -> Exception:
    return file.error("read.xml_entities", "the file uses entities that a document type declares",
                      why="entities can expand without end or fetch other files, so none is expanded",
                      fix="save it with its entities written out")  # fmt: skip


def _rows(file: SourceFile, root: etree._Element) -> ReadResult:
    records = _records_in(root)
    result = ReadResult([], notes=[f"rows: {len(records):,} elements {local(records[0])}"] if records else [])
    rows: list[tuple[str, dict[str, str]]] = []
    for element in records:
        path = element_path(element)
        fields = dict(_fields_of(element))
        if fields and len(fields) <= _MAX_COLUMNS:
            rows.append((path, fields))
        else:
            detail = f"the element holds {len(fields):,} values: a row has 1 to {_MAX_COLUMNS}"
            result.skips.append(skip("read.no_rectangle", detail, Locator(pointer=path)))
    if file.source.kind == "pairs":
        result.records.extend(
            Fields(source_sha256=file.sha256, path=file.relative, fields=fields,
                   locator=Locator(pointer=path, row_from=number, row_to=number))
            for number, (path, fields) in enumerate(rows, start=1)
        )  # fmt: skip
    else:
        _table(file, rows, records, result)
    if not result.records:
        raise file.error("read.no_rows", "no element repeats as a row of values would",
                         fix="declare its source as rules or memos, or leave it out")  # fmt: skip
    return result


def _table(
    file: SourceFile, rows: list[tuple[str, dict[str, str]]], records: list[etree._Element], result: ReadResult
) -> None:
    columns = list(dict.fromkeys(name for _, fields in rows for name in fields))
    if not rows or len(columns) > _MAX_COLUMNS:
        return
    name = local(records[0]) if local(records[0]).lower() not in ("row", "record", "item") else None
    shown = name or PurePosixPath(file.relative).stem
    cells = [[cell_text(fields[column]) if column in fields else None for column in columns] for _, fields in rows]
    stored = StoredTable(shown, tuple(columns), cells[: row_cap(len(columns))], len(cells))
    parent = records[0].getparent()
    path = element_path(parent) if parent is not None else "/"
    for record in stored_records(file, stored, table_names([shown]), result.skips):
        if isinstance(record, Table):
            place = record.locator.model_copy(update={"sheet": None, "pointer": path})
            result.records.append(record.model_copy(update={"locator": place}))


def _records_in(root: etree._Element) -> list[etree._Element]:
    """The largest group of equal children, by what they hold; the outermost of equals."""
    best: list[etree._Element] = []
    weight = 0
    for parent in root.iter(etree.Element):
        children = [child for child in parent if isinstance(child.tag, str)]
        counts = Counter(child.tag for child in children)
        for tag, count in counts.items():
            group = (
                [child for child in children if child.tag == tag and (len(child) or child.attrib)] if count > 1 else []
            )
            held = sum(max(len(child), len(child.attrib)) for child in group)
            if len(group) > 1 and held > weight:
                best, weight = group, held
    return best


def _fields_of(element: etree._Element) -> Iterator[tuple[str, str]]:
    """Attributes, and the text of each leaf below by its names; equal names are numbered."""
    seen: Counter[str] = Counter()
    for name, value in element.attrib.items():
        yield _numbered(etree.QName(name).localname, seen), nfc(value.strip())
    for leaf in element.iterdescendants(etree.Element):
        text = (leaf.text or "").strip()
        if len(leaf) or not text:
            continue
        steps = [_step(one) for one in reversed([leaf, *_up_to(leaf, element)])]
        yield _numbered("/".join(steps), seen), nfc(text)


def _up_to(leaf: etree._Element, element: etree._Element) -> Iterator[etree._Element]:
    for parent in leaf.iterancestors():
        if parent is element:
            return
        yield parent


def _step(element: etree._Element) -> str:
    named = next((element.attrib[name] for name in _NAMING if name in element.attrib), None)
    return str(named) if named and len(element) == 0 else local(element)


def _numbered(name: str, seen: Counter[str]) -> str:
    seen[name] += 1
    return name if seen[name] == 1 else f"{name}/{seen[name]}"
