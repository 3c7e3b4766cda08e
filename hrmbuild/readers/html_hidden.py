"""Which elements of a page hide their words: by attribute, by style, by a class that the page's own style hides.

Owns that suspicion. Only simple selectors (`.note`, `#x`) outside `@media` count; style sheets of other files are never
fetched. It must not read text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import lxml.etree as etree

_ZERO = r"\s*:\s*0*(?:\.0+)?(?:px|em|rem|pt|%|vh|vw)?\s*(?:!important\s*)?(?:;|$|})"
_HIDING = re.compile(
    r"(?:^|[;{\s])(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|font-size" + _ZERO + r"|opacity" + _ZERO
    + r"|text-indent\s*:\s*-\d{4,}|(?:left|top)\s*:\s*-\d{4,})"
)  # fmt: skip
_NO_SIZE = re.compile(r"(?:^|[;{\s])(?:max-)?(?:width|height)" + _ZERO)
_WHITE = r"(?:white|#fff|#ffffff|rgba?\(\s*255\s*,\s*255\s*,\s*255\s*(?:,\s*1\s*)?\))\s*(?:!important\s*)?(?:;|$|})"
_WHITE_WORDS = re.compile(r"(?:^|[;{\s])color\s*:\s*" + _WHITE)
_WHITE_GROUND = re.compile(r"(?:^|[;{\s])background(?:-color)?\s*:\s*" + _WHITE)
_GROUND = re.compile(r"(?:^|[;{\s])background")
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_RULE = re.compile(r"([^{}@]{1,2000})\{([^{}]{0,5000})\}")
_MEDIA = re.compile(r"@[\w-]+[^{};]{0,500}\{(?:[^{}]{0,5000}\{[^{}]{0,5000}\}){0,500}[^{}]{0,5000}\}")
_SIMPLE = re.compile(r"[.#][\w-]+$")
_MAX_STYLE_CHARS = 1 << 19


@dataclass(frozen=True)
class Hiding:
    """What the page's own style hides."""

    selectors: frozenset[str]
    """`.name` and `#id`."""

    def hides(self, element: etree._Element) -> bool:
        """Whether the words below an element are not seen by who looks at the page."""
        if "hidden" in element.attrib or (element.get("aria-hidden") or "").strip().lower() == "true":
            return True
        style = (element.get("style") or "").strip().lower()[:5000]
        if style and (_HIDING.search(style) or (_NO_SIZE.search(style) and "hidden" in style)):
            return True
        names = [f".{name}" for name in (element.get("class") or "").split()] + [f"#{element.get('id')}"]
        if not self.selectors.isdisjoint(names):
            return True
        return _is_white(element, style) and _on_white(element)


def read_hiding(root: etree._Element) -> Hiding:
    """The simple selectors that the page's `<style>` elements hide."""
    found: set[str] = set()
    for element in root.iter("style"):
        sheet = _MEDIA.sub(" ", _COMMENT.sub(" ", "".join(map(str, element.itertext()))[:_MAX_STYLE_CHARS]))
        for selectors, body in _RULE.findall(sheet):
            if _HIDING.search(body.strip().lower()):
                found.update(one.strip() for one in selectors.split(",") if _SIMPLE.match(one.strip()))
    return Hiding(frozenset(found))


def _is_white(element: etree._Element, style: str) -> bool:
    named = (element.get("color") or "").strip().lower() if element.tag == "font" else ""
    return named in ("white", "#ffffff", "#fff") or bool(_WHITE_WORDS.search(style))


def _on_white(element: etree._Element) -> bool:
    """The nearest ground that is declared is white, or none is; a class may declare one, so it counts as a ground."""
    around: etree._Element | None = element
    while around is not None:
        style = (around.get("style") or "").strip().lower()[:5000]
        if _GROUND.search(style):
            return bool(_WHITE_GROUND.search(style))
        if around.get("bgcolor"):
            return (around.get("bgcolor") or "").strip().lower() in ("white", "#ffffff", "#fff")
        if around.get("class") or around.get("id"):
            return False
        around = around.getparent()
    return True
