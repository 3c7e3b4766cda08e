"""The one place where passages and a question become an instruction.

Owns the name of the prompt's template and the shape of a passage. Compilers, ask, eval, the report and the
documentation of the chat template all come through here, so that a model is asked as it was trained.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from hrmbuild.pairs.environment import Templates

OPEN_BOOK = "prompt/open_book.j2"
"""Its hash stands in manifest and package."""


class Passage(NamedTuple):
    """A piece of shown text."""

    title: str | None
    """One line above the text: a document's title, a table's name; None shows the text alone."""
    text: str


def open_book_instruction(
    templates: Templates, *, passages: Sequence[Passage], question: str, case: str | None = None
) -> str:
    """The instruction: passages in the given order, the case where there is one, the question last; NFC.

    The result holds every passage's text verbatim (each in NFC), so that a quoted answer stands in it.
    """
    shown = [{"title": passage.title, "text": passage.text} for passage in passages]
    return unicodedata.normalize("NFC", templates.render(OPEN_BOOK, passages=shown, question=question, case=case))
