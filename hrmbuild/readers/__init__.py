"""File -> records with exact places: one file a format.

What a block's `text` holds: the words at its span, without the marks of Markdown around it (`## `, `- `) and without
its clause number, which stands in `number`; whoever shows a block writes `number` and `text`. `heading_path` holds
whole titles, numbers included, and in plain texts also the numbers of the clauses around (`(c) Standard deduction`,
`(2)`).
"""

from hrmbuild.readers.inference import HEAD_BYTES, infer_format
from hrmbuild.readers.registry import READERS, choose_format, read
from hrmbuild.readers.resolving import load_texts, resolve, resolve_in
from hrmbuild.readers.result import ReadResult

__all__ = [
    "HEAD_BYTES",
    "READERS",
    "ReadResult",
    "choose_format",
    "infer_format",
    "load_texts",
    "read",
    "resolve",
    "resolve_in",
]
