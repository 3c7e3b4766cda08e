"""The YAML between two `---` lines at the top of a Markdown file: title, dates, owners become header fields.

Owns where front matter ends and how its values become text. It must not fail: front matter that is no YAML is left to
the caller as a skip.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml

from hrmbuild.readers.spans import SourceText, nfc
from hrmbuild.readers.yaml_text import YamlText, YamlTextError, parse_yaml_text
from hrmbuild.records.locator import Locator

_FENCED = re.compile(r"---[ \t]*\n(?P<body>(?:.*\n)*?)(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
_MAX_CHARS = 65536


@dataclass(frozen=True)
class FrontMatter:
    """Header fields from front matter; `n_lines` is 0 where there is none."""

    n_lines: int = 0
    values: dict[str, str] = field(default_factory=dict)
    locators: dict[str, Locator] = field(default_factory=dict)
    problem: str | None = None
    """Why it could not be read."""


def find_front_matter(source: SourceText) -> FrontMatter:
    """Front matter of a text: fenced by `---` at the very top and holding a mapping."""
    match = _FENCED.match(source.text[:_MAX_CHARS])
    if match is None or not re.search(r"^[\w\"'-]+\s*:", match["body"], re.MULTILINE):
        return FrontMatter()
    n_lines = match.group().count("\n") + (not match.group().endswith("\n"))
    try:
        parsed = parse_yaml_text(match["body"])
    except YamlTextError as error:
        return FrontMatter(n_lines, problem=f"line {error.line + 1}: {error.what}")
    if not isinstance(parsed.value, dict):
        return FrontMatter(n_lines, problem="it holds no `name: value` lines")
    return _fields(source, parsed, offset=match.start("body"), n_lines=n_lines)


def _fields(source: SourceText, parsed: YamlText, *, offset: int, n_lines: int) -> FrontMatter:
    values: dict[str, str] = {}
    locators: dict[str, Locator] = {}
    for name, value in parsed.value.items():
        if value in (None, "", [], {}):
            continue
        node = parsed.nodes[(name,)]
        start, end = source.trimmed(node.start_mark.index + offset, node.end_mark.index + offset)
        key = name.lower()
        values[key], locators[key] = _field(source, value, node, start, end)
    return FrontMatter(n_lines, values, locators)


def _field(source: SourceText, value: object, node: yaml.Node, start: int, end: int) -> tuple[str, Locator]:
    """A scalar keeps its exact span where the file spells it out; folded text and lists are named by their lines."""
    if isinstance(value, str):
        text = nfc(value.strip())
        quotes = 1 if isinstance(node, yaml.ScalarNode) and node.style in ("'", '"') else 0
        inner = source.trimmed(start + quotes, end - quotes)
        if nfc(source.text[slice(*inner)]) == text:
            return text, source.locator(*inner)
    else:
        scalars = value if isinstance(value, list) and all(isinstance(v, str) for v in value) else None
        text = nfc(", ".join(scalars) if scalars else source.text[start:end])
    return text, source.lines_locator(source.line_number(start), source.line_number(max(start, end - 1)))
