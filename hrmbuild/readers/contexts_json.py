"""Questions over a table and its paragraphs, as TAT-QA keeps them: a list of contexts, each with a grid, texts and
questions with answer, scale and derivation.

Owns that shape. Answers that are computed are computed again from their derivation, in exact decimals; one that
differs is no truth to train on and becomes a skip. It must not choose among answers.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from decimal import Decimal, DivisionByZero, InvalidOperation
from typing import Any

from hrmbuild.readers.database_tables import StoredTable, stored_records
from hrmbuild.readers.json_values import BadValue, flattened
from hrmbuild.readers.result import ReadResult, SourceFile, skip
from hrmbuild.readers.spans import nfc
from hrmbuild.readers.table_shape import cell_text
from hrmbuild.records.document import Fields, Table
from hrmbuild.records.locator import Locator

_AMOUNT = re.compile(r"[$€£]?\s*\(?-?[$€£]?\s*\d[\d.,]*\s*%?\)?$")
_YEAR = re.compile(r"(?:19|20)\d\d\*?$")


def is_context_list(value: Any) -> bool:
    """Every member has a grid under `table/table`, and `paragraphs` and `questions`."""
    return isinstance(value, list) and bool(value) and all(
        isinstance(one, dict) and {"table", "paragraphs", "questions"} <= one.keys() and isinstance(one["table"], dict)
        and isinstance(one["table"].get("table"), list) for one in value
    )  # fmt: skip


def read_contexts(file: SourceFile, contexts: list[Any]) -> ReadResult:
    """One Table a context, or one Fields a question where the source's kind is `pairs`."""
    result = ReadResult([])
    for number, context in enumerate(contexts):
        try:
            dict(flattened(context))
        except BadValue as error:
            result.skips.append(skip(error.code, error.detail, Locator(pointer=f"/{number}")))
            continue
        if file.source.kind == "pairs":
            _questions(file, context, number, result)
        else:
            _table(file, context["table"]["table"], number, result)
    if not result.records:
        raise file.error("read.no_rows", "no context of it could be read", fix="leave it out")
    return result


def _grid(rows: list[Any]) -> list[list[str]]:
    return [[nfc(str(cell)).strip() for cell in row] for row in rows if isinstance(row, list)]


def _table(file: SourceFile, rows: list[Any], number: int, result: ReadResult) -> None:
    place = Locator(pointer=f"/{number}/table/table")
    grid = _grid(rows)
    n_head = _header_rows(grid)
    names = [" ".join(filter(None, (row[i] if i < len(row) else "" for row in grid[:n_head])))
             for i in range(len(grid[0]) if grid else 0)]  # fmt: skip
    named = [name or ("item" if i == 0 else f"column_{i + 1}") for i, name in enumerate(names)]
    body = [[cell_text(cell) for cell in row] for row in grid[n_head:] if len(row) == len(named)]
    if len(set(named)) != len(named) or not body or not n_head:
        result.skips.append(skip("read.no_header", "no rows of names above the numbers tell its columns apart", place))
        return
    name = f"table_{number + 1}"
    stored = StoredTable(name, tuple(named), body, len(body))
    for record in stored_records(file, stored, {name: name}, result.skips):
        if isinstance(record, Table):
            rows_at = {"sheet": None, "pointer": place.pointer}
            result.records.append(record.model_copy(update={"locator": record.locator.model_copy(update=rows_at)}))


def _header_rows(grid: list[list[str]]) -> int:
    """Rows above the first that holds an amount; a year is a name."""
    has_amount = [any(_AMOUNT.match(cell) and not _YEAR.match(cell) for cell in row[1:]) for row in grid]
    if True not in has_amount:
        return 0
    index = has_amount.index(True)
    while index > 1 and grid[index - 1][0] and not any(grid[index - 1][1:]):
        index -= 1  # a row with a label only is a heading inside the table
    return index


