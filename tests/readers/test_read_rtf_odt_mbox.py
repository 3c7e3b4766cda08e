"""Rich text, OpenDocument texts and mailboxes: spans that resolve, and rows for what is not read."""

from __future__ import annotations

import pytest
from office_files import zipped

from hrmbuild.errors import InputError

OFFICE, TEXT, TABLE, STYLE = (
    f"urn:oasis:names:tc:opendocument:xmlns:{name}:1.0" for name in ("office", "text", "table", "style")
)  # fmt: skip


def odt(body: str, styles: str = "", manifest: str = "<manifest/>") -> bytes:
    content = (
        f'<o:document-content xmlns:o="{OFFICE}" xmlns:t="{TEXT}" xmlns:table="{TABLE}" xmlns:s="{STYLE}">'
        f"<o:automatic-styles>{styles}</o:automatic-styles><o:body><o:text>{body}</o:text></o:body></o:document-content>"
    )
    return zipped({"content.xml": content, "META-INF/manifest.xml": manifest})


def blocks_of(record):
    return [(block.kind, block.number, block.text) for block in record.blocks]


def codes_of(result):
    return [skip.code for skip in result.skips]


def test_an_odt_has_headings_items_and_rows(read_file):
    result = read_file(
        "a.odt",
        odt(
            '<t:h t:outline-level="1">Travel</t:h><t:p>Book<t:s/>early<t:line-break/>or pay.</t:p>'
            "<t:list><t:list-item><t:p>(a) By <t:span>rail</t:span></t:p></t:list-item></t:list>"
            "<table:table><table:table-row><table:table-cell><t:p>A</t:p></table:table-cell>"
            "<table:table-cell><t:p>500</t:p></table:table-cell></table:table-row></table:table>"
        ),
    )
    assert blocks_of(result.records[0]) == [
        ("heading", None, "Travel"), ("paragraph", None, "Book early\nor pay."), ("list_item", "(a)", "By rail"),
        ("table_row", None, "A | 500"),
    ]  # fmt: skip
    assert result.records[0].blocks[2].locator.paragraph == 3


def test_changes_notes_and_hidden_words_of_an_odt_are_rows(read_file):
    hidden = '<s:style s:name="H"><s:text-properties t:display="none"/></s:style>'
    result = read_file(
        "a.odt",
        odt(
            "<t:tracked-changes><t:changed-region><t:deletion><t:p>500</t:p></t:deletion></t:changed-region>"
            '</t:tracked-changes><t:p>The limit is <t:change t:change-id="a"/> EUR.</t:p>'
            '<t:p>New <t:change-start t:change-id="b"/>words</t:p><t:p>and <t:change-end t:change-id="b"/>more</t:p>'
            '<t:p>Kept.<t:note>note</t:note><t:span t:style-name="H">secret</t:span></t:p>',
            hidden,
        ),
    )
    assert blocks_of(result.records[0]) == [("paragraph", None, "Kept.")]
    assert codes_of(result) == ["read.tracked_change"] * 4 + ["read.footnote", "read.hidden_text"]


@pytest.mark.parametrize(
    ("data", "code"),
    [(odt("", manifest="<a><encryption-data/></a>"), "read.encrypted"), (zipped({"a": "b"}), "read.not_a_document"),
     (b"x", "read.broken_archive")],
)  # fmt: skip
def test_an_odt_that_cannot_be_read_is_refused(read_file, data, code):
    with pytest.raises(InputError) as caught:
        read_file("a.odt", data)
    assert caught.value.code == code


RTF = (
    rb"{\rtf1\ansi{\fonttbl{\f0 Arial;}}\f0 TRAVEL RULES\par A traveller pays 5 \'80 and \u8364? more.\par "
    rb"(a) By rail.\par {\pict 00}}"
)


def test_an_rtf_has_its_paragraphs_and_its_pictures_are_rows(read_file):
    result = read_file("a.rtf", RTF)
    assert blocks_of(result.records[0]) == [
        ("heading", None, "TRAVEL RULES"), ("paragraph", None, "A traveller pays 5 € and € more."),
        ("list_item", "(a)", "By rail."),
    ]  # fmt: skip
    assert codes_of(result) == ["read.image"] and result.records[0].blocks[1].locator.paragraph == 2


@pytest.mark.parametrize(
    ("data", "code"),
    [(rb"{\rtf1 Seen {\v hidden} more}", "read.hidden_text"), (rb"{\rtf1 Seen {\deleted gone}}", "read.hidden_text"),
     (b"plain", "read.broken_rtf"), (b"{\\rtf1" + b"{" * 5000, "read.too_deep")],
)  # fmt: skip
def test_an_rtf_that_cannot_be_trusted_is_refused(read_file, data, code):
    with pytest.raises(InputError) as caught:
        read_file("a.rtf", data)
    assert caught.value.code == code


def test_each_mail_of_a_mailbox_is_a_document_with_its_number(read_file):
    data = (
        b"From a@x Mon Jan 1\nFrom: a@x\nSubject: One\n\nFirst words.\n>From here on.\n\n"
        b"From b@x Mon Jan 1\nno header at all\n\n"
        b"From b@x Mon Jan 1\nFrom: b@x\nSubject: Two\n\nSecond words.\n"
    )
    result = read_file("a.mbox", data, kind="memos")
    assert [document.title for document in result.records] == ["One", "Two"]
    assert [blocks_of(document)[0][2] for document in result.records] == [
        "First words.\nFrom here on.",
        "Second words.",
    ]
    assert result.records[1].blocks[0].locator.part == "3/1"
    assert result.records[1].header_locators["subject"].part == "3/header:Subject"
    assert ("read.not_a_mail", "2") in [(skip.code, skip.locator.part) for skip in result.skips]


def test_a_mailbox_that_is_none_is_refused(read_file):
    with pytest.raises(InputError) as caught:
        read_file("a.mbox", b"From: a@x\n\nwords")
    assert caught.value.code == "read.not_a_mailbox"
