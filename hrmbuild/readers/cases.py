"""Marked cases: of a file with blocks such as `% Text` and `% Question`, the declared blocks and nothing else.

Owns the cut. What a source's `cases.blocks` does not name is never read into a field: it becomes a skip with its
span, so that the part of a file that holds the worked answer cannot reach an instruction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hrmbuild.config.project import CasesConfig
from hrmbuild.readers.decoding import decode
from hrmbuild.readers.result import MAX_TEXT_BYTES, ReadResult, SourceFile, check_size, skip
from hrmbuild.readers.spans import Line, SourceText, nfc
from hrmbuild.records.document import Fields
from hrmbuild.records.source import Skip

_MARK_NAME = re.compile(r"[A-Z][A-Za-z]*$")


@dataclass(frozen=True)
class _CaseBlock:
    name: str
    text: str
    first: int
    last: int


def read_cases(file: SourceFile) -> ReadResult:
    """One Fields with a text for each declared block, in the declared order.

    Raises:
        InputError: `read.no_cases_setting`, `read.missing_block`, `read.repeated_block`.
    """
    check_size(file, MAX_TEXT_BYTES)
    cases = file.source.cases
    if cases is None:
        raise file.error("read.no_cases_setting", "the format 'cases' needs the setting 'cases' with its blocks",
                         fix="add 'cases: {blocks: [...]}' to this source")  # fmt: skip
    decoded = decode(file.data, where=file.relative)
    source = SourceText(decoded.text)
    blocks = list(_blocks(source.lines, cases))
    _check(file, blocks, cases)
    texts = {block.name: block.text for block in blocks}
    first, last = min(block.first for block in blocks), max(block.last for block in blocks)
    record = Fields(
        source_sha256=file.sha256,
        path=file.relative,
        fields={name: texts[name] for name in cases.blocks},
        locator=source.lines_locator(first, last),
    )
    return ReadResult([record], list(_rest(source, blocks)), decoded.notes)


def _blocks(lines: Sequence[Line], cases: CasesConfig) -> Iterator[_CaseBlock]:
    """A block is its mark line and the lines below that begin with the mark; any other line, or a new mark, ends it."""
    index = 0
    while index < len(lines):
        name = _mark(lines[index], cases)
        index += 1
        if name not in cases.blocks:
            continue
        begin = index
        while index < len(lines) and _body(lines[index], cases) is not None:
            index += 1
        texts = [_body(line, cases) or "" for line in lines[begin:index]]
        yield _CaseBlock(str(name), nfc("\n".join(texts).strip()), begin, index)


def _mark(line: Line, cases: CasesConfig) -> str | None:
    """The name on a mark line: a declared block, or one capitalised word, which may be a block's name too."""
    if not line.text.startswith(cases.mark):
        return None
    name = line.text[len(cases.mark) :].strip()
    return name if name in cases.blocks or _MARK_NAME.match(name) else None


def _body(line: Line, cases: CasesConfig) -> str | None:
    if _mark(line, cases) is not None:
        return None
    if line.text.startswith(cases.mark):
        return line.text[len(cases.mark) :].rstrip()
    return "" if line.text.strip() and line.text.strip() == cases.mark.strip() else None


def _check(file: SourceFile, blocks: list[_CaseBlock], cases: CasesConfig) -> None:
    names = [block.name for block in blocks]
    for name in cases.blocks:
        if names.count(name) != 1 or not next(block.text for block in blocks if block.name == name):
            code = "read.repeated_block" if names.count(name) > 1 else "read.missing_block"
            how = "stands more than once" if names.count(name) > 1 else "is missing or empty"
            raise file.error(code, f"the block {(cases.mark + name)!r} {how}",
                             fix="mend the file, or change 'cases.blocks' of its source")  # fmt: skip


def _rest(source: SourceText, blocks: list[_CaseBlock]) -> Iterator[Skip]:
    """Each run of lines outside the declared blocks, blank ends cut off."""
    inside = {number for block in blocks for number in range(block.first, block.last + 1)}
    run: list[Line] = []
    for line in (*source.lines, None):
        if line is not None and line.number not in inside:
            run.append(line)
            continue
        words = [held for held in run if not held.is_blank]
        if words:
            start, end = source.trimmed(words[0].start, words[-1].end)
            yield skip("read.undeclared_block", "this part of the case is not among the declared blocks",
                       source.locator(start, end))  # fmt: skip
        run = []
