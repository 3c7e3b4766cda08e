"""Pages of a PDF to lines of text with their place and size, through PDFium.

Owns every call into PDFium. It must not decide what a line is (heading, paragraph, running title). Links, scripts,
forms and attached files are never followed, run or opened: PDFium is built without them, and nothing here asks for
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hrmbuild.readers.result import SourceFile

MAX_PAGE_CHARS = 500_000
_BREAKS = frozenset("\r\n")
_SOFT_HYPHENS = frozenset("\x02\xad\ufffe")
"""What PDFium gives for a hyphen that only divides a word at the end of a line."""


@dataclass(frozen=True)
class PageLine:
    """One line as it stands on a page; lengths in points, the origin at the page's lower left."""

    text: str
    """With blanks as PDFium sees them; a word that is divided at its end ends with `\\x02`."""
    page: int
    """1-based."""
    height: float
    """Of its font, as drawn."""
    left: float
    right: float
    bottom: float


@dataclass(frozen=True)
class PdfPage:
    """One page: its lines and what else is on it."""

    number: int
    lines: tuple[PageLine, ...]
    n_images: int
    has_objects: bool
    height: float
    """In points."""
    n_notes: int
    """Comments, stamps and fields of a form."""


@dataclass(frozen=True)
class PdfPages:
    """A whole file."""

    pages: tuple[PdfPage, ...]
    title: str | None
    n_attachments: int


def read_pages(file: SourceFile) -> PdfPages:
    """All pages of a PDF.

    Raises:
        InputError: `read.encrypted`, `read.broken_pdf`, `read.too_large`.
    """
    import pypdfium2 as pdfium

    if b"%PDF" not in file.data[:1024]:
        raise file.error("read.broken_pdf", "the file does not begin like a PDF", fix="look at what it really is")
    try:
        document = pdfium.PdfDocument(file.data)
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower() or "security" in str(error).lower():
            raise file.error("read.encrypted", "the PDF is protected by a password",
                             fix="save a copy without a password, or leave it out") from None  # fmt: skip
        raise file.error("read.broken_pdf", f"the file is no PDF that can be read: {error}",
                         fix="open it in the program that wrote it and save it again") from None  # fmt: skip
    try:
        return _pages_of(file, document)
    finally:
        document.close()


def _pages_of(file: SourceFile, document: object) -> PdfPages:
    import pypdfium2 as pdfium

    assert isinstance(document, pdfium.PdfDocument)
    most = file.limits.pages
    if len(document) > most:
        raise file.error("read.too_large", f"the PDF has {len(document):,} pages; at most {most:,} are read "
                         "(limits.pages)", fix="raise limits.pages, or split it")  # fmt: skip
    pages: list[PdfPage] = []
    for index in range(len(document)):
        try:
            page = document[index]
        except pdfium.PdfiumError:
            pages.append(PdfPage(index + 1, (), n_images=0, has_objects=True, height=0.0, n_notes=0))
            continue
        pages.append(_page(page, index + 1))
        page.close()
    title = document.get_metadata_value("Title").strip() or None
    return PdfPages(tuple(pages), title, document.count_attachments())


def _page(page: object, number: int) -> PdfPage:
    import pypdfium2 as pdfium
    from pypdfium2 import raw

    assert isinstance(page, pdfium.PdfPage)
    n_objects = raw.FPDFPage_CountObjects(page)
    sorts = [raw.FPDFPageObj_GetType(raw.FPDFPage_GetObject(page, index)) for index in range(min(n_objects, 10_000))]
    text = page.get_textpage()
    lines = tuple(_lines(text, number))
    text.close()
    notes = sum(_is_note(page, index) for index in range(min(raw.FPDFPage_GetAnnotCount(page), 1000)))
    return PdfPage(
        number, lines, sorts.count(raw.FPDF_PAGEOBJ_IMAGE), n_objects > 0, height=page.get_height(), n_notes=notes
    )


def _is_note(page: object, index: int) -> bool:
    """An annotation that says something, unlike a link."""
    from pypdfium2 import raw

    annotation = raw.FPDFPage_GetAnnot(page, index)
    if not annotation:
        return False
    sort = raw.FPDFAnnot_GetSubtype(annotation)
    raw.FPDFPage_CloseAnnot(annotation)
    return sort not in (raw.FPDF_ANNOT_LINK, raw.FPDF_ANNOT_POPUP, raw.FPDF_ANNOT_UNKNOWN)


def _lines(text: object, page: int) -> Iterator[PageLine]:
    import pypdfium2 as pdfium
    from pypdfium2 import raw

    assert isinstance(text, pdfium.PdfTextPage)
    n_chars = min(text.count_chars(), MAX_PAGE_CHARS)
    codes = [raw.FPDFText_GetUnicode(text, index) for index in range(n_chars)]
    start = 0
    for index in range(n_chars + 1):
        if index == n_chars or chr(codes[index]) in _BREAKS:
            line = _line(text, codes, start, index, page)
            if line is not None:
                yield line
            start = index + 1


def _line(text: object, codes: list[int], start: int, end: int, page: int) -> PageLine | None:
    import pypdfium2 as pdfium

    assert isinstance(text, pdfium.PdfTextPage)
    drawn = [
        index for index in range(start, end) if chr(codes[index]).isprintable() and not chr(codes[index]).isspace()
    ]
    if not drawn:
        return None
    boxes = [text.get_charbox(index, loose=True) for index in sorted({drawn[0], drawn[len(drawn) // 2], drawn[-1]})]
    heights = sorted(top - bottom for _, bottom, _, top in boxes)
    words = "".join(chr(code) for code in codes[start:end])
    divided = words[-1:] in _SOFT_HYPHENS
    words = "".join(char for char in words if char not in _SOFT_HYPHENS)
    return PageLine(
        text=words + ("\x02" if divided else ""), page=page, height=heights[len(heights) // 2], left=boxes[0][0],
        right=boxes[-1][2], bottom=boxes[0][1],
    )  # fmt: skip
