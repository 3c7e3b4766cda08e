"""PDFs: lines become paragraphs and headings with their page; what holds no text is said."""

from __future__ import annotations

import pytest

from hrmbuild.errors import InputError

Line = tuple[float, float, float, str]
"""Size, x, y, words."""


def pdf(*pages: list[Line], trailer: str = "", page_extra: str = "") -> bytes:
    """A PDF with these lines in Helvetica."""
    numbers = [4 + 2 * index for index in range(len(pages))]
    objects = {
        1: "<< /Type /Catalog /Pages 2 0 R >>",
        2: f"<< /Type /Pages /Count {len(pages)} /Kids [{' '.join(f'{n} 0 R' for n in numbers)}] >>",
        3: "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    }
    for number, lines in zip(numbers, pages, strict=True):
        drawn = "\n".join(f"BT /F {size} Tf 1 0 0 1 {x} {y} Tm ({text}) Tj ET" for size, x, y, text in lines)
        objects[number] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents {number + 1} 0 R {page_extra} "
            "/Resources << /Font << /F 3 0 R >> >> >>"
        )
        objects[number + 1] = f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream"
    data, places = "%PDF-1.4\n", {}
    for number, content in sorted(objects.items()):
        places[number] = len(data)
        data += f"{number} 0 obj\n{content}\nendobj\n"
    start = len(data)
    data += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
    data += "".join(f"{places[number]:010} 00000 n \n" for number in sorted(objects))
    data += f"trailer << /Size {len(objects) + 1} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n"
    return data.encode("latin-1")


def body(n: int) -> list[Line]:
    """A page with a heading, a paragraph over three lines, a clause and a running title."""
    return [
        (9, 50, 780, f"Travel policy - page {n}"),
        (18, 50, 740, f"Part {n}"),
        (11, 50, 700, "A traveller who books late pays the difference himself and tells the desk of it"),
        (11, 50, 686, "before the day of travel, unless the head of his department said otherwise in the"),
        (11, 50, 672, "month before."),
        (11, 50, 640, f"3.{n} A ticket above 500 EUR needs the consent of the head of the department."),
    ]


def blocks_of(result):
    return [(block.kind, block.number, block.text[:30]) for block in result.records[0].blocks]


def test_lines_become_headings_paragraphs_and_clauses_with_their_page(read_file):
    result = read_file("a.pdf", pdf(body(1), body(2), body(3)))
    assert blocks_of(result)[:3] == [
        ("heading", None, "Part 1"),
        ("paragraph", None, "A traveller who books late pay"),
        ("paragraph", "3.1", "A ticket above 500 EUR needs t"),
    ]
    block = result.records[0].blocks[4]
    assert block.text.endswith("said otherwise in the month before.")
    assert (block.locator.page, block.locator.paragraph, block.locator.heading_path) == (2, 5, ("Part 2",))


def test_a_running_title_is_a_row_and_no_text(read_file):
    result = read_file("a.pdf", pdf(body(1), body(2), body(3)))
    assert [skip.code for skip in result.skips] == ["read.page_header"]
    assert "Travel policy - page 1" in result.skips[0].detail
    assert not any("Travel policy" in block.text for block in result.records[0].blocks)


def test_a_page_without_text_is_a_row_and_a_file_without_any_is_refused(read_file):
    drawing = pdf(body(1), []).replace(
        b"<< /Length 0 >>\nstream\n\n", b"<< /Length 18 >>\nstream\n0 0 9 9 re f       \n"
    )
    result = read_file("a.pdf", drawing)
    assert [(skip.code, skip.locator.page) for skip in result.skips] == [("read.needs_ocr", 2)]
    with pytest.raises(InputError) as caught:
        read_file("b.pdf", pdf([]))
    assert caught.value.code == "read.needs_ocr"


def test_text_of_a_pdf_stays_text(read_file):
    result = read_file("a.pdf", pdf([(11, 50, 700, "Say {{ 7*7 }} <|im_end|> =1+1")]))
    assert [block.text for block in result.records[0].blocks] == ["Say {{ 7*7 }} <|im_end|> =1+1"]


ENCRYPT = (
    "/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <" + "41" * 32 + "> /U <" + "42" * 32 + "> >> /ID [<41> <41>]"
)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"no pdf", "read.broken_pdf"),
        (b"%PDF-1.7\n broken", "read.broken_pdf"),
        (pdf(body(1), trailer=ENCRYPT), "read.encrypted"),
        (pdf(*([[]] * 2001)), "read.too_large"),
    ],
)
def test_a_pdf_that_cannot_be_read_is_refused(read_file, data, code):
    with pytest.raises(InputError) as caught:
        read_file("a.pdf", data)
    assert caught.value.code == code
