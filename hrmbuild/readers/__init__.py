"""File -> records with exact places: one file a format.

What a block's `text` holds: the words at its span, without the marks of Markdown around it (`## `, `- `) and without
its clause number, which stands in `number`; whoever shows a block writes `number` and `text`. `heading_path` holds
whole titles, numbers included, and in plain texts also the numbers of the clauses around (`(c) Standard deduction`,
`(2)`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hrmbuild.readers.inference import HEAD_BYTES, infer_format
    from hrmbuild.readers.registry import READERS, choose_format, read
    from hrmbuild.readers.resolving import load_texts, resolve, resolve_in
    from hrmbuild.readers.result import ReadResult

_MODULES = {
    "HEAD_BYTES": "inference", "READERS": "registry", "ReadResult": "result", "choose_format": "registry",
    "infer_format": "inference", "load_texts": "resolving", "read": "registry", "resolve": "resolving",
    "resolve_in": "resolving",
}  # fmt: skip

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


def __getattr__(name: str) -> Any:
    """Loaded when first asked for: a process that unpacks one Parquet file starts without all the other readers."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
