"""Mails: decoded headers, the writer's own words, everything else by name."""

from __future__ import annotations

import pytest

from hrmbuild.errors import InputError

PLAIN = """From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>
To: board@example.org
Date: Tue, 3 Mar 2026 10:00:00 +0100
Subject: =?iso-8859-1?q?Pr=FCfung?= of
 limits
X-Mailer: any

Hello all,

we decided to raise the limit to 500 EUR.

On Mon, 2 Mar 2026 at 09:00, Ada wrote:

> What about the limit?
>
> Ada

-- 
Jörg, Finance
"""


def test_headers_are_decoded_and_quotation_and_signature_stand_apart(read_file):
    result = read_file("a.eml", PLAIN, kind="memos")
    document = result.records[0]
    assert document.headers == {
        "from": "Jörg <joerg@example.org>",
        "to": "board@example.org",
        "date": "Tue, 3 Mar 2026 10:00:00 +0100",
        "subject": "Prüfung of limits",
    }
    assert [(block.kind, block.text) for block in document.blocks] == [
        ("paragraph", "Hello all,"),
        ("paragraph", "we decided to raise the limit to 500 EUR."),
        ("quoted_reply", "On Mon, 2 Mar 2026 at 09:00, Ada wrote:\n\n> What about the limit?\n>\n> Ada"),
        ("signature", "-- \nJörg, Finance"),
    ]
    assert document.blocks[0].locator.part == "1"
    assert [skip.code for skip in result.skips] == ["read.other_headers"]


MIXED = """From: a@example.org
Subject: Files
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="B"

--B
Content-Type: multipart/alternative; boundary="C"

--C
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe
--C
Content-Type: text/html

<p>Gr&uuml;&szlig;e</p>
--C--
--B
Content-Type: application/pdf; name="a.pdf"
Content-Disposition: attachment; filename="a.pdf"
Content-Transfer-Encoding: base64

AAAA
--B
Content-Type: message/rfc822

Subject: inner

text
--B--
"""


def test_plain_text_is_chosen_and_every_other_part_is_a_skip(read_file):
    result = read_file("a.eml", MIXED, kind="memos")
    assert [block.text for block in result.records[0].blocks] == ["Grüße"]
    assert result.records[0].blocks[0].locator.part == "1.1"
    skipped = {(skip.code, skip.locator.part) for skip in result.skips}
    assert {("read.alternative_part", "1.2"), ("read.attachment", "2"), ("read.attached_mail", "3")} <= skipped


def test_a_mail_in_html_only_is_read_as_lines_and_hidden_words_are_not(read_file):
    html = "<html><head><title>T</title></head><body><p>Dear <b>all</b>,</p><ul><li>one</li><li>two</li></ul>"
    html += '<div style="display: none">secret</div><script>x()</script></body></html>'
    result = read_file("a.eml", f"From: a@b.c\nContent-Type: text/html; charset=utf-8\n\n{html}\n", kind="memos")
    assert [block.text for block in result.records[0].blocks] == ["Dear all,", "one", "two"]
    assert ("read.hidden_text", "hidden in the HTML: secret") in [(s.code, s.detail) for s in result.skips]


@pytest.mark.parametrize("charset", ["no-such", "rot13", "unicode_escape", "zlib", "\u00e9"])
def test_a_charset_that_cannot_be_trusted_is_detected_instead(read_file, charset):
    mail = f"From: a@b.c\nContent-Type: text/plain; charset={charset}\n\nPlain words.\n"
    assert [block.text for block in read_file("a.eml", mail).records[0].blocks] == ["Plain words."]


@pytest.mark.parametrize("data", [b"", b"just words\n", b"\x00\xff\xfe"])
def test_what_is_no_mail_is_refused(read_file, data):
    with pytest.raises(InputError):
        read_file("a.eml", data)


def test_parts_nested_without_end_do_not_end_the_process(read_file):
    head = b"From: a@b.c\n"
    for index in range(300):
        head += b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (index, index)
    try:
        result = read_file("deep.eml", head + b"\nhello\n")
    except InputError as error:
        assert error.code == "read.too_deep"
    else:
        assert "read.too_deep" in {skip.code for skip in result.skips}
