"""A mailbox file (mbox) to a Document a mail; places are the mail's number and its part: `3/1`, `3/header:Subject`.

Owns where a mail begins: a line `From …` at the top or below an empty line. `>From ` at the beginning of a line is the
mark that mailbox programs set, and is taken back. It must not read mails: `eml` does. Source: RFC 4155.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message

from hrmbuild.errors import InputError
from hrmbuild.readers.eml import read_message
from hrmbuild.readers.mail_parts import parse_mail
from hrmbuild.readers.result import ReadResult, SourceFile, check_size, skip
from hrmbuild.records.locator import Locator

_BEGIN = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\n]*\n")
_QUOTED_BEGIN = re.compile(rb"^>(?=>*From )", re.MULTILINE)
_MAX_MAILBOX_BYTES = 256 << 20
_MAX_MAIL_BYTES = 32 << 20


def read_mbox(file: SourceFile) -> ReadResult:
    """One Document for each mail; a mail that cannot be read is a skip.

    Raises:
        InputError: `read.not_a_mailbox`, `read.too_large`.
    """
    check_size(file, _MAX_MAILBOX_BYTES)
    result = ReadResult([])
    for number, message in mbox_messages(file.data, where=file.relative):
        if isinstance(message, InputError):
            result.skips.append(skip(message.code, f"mail {number}: {message.what}", Locator(part=str(number))))
            continue
        one = read_message(file, message, prefix=f"{number}/")
        result.records.extend(one.records)
        result.skips.extend(one.skips)
        result.notes.extend(one.notes)
    return result


def mbox_messages(data: bytes, *, where: str) -> Iterator[tuple[int, Message | InputError]]:
    """Each mail of a mailbox with its number (1-based), or why it cannot be read.

    Raises:
        InputError: `read.not_a_mailbox`.
    """
    begins = list(_BEGIN.finditer(data))
    if not begins or begins[0].start() != 0:
        raise InputError("read.not_a_mailbox", "the file does not begin with a line 'From …'", where=where,
                         fix="export the mails again as mbox, or as one .eml a mail")  # fmt: skip
    ends = [begin.start() for begin in begins[1:]] + [len(data)]
    for number, (begin, end) in enumerate(zip(begins, ends, strict=True), start=1):
        yield number, _message(data[begin.end() : end], where)


def _message(data: bytes, where: str) -> Message | InputError:
    if len(data) > _MAX_MAIL_BYTES:
        return InputError("read.too_large", f"it has {len(data):,} bytes; at most {_MAX_MAIL_BYTES:,} are read")
    try:
        return parse_mail(_QUOTED_BEGIN.sub(b"", data), where=where)
    except InputError as error:
        return error
