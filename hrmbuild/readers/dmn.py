"""DMN 1.3 and later: the decision tables of a model, each a rule set; what is outside the subset is a skip with its
reason.

Owns the walk over `decision` elements, whose namespace may be of any DMN version from 1.2 on. Read: decision tables
with named inputs, FEEL unary tests (`decision_cells`), outputs that are literals or sums and products of inputs, hit
policies UNIQUE, FIRST, ANY and PRIORITY. Not read: literal expressions, contexts, invocations, functions, aggregation.
It must not evaluate FEEL. Source of the shape: the element names of the DMN 1.3 schema (OMG).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import lxml.etree as etree

from hrmbuild.errors import InputError
from hrmbuild.readers.decision_cells import CellError, ValueSort, parse_cell
from hrmbuild.readers.decision_domains import Condition
from hrmbuild.readers.decision_sheets import records_of
from hrmbuild.readers.decision_table import DecisionTable, Output, Refusal, hit_policy, range_notes
from hrmbuild.readers.result import ReadResult, SourceFile, skip
from hrmbuild.readers.xml_file import hardened_root
from hrmbuild.readers.xml_texts import element_path, local
from hrmbuild.records.locator import Locator

_NAME = re.compile(r"[^\W\d][\w]*(?:[ .][\w]+)*")
_SORTS: dict[str, tuple[ValueSort, bool]] = {
    "string": ("text", False), "boolean": ("boolean", False), "number": ("number", False), "date": ("date", False),
    "double": ("number", False), "integer": ("number", True), "long": ("number", True),
}  # fmt: skip
_OTHER_LOGIC = ("literalExpression", "context", "invocation", "relation", "list", "functionDefinition", "conditional",
                "for", "filter", "every", "some")  # fmt: skip


def read_dmn(file: SourceFile) -> ReadResult:
    """The rule sets of all decision tables of a model.

    Raises:
        InputError: `read.broken_xml`, `read.xml_entities`, `read.not_dmn`, `read.no_decision_table`.
    """
    root = hardened_root(file)
    if local(root) != "definitions":
        raise file.error("read.not_dmn", f"the root element is {local(root)!r}, not 'definitions'",
                         fix="export the model as DMN 1.3 or later")  # fmt: skip
    result = ReadResult([])
    for decision in (one for one in root.iter(etree.Element) if local(one) == "decision"):
        _read_decision(file, root, decision, result)
    if not result.records:
        reasons = "; ".join(one.detail for one in result.skips[:3]) or "there is no decision in it"
        raise file.error("read.no_decision_table", f"no decision of the model can be read: {reasons}",
                         fix="see which parts of DMN are read, or leave it out")  # fmt: skip
    return result


def _read_decision(file: SourceFile, root: etree._Element, decision: etree._Element, result: ReadResult) -> None:
    name, place = decision.get("name") or decision.get("id") or "decision", Locator(pointer=element_path(decision))
    try:
        table, rows = _table(root, decision, name)
        refuse = _refusal(file, rows)
        records = records_of(file, table, rows, place, refuse)
        result.records.extend(records)
        told = [f"hit policy {table.hit_policy}, {len(rows)} rules", *range_notes(table, records)]
        result.notes.extend(f"decision {name}: {one}" for one in told)
    except CellError as error:
        result.skips.append(skip("read.dmn_outside_subset", f"decision {name!r}: {error.what}", place))
    except InputError as error:
        detail = f"decision {name!r}: {error.what} ({error.fix})"
        result.skips.append(skip("read.dmn_outside_subset", detail, _where(error, place)))


def _where(error: InputError, place: Locator) -> Locator:
    pointer = (error.where or "").partition("#")[2]
    return Locator(pointer=pointer) if pointer else place


def _refusal(file: SourceFile, rows: Sequence[Locator]) -> Refusal:
    def refuse(row: int | None, column: str, what: str, expected: str) -> InputError:
        where = file.relative if row is None else f"{file.relative}#{rows[row].pointer}"
        told = f"column {column!r}: {what}" if column else what
        return InputError("read.bad_decision_table", told, where=where, fix=f"expected: {expected}")

    return refuse


def _table(root: etree._Element, decision: etree._Element, name: str) -> tuple[DecisionTable, list[Locator]]:
    grid = next(_children(decision, "decisionTable"), None)
    if grid is None:
        other = next((local(one) for one in decision if isinstance(one.tag, str) and local(one) in _OTHER_LOGIC), None)
        raise CellError(f"its logic is a boxed expression ({other})" if other else "it has no decision table")
    if grid.get("aggregation"):
        raise CellError(f"it aggregates ({grid.get('aggregation')}): several rows answer together")
    rules = list(_children(grid, "rule"))
    inputs, outputs = list(_children(grid, "input")), list(_children(grid, "output"))
    entries = [[_text(entry) for entry in _children(rule, "inputEntry")] for rule in rules]
    answers = [[_text(entry) for entry in _children(rule, "outputEntry")] for rule in rules]
    if any(len(row) != len(inputs) for row in entries) or any(len(row) != len(outputs) for row in answers):
        raise CellError("a rule has more or fewer entries than the table has columns")
    table = DecisionTable(
        name=name,
        title=name,
        hit_policy=hit_policy(grid.get("hitPolicy", "UNIQUE")),
        conditions=tuple(_condition(root, one) for one in inputs),
        inputs=tuple(zip(*entries, strict=True)) if entries else (),
        outputs=tuple(_output(one, name, [row[i] for row in answers]) for i, one in enumerate(outputs)),
        ids=(None,) * len(rules),
        reasons=tuple(_reason(rule) for rule in rules),
        citations=(None,) * len(rules),
        feel=True,
        question=_text(next(_children(decision, "question"), None)),
    )
    return table, [Locator(pointer=element_path(rule)) for rule in rules]


def _condition(root: etree._Element, column: etree._Element) -> Condition:
    expression = next(_children(column, "inputExpression"), None)
    text = _text(expression) or ""
    if not _NAME.fullmatch(text):
        raise CellError(f"its input {text[:80]!r} is computed: only named inputs are read")
    kind = "" if expression is None else expression.get("typeRef") or _declared_type(root, text)
    sort, whole = _SORTS.get(kind.rpartition(":")[2].lower(), (None, False))
    return Condition(column.get("label") or text, (), sort=sort, whole=whole, values=_values(column, "inputValues"))


def _declared_type(root: etree._Element, name: str) -> str:
    """The type of the input data of that name."""
    for data in root.iter(etree.Element):
        if local(data) == "inputData" and data.get("name") == name:
            return next((v.get("typeRef") or "" for v in _children(data, "variable")), "")
    return ""


def _values(column: etree._Element, tag: str) -> tuple[str, ...]:
    """Declared words; other declarations (ranges of numbers) are left to the cells."""
    declared = _text(next(_children(column, tag), None))
    values = list(parse_cell(declared, feel=True).values) if declared else []
    return tuple(value.text for value in values) if all(value.sort == "text" for value in values) else ()


def _output(column: etree._Element, decision: str, cells: Sequence[str | None]) -> Output:
    kind = (column.get("typeRef") or "").rpartition(":")[2].lower()
    is_text = kind in ("string", "boolean", "date") or any((cell or "").startswith('"') for cell in cells)
    label = column.get("label") or column.get("name") or decision
    plain = tuple(_literal(cell) if is_text else cell for cell in cells)
    return Output(label, plain, order=_values(column, "outputValues"), is_amount=not is_text)


def _literal(cell: str | None) -> str | None:
    """The words of an output; an expression in its place is outside the subset."""
    if cell is None:
        return None
    parsed = parse_cell(cell, feel=True)
    values = list(parsed.values)
    if len(values) != 1 or parsed.negated or parsed.alternatives[0][0].sign != "=":
        raise CellError(f"the output {cell[:80]!r} is not one value")
    return values[0].text


def _reason(rule: etree._Element) -> str | None:
    described = next(_children(rule, "description"), None)
    return _text(described) or _text(next(_children(rule, "annotationEntry"), None))


def _children(element: etree._Element, name: str) -> Iterator[etree._Element]:
    return (child for child in element if isinstance(child.tag, str) and local(child) == name)


def _text(element: etree._Element | None) -> str | None:
    """The words of an element or of its `text`; None where there are none."""
    if element is None:
        return None
    inner = next(_children(element, "text"), element)
    words = " ".join("".join(str(part) for part in inner.itertext()).split())
    return words or None
