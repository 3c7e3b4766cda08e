"""An answer's text, piece by piece, while its tokens come.

Owns when a piece may be shown: a letter of several bytes may take several tokens, and half of it is no text. It must
not know the model.
"""

from __future__ import annotations

from hrmbuild.tokens.tokenizer import TextTokenizer

_UNFINISHED = "\ufffd"
"""What decoding puts for bytes that are no letter yet."""


class TextStream:
    """Pieces that join to the whole answer's text."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._shown = ""

    def add(self, token_id: int) -> str:
        """The text that this token completes; often a word, sometimes nothing."""
        self._ids.append(token_id)
        text = self._tokenizer.decode(self._ids)
        return "" if text.endswith(_UNFINISHED) or not text.startswith(self._shown) else self._show(text)

    def rest(self, text: str) -> str:
        """What of the whole answer has not been shown; the whole on a line of its own where it reads otherwise."""
        return self._show(text) if text.startswith(self._shown) else f"\n{text}"

    def _show(self, text: str) -> str:
        piece, self._shown = text[len(self._shown) :], text
        return piece
