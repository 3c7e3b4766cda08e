"""The proof that a document quotes its file: every span is resolved and compared."""

from __future__ import annotations

from pathlib import Path

from hrmbuild import readers


def check_spans(path: Path, format: str | None, result: readers.ReadResult) -> int:
    """Every block, and every header that has a span, is what stands in the file; returns how many were checked."""
    documents = [record for record in result.records if hasattr(record, "blocks")]
    if not documents or format is None:
        return 0
    texts = readers.load_texts(path, format=format)
    checked = 0
    for document in documents:
        quoted = [(block.locator, block.text) for block in document.blocks]
        quoted += [(place, document.headers[name]) for name, place in document.header_locators.items()
                   if place.char_from is not None or place.part is not None]  # fmt: skip
        for place, text in quoted:
            assert text.strip(), f"{path.name}: an empty block at {place}"
            assert readers.resolve_in(texts, place, where=path.name) == text
            checked += 1
    return checked
