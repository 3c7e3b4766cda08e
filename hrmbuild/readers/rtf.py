"""Rich text (RTF) to a Document: paragraphs as striprtf gives them, headings and clauses as in a plain text.

Owns what must not get through: striprtf does not tell hidden and deleted words from others, so a file with any is
refused. Styles are not read: what is a heading is inferred from the words. It must not open what is embedded.
"""

from __future__ import annotations

import re

from hrmbuild.readers.flow import Flow, FlowText, Paragraph, flow_text, words
from hrmbuild.readers.memo_headers import find_memo_headers
from hrmbuild.readers.prose_lines import pieces
from hrmbuild.readers.result import MAX_TEXT_BYTES, ReadResult, SourceFile, check_size
from hrmbuild.readers.text import Reading
from hrmbuild.records.document import Document

_HIDDEN = re.compile(rb"\\(?:v(?:1)?|deleted)(?![a-zA-Z0-9])")
_SIDE = ((rb"\\pict(?![a-z])", "read.image", "an image"),
         (rb"\\object(?![a-z])", "read.embedded_object", "an embedded object"),
         (rb"\\(?:header|footer)[lrf]?(?![a-z])", "read.page_header", "a header or footer"),
         (rb"\\footnote(?![a-z])", "read.footnote", "a note"),
         (rb"\\annotation(?![a-z])", "read.comment", "a comment"))  # fmt: skip
_MEMO_TITLE = re.compile(r"\s*[A-Z][A-Z \d/&-]{3,}\s*$")
_MAX_DEPTH = 500


def read_rtf(file: SourceFile) -> ReadResult:
    """One Document."""
    flow = rtf_flow(file)
    source = flow_text(flow)
    memo = find_memo_headers(source, is_title=_MEMO_TITLE)
    reading = Reading(source)
    lines = [line for line in source.lines if line.number not in memo.lines]
    reading.add([piece for line in lines for piece in pieces(source, [line])])
    document = Document(
        source_sha256=file.sha256,
        path=file.relative,
        title=memo.values.get("subject") or reading.title,
        headers=memo.values,
        header_locators=memo.locators,
        blocks=tuple(reading.blocks),
    )
    return ReadResult([document], flow.skips, flow.notes)


def rtf_texts(file: SourceFile) -> dict[str | None, FlowText]:
    """The text that locators of an RTF file count in."""
    return {None: flow_text(rtf_flow(file))}


def rtf_flow(file: SourceFile) -> Flow:
    """Paragraphs and skips of an RTF file.

    Raises:
        InputError: `read.broken_rtf`, `read.hidden_text`, `read.too_deep`, `read.too_large`.
    """
    from striprtf.striprtf import rtf_to_text

    check_size(file, MAX_TEXT_BYTES)
    _check(file)
    flow = Flow()
    for pattern, code, sort in _SIDE:
        for _ in re.finditer(pattern, file.data):
            flow.skip(code, f"{sort} is not read")
    try:
        text = rtf_to_text(file.data.decode("latin-1"), errors="replace")
    except (ValueError, LookupError, IndexError) as error:
        raise file.error("read.broken_rtf", f"the file is no RTF that can be read: {error}",
                         fix="open it in a word processor and save it again") from None  # fmt: skip
    for line in text.split("\n"):
        cells = [words(cell).replace("\n", " ") for cell in line.strip().strip("|").split("|")]
        flow.add(Paragraph(" | ".join(cells) if any(cells) else ""))
    flow.notes.append("headings are inferred from the words; styles of RTF are not read")
    return flow


def _check(file: SourceFile) -> None:
    if not file.data.lstrip().startswith(b"{\\rtf"):
        raise file.error("read.broken_rtf", "the file does not begin like RTF", fix="look at what it really is")
    if _HIDDEN.search(file.data):
        raise file.error("read.hidden_text", "it holds hidden or deleted words, which cannot be told from the others",
                         fix="save it as .docx: there they are told apart")  # fmt: skip
    depth = deepest = 0
    for brace in re.finditer(rb"(?<!\\)[{}]", file.data):
        depth += 1 if brace.group() == b"{" else -1
        deepest = max(deepest, depth)
    if deepest > _MAX_DEPTH:
        raise file.error("read.too_deep", f"groups nest {deepest} deep; at most {_MAX_DEPTH} are read",
                         fix="leave the file out")  # fmt: skip
