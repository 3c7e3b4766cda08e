"""Which format a file has: its suffix, checked against its first bytes; content decides where a suffix says nothing.

Owns that decision. It must answer None rather than guess: a format that is not read yet, source code and binary files
are no text. (A source's own `format:` and `cases:` stand above all of this; see `registry.choose_format`.)
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from hrmbuild.errors import InputError
from hrmbuild.readers.decoding import decode

HEAD_BYTES = 65536
"""What `infer_format` wants to see of a file."""

_BY_SUFFIX = {
    ".md": "markdown", ".markdown": "markdown", ".mkd": "markdown", ".mdown": "markdown",
    ".txt": "text", ".text": "text",
    ".eml": "eml",
    ".docx": "docx", ".docm": "docx",
    ".html": "html", ".htm": "html", ".xhtml": "html",
    ".pdf": "pdf", ".odt": "odt", ".rtf": "rtf", ".mbox": "mbox",
    ".csv": "csv", ".tsv": "csv", ".psv": "csv", ".ssv": "csv",
    ".xlsx": "xlsx", ".xlsm": "xlsx", ".xls": "xls", ".xlsb": "xlsb", ".ods": "ods",
    ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".sqlite": "sqlite", ".sqlite3": "sqlite", ".duckdb": "duckdb", ".parquet": "parquet", ".xml": "xml",
    ".tablecopy": "table_copy",
    ".dmn": "dmn",
    ".yaml": "ruleset", ".yml": "ruleset",
}  # fmt: skip

_TEMPLATE_SUFFIXES = frozenset({".erb", ".liquid", ".j2", ".jinja", ".tmpl"})
"""A template's suffix hides the one that counts: `page.md.erb`."""

_OTHER_FORMATS = frozenset({
    ".doc", ".ppt", ".pptx", ".odp",
    ".xsl", ".xsd", ".svg", ".msg", ".p7s", ".sql",
    ".arrow", ".feather", ".zip", ".gz", ".bz2", ".xz", ".7z", ".tar", ".png", ".jpg", ".jpeg", ".gif",
    ".tif", ".tiff", ".ebc", ".bin", ".encrypted", ".fuzz", ".tex", ".epub",
})  # fmt: skip
"""Known, and not plain text: reading their source as prose would be a silent guess."""

_CODE = frozenset({
    ".pl", ".py", ".js", ".ts", ".c", ".h", ".cpp", ".java", ".rb", ".go", ".rs", ".r", ".sh", ".bat", ".ps1",
    ".php", ".cs", ".scala", ".swift", ".kt", ".lua", ".ipynb", ".css", ".toml", ".ini", ".cfg", ".lock",
})  # fmt: skip

_DATABASES = ((b"SQLite format 3\0", 0, "sqlite"), (b"DUCK", 8, "duckdb"), (b"PAR1", 0, "parquet"))
"""First bytes, where they stand, format: `.db` says nothing of which."""

_MAGIC = (b"%PDF", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"{\\rtf", b"\x1f\x8b", b"\x89PNG")
_MARKUP = re.compile(r"\s*<(?:\?xml|!doctype|html|!--)", re.IGNORECASE)
_DMN = re.compile(rb"""["']https?://www\.omg\.org/spec/DMN/\d{8}/MODEL""")
"""The language of the root element of a decision model."""
_RULES = re.compile(rb"""^(?:\xef\xbb\xbf)?(?:\{\s?)?["']?(?:ruleset|decision_table|facts)["']?[ \t]*:""", re.MULTILINE)
"""A key that makes YAML a rule set, or one that lacks its name."""
_FRONT_MATTER = re.compile(r"---[ \t]*\n[\w\"'-]+\s*:")
_MAIL_HEADER = re.compile(r"(?:Received|Return-Path|Delivered-To|MIME-Version|Message-ID|X-[\w-]+):\s", re.IGNORECASE)


def infer_format(path: Path, head: bytes) -> str | None:
    """Name of the reader for a file whose first bytes (up to HEAD_BYTES) are `head`; None where there is none."""
    suffix = _suffix(path)
    if suffix == ".json":
        return "jsonl" if _is_json_lines(head) else "json"
    known = _BY_SUFFIX.get(suffix)
    if known == "ruleset":
        return "ruleset" if _RULES.search(head) else "yaml"
    if known == "xml" and _DMN.search(head):
        return "dmn"
    if known is not None:
        return known
    for magic, at, format in _DATABASES:
        if head[at : at + len(magic)] == magic:
            return format
    if suffix in _OTHER_FORMATS | _CODE or head.startswith(_MAGIC):
        return None
    return _by_content(head)


_INSTEAD = {
    ".doc": "save it as .docx", ".ppt": "save it as PDF", ".pptx": "save it as PDF", ".odp": "save it as PDF",
    ".msg": "save it in Outlook as .eml", ".epub": "save it as HTML", ".ipynb": "export it as HTML or Markdown",
    ".sql": "a script is a program: load it into SQLite or PostgreSQL and declare that", ".zip": "unpack it",
    ".gz": "unpack it", ".bz2": "unpack it", ".xz": "unpack it", ".7z": "unpack it", ".tar": "unpack it",
    ".arrow": "save it as Parquet", ".feather": "save it as Parquet", ".p7s": "it is a signature, no text",
    ".xsd": "it describes other files", ".xsl": "it is a program", ".tex": "save it as PDF",
}  # fmt: skip
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".svg"})


def not_read(relative: str) -> str:
    """Why a file has no reader, and what to do instead, in one sentence."""
    suffix = _suffix(Path(relative))
    if suffix in _PICTURES:
        return f"a picture ({suffix}) is not read: run text recognition (OCR) and bring the result"
    if suffix in _INSTEAD:
        return f"{suffix} files are not read: {_INSTEAD[suffix]}"
    if suffix in _CODE:
        return f"source code and settings ({suffix}) are not read: if it is prose, declare 'format: text'"
    named = f"{suffix} files are not read, and the content" if suffix in _OTHER_FORMATS else "its content"
    return f"{named} is no text in a known form: convert it, or name its reader with 'format:'"


def _suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while suffixes and suffixes[-1] in _TEMPLATE_SUFFIXES and len(suffixes) > 1:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _by_content(head: bytes) -> str | None:
    """Text of some kind, when nothing in the name says which."""
    try:
        text = decode(_whole_characters(head), where="")
    except InputError:
        return None
    if _MARKUP.match(text.text):
        return None
    if _MAIL_HEADER.match(text.text):
        return "eml"
    if _is_json_lines(head):
        return "jsonl"
    return "markdown" if _FRONT_MATTER.match(text.text) else "text"


def _whole_characters(head: bytes) -> bytes:
    """A head that was cut off may end inside a character: its last line goes, where there are several."""
    return head[: head.rfind(b"\n") + 1] or head if len(head) >= HEAD_BYTES else head


def _is_json_lines(head: bytes) -> bool:
    """The first two lines that hold something are JSON objects, each whole on its line."""
    lines = [line for line in head.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()][:2]
    return len(lines) == 2 and all(_is_object(line) for line in lines)


def _is_object(line: bytes) -> bool:
    if not line.lstrip().startswith(b"{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