def _questions(file: SourceFile, context: Any, number: int, result: ReadResult) -> None:
    shown = "\n".join(" | ".join(row) for row in _grid(context["table"]["table"]))
    texts = [nfc(str(one.get("text", ""))) for one in context["paragraphs"] if isinstance(one, dict)]
    for index, question in enumerate(context["questions"]):
        place = Locator(pointer=f"/{number}/questions/{index}")
        if not isinstance(question, dict) or "answer" not in question or "question" not in question:
            result.skips.append(skip("read.no_answer", "the question has no answer", place))
            continue
        problem = _disagreement(question)
        if problem:
            result.skips.append(skip("read.derivation_disagrees", problem, place))
            continue
        fields = {
            "context": nfc("\n\n".join([shown, *texts])),
            "question": nfc(str(question["question"])),
            "answer": _answer(question),
            **{name: nfc(str(question[name])) for name in ("derivation", "scale", "answer_type") if question.get(name)},
        }
        result.records.append(Fields(source_sha256=file.sha256, path=file.relative, fields=fields, locator=place))


def _answer(question: Any) -> str:
    """The answer with its scale, as a person would say it."""
    value = question["answer"]
    text = "; ".join(map(str, value)) if isinstance(value, list) else str(value)
    scale = str(question.get("scale") or "")
    if not scale or isinstance(value, list) or not re.search(r"\d", text):
        return nfc(text)
    return nfc(
        f"{text}%" if scale == "percent" and not text.endswith("%") else f"{text} {scale}".replace("% percent", "%")
    )


def _disagreement(question: Any) -> str | None:
    """Why an arithmetic answer is not what its derivation gives; None where it is, or where nothing is computed."""
    if question.get("answer_type") != "arithmetic":
        return None
    try:
        computed = _readings(str(question.get("derivation", "")))
        said = amount(str(question["answer"]))
    except (ValueError, SyntaxError, InvalidOperation, DivisionByZero, RecursionError):
        return f"the derivation {str(question.get('derivation'))[:80]!r} cannot be computed"
    half = Decimal(5).scaleb(int(said.as_tuple().exponent) - 1)
    candidates = [*computed, *(one * 100 for one in computed)] if question.get("scale") == "percent" else computed
    if any(abs(one - said) <= half for one in candidates):
        return None
    return f"the derivation gives {computed[0]:.6g}, the answer says {said}"


def _readings(derivation: str) -> list[Decimal]:
    """What a derivation can mean: as arithmetic; with `(110)` negative, as accounts write it; with `%` a hundredth."""
    negative = re.sub(r"(?<![\w.)])\((\d[\d,.]*)\)", r"(-\1)", derivation)
    return [evaluate(derivation), evaluate(negative), evaluate(derivation.replace("%", "/100"))]


def amount(text: str) -> Decimal:
    """`$1,496.5`, `(12.3)` (negative), `41.6%` as the number that is written.

    Raises:
        ValueError: it is none.
    """
    match = re.fullmatch(r"(\()?(-)?[$€£]?\s*(\d[\d,]*\.?\d*|\.\d+)\s*%?(\))?", text.strip())
    if match is None:
        raise ValueError(text)
    value = Decimal(match[3].replace(",", ""))
    return -value if match[1] or match[2] else value


def evaluate(derivation: str) -> Decimal:
    """The value of sums, differences, products and quotients of written amounts.

    Raises:
        ValueError, SyntaxError, InvalidOperation, DivisionByZero: it is no such expression.
    """
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", derivation)
    plain = re.sub(r"[$€£]", "", plain).replace("×", "*").replace("÷", "/").replace("–", "-").replace("−", "-")
    plain = plain.replace("[", "(").replace("]", ")").replace("%", "/100" if "%" in plain and "/" not in plain else "")
    if len(plain) > 500:
        raise ValueError("too long")
    return _value(ast.parse(plain.strip(), mode="eval").body, plain.strip())


def _value(node: ast.expr, text: str) -> Decimal:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return Decimal(ast.get_source_segment(text, node) or str(node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _value(node.operand, text)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, text), _value(node.right, text)
        for kind, result in _operations(left, right):
            if isinstance(node.op, kind):
                return result()
    raise ValueError(ast.dump(node)[:60])


def _operations(left: Decimal, right: Decimal) -> Iterator[tuple[type[ast.operator], Any]]:
    yield ast.Add, lambda: left + right
    yield ast.Sub, lambda: left - right
    yield ast.Mult, lambda: left * right
    yield ast.Div, lambda: left / right
