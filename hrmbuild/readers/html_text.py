"""The words of an HTML mail as plain lines: block elements end a line, list items begin with `- `, nothing is
rendered.

Owns that reduction, with the standard library's parser: no network, no entities of its own, no scripts. Text that a
sender hid (`display:none`, size 0, `hidden`) is kept out and reported. It must not aim at pages: HTML files are a
format of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser

_BLOCKS = frozenset(
    {"address", "article", "blockquote", "br", "dd", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li",
     "ol", "p", "pre", "section", "table", "tr", "ul"}
)  # fmt: skip
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "blockquote", "pre"})
_UNREAD = frozenset({"script", "style", "head", "title", "noscript", "template"})
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]*[1-9])|opacity\s*:\s*0(?!\.)"
)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_DECLARATION = re.compile(r"<[!?][^<>]*>")
_NO_TAG = re.compile(r"<(?!/?[A-Za-z][^<>]*>)")
_MAX_CHARS = 2 << 20
"""More markup than a mail has; the rest is left out."""
_MAX_DEPTH = 2000


@dataclass(frozen=True)
class HtmlText:
    """Visible words as lines, and the words that were hidden."""

    text: str
    hidden: tuple[str, ...]


def html_to_text(markup: str) -> HtmlText:
    """The words of some HTML; broken markup gives what a lenient parser makes of it."""
    parser = _Words()
    parser.feed(_whole_tags(markup[:_MAX_CHARS]))
    parser.close()
    lines = [" ".join(line.split()) for line in "".join(parser.words).split("\n")]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
    return HtmlText(text, tuple(words for piece in parser.hidden if (words := " ".join(piece.split()))))


def _whole_tags(markup: str) -> str:
    """The markup without comments and declarations, and with every `<` that begins no whole tag as text.

    The parser searches on from each of these, which takes quadratic time on purpose-made input.
    """
    plain = _DECLARATION.sub(" ", _COMMENT.sub(" ", markup))
    return _NO_TAG.sub("&lt;", plain)


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.hidden: list[str] = []
        self._open: list[tuple[str, str]] = []
        """Open elements and how their words are taken: `read`, `unread` or `hidden`."""

    @property
    def _taking(self) -> str:
        return self._open[-1][1] if self._open else "read"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.words.append("\n\n" if tag in _PARAGRAPHS else "\n")
        if tag == "li":
            self.words.append("- ")
        if tag in ("td", "th"):
            self.words.append(" ")
        if tag in _VOID or len(self._open) >= _MAX_DEPTH:
            return
        taking = self._taking
        if taking == "read":
            taking = "unread" if tag in _UNREAD else "hidden" if _is_hidden(attrs) else "read"
        self._open.append((tag, taking))

    def handle_endtag(self, tag: str) -> None:
        tags = [open_tag for open_tag, _ in self._open[-50:]]
        if tag in tags:
            while self._open.pop()[0] != tag:
                pass
        if tag in _BLOCKS:
            self.words.append("\n\n" if tag in _PARAGRAPHS else "\n")

    def handle_data(self, data: str) -> None:
        if self._taking == "read":
            self.words.append(data if any(tag == "pre" for tag, _ in self._open[-5:]) else re.sub(r"\s+", " ", data))
        elif self._taking == "hidden":
            self.hidden.append(data)


def _is_hidden(attrs: list[tuple[str, str | None]]) -> bool:
    named = {name: value or "" for name, value in attrs}
    return "hidden" in named or bool(_HIDING.search(named.get("style", "").lower()))
