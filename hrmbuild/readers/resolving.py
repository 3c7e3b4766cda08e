"""From a locator back to the words: the proof that a record quotes what stands in its file.

Owns that way back. It reads the file again by the same decoding as the readers and cuts out the span; it must not
search for the words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.message import Message
from pathlib import Path

from hrmbuild.config.limits import READ_BEFORE
from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.readers.decoding import decode
from hrmbuild.readers.docx import docx_texts
from hrmbuild.readers.eml import HEADERS
from hrmbuild.readers.flow import FlowText
from hrmbuild.readers.html import html_texts
from hrmbuild.readers.json_file import json_texts
from hrmbuild.readers.mail_parts import header_text, mail_parts, parse_mail
from hrmbuild.readers.mbox import mbox_messages
from hrmbuild.readers.odt import odt_texts
from hrmbuild.readers.pdf import pdf_texts
from hrmbuild.readers.registry import load_bytes
from hrmbuild.readers.result import SourceFile
from hrmbuild.readers.rtf import rtf_texts
from hrmbuild.readers.spans import SourceText
from hrmbuild.readers.xml_file import xml_file_texts
from hrmbuild.readers.yaml_file import yaml_texts
from hrmbuild.records.locator import Locator

_LINE_FORMATS = frozenset({"markdown", "text", "csv", "jsonl", "ruleset", "cases"})

_FLOWS: Mapping[str, Callable[[SourceFile], Mapping[str | None, FlowText]]] = {
    "docx": docx_texts,
    "html": html_texts,
    "odt": odt_texts,
    "pdf": pdf_texts,
    "rtf": rtf_texts,
    "json": json_texts,
    "xml": xml_file_texts,
    "yaml": yaml_texts,
}
"""Formats without lines of their own: their modules make the text that locators count in."""


def load_texts(path: Path, *, format: str) -> dict[str | None, SourceText]:
    """The decoded text of a file, by mail part (None: the file itself), for resolving many locators at once.

    Raises:
        InputError: `read.*`; `read.no_text` for a format whose places are no spans of a text.
    """
    data = load_bytes(path, path.name)
    if format == "eml":
        return mail_texts(parse_mail(data, where=path.name), where=path.name)
    if format == "mbox":
        messages = mbox_messages(data, where=path.name)
        return {part: text for number, message in messages if isinstance(message, Message)
                for part, text in mail_texts(message, where=path.name, prefix=f"{number}/").items()}  # fmt: skip
    if format in _FLOWS:
        source = SourceConfig(path=path.name, kind="rules")
        return dict(_FLOWS[format](SourceFile(path, path.name, sha256_hex(data), data, source, limits=READ_BEFORE)))
    if format not in _LINE_FORMATS:
        raise InputError("read.no_text", f"places in a file of format {format} are no spans of a text", where=path.name)
    return {None: SourceText(decode(data, where=path.name).text)}


def mail_texts(message: Message, *, where: str, prefix: str = "") -> dict[str | None, SourceText]:
    """Text parts by number, and the header fields that are read as `header:Subject`; `prefix` before each."""
    found = [(prefix + part.part, part.text) for part in mail_parts(message, where=where).texts]
    found += [(f"{prefix}header:{name.title()}", header_text(message, name)) for name in HEADERS]
    return {part: SourceText(text, part) for part, text in found}


def resolve_in(texts: dict[str | None, SourceText], locator: Locator, *, where: str) -> str:
    """The words at a locator: its characters where it has them, else its whole lines; NFC.

    Raises:
        InputError: `read.bad_locator`: the place is not there.
    """
    source = texts.get(locator.part)
    if source is None:
        raise InputError("read.bad_locator", f"the file has no part {locator.part}", where=where)
    if locator.part is not None and "header:" in locator.part:
        return source.text
    try:
        return source.quoted(locator)
    except ValueError as error:
        raise InputError(
            "read.bad_locator", f"{error}", where=where, why="the file is not the one that was read"
        ) from None


def resolve(path: Path, locator: Locator, *, format: str) -> str:
    """Read a file again and return the exact words at a span of it (see `load_texts` and `resolve_in`)."""
    return resolve_in(load_texts(path, format=format), locator, where=path.name)
