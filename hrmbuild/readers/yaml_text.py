"""YAML whose scalars stay the text that was written, with the place of every value, safe on hostile input.

Owns the step from YAML to plain values for rule sets and front matter: `500`, `12.30`, `yes` and `2026-01-01` stay
text (the strict models parse them), only an empty value, `~` and `null` are null. It must not know what keys mean.
Anchors, nesting beyond `MAX_DEPTH` and duplicate keys are refused before anything is built, so that a small file
cannot become a large value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from hrmbuild.config.yaml_lines import Path

MAX_DEPTH = 40
"""A rule set nests four deep; the parser is recursive, so depth is checked on the flat stream of events first."""


class YamlTextError(Exception):
    """What is wrong, and where (1-based line and column)."""

    def __init__(self, code: str, what: str, *, line: int, column: int) -> None:
        super().__init__(what)
        self.code, self.what, self.line, self.column = code, what, line, column


@dataclass(frozen=True)
class YamlText:
    """Plain values, and for each path of keys and indexes its node (a mapping's entry also has its key's node)."""

    value: Any
    nodes: dict[Path, yaml.Node] = field(default_factory=dict)
    keys: dict[Path, yaml.Node] = field(default_factory=dict)

    @property
    def places(self) -> dict[Path, tuple[int, int]]:
        """Path -> (line, column), 1-based; a mapping's entry points at its key."""
        nodes = {**self.nodes, **self.keys}
        return {path: (node.start_mark.line + 1, node.start_mark.column + 1) for path, node in nodes.items()}


def parse_yaml_text(text: str) -> YamlText:
    """Parse one YAML document.

    Raises:
        YamlTextError: `read.not_yaml`, `read.yaml_too_deep`, `read.yaml_alias`, `read.duplicate_key`.
    """
    try:
        _check_events(text)
        node = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise YamlTextError("read.not_yaml", error.problem or "unreadable", line=line, column=column) from None
    except yaml.YAMLError as error:
        raise YamlTextError("read.not_yaml", str(error).splitlines()[0], line=1, column=1) from None
    parsed = YamlText(value=None)
    value = _build(node, (), parsed) if node is not None else None
    return YamlText(value, parsed.nodes, parsed.keys)


def _check_events(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _error("read.yaml_alias", "an alias (`*name`) stands for other text: write the values out", event)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _error("read.yaml_too_deep", f"values nest more than {MAX_DEPTH} deep", event)


def _build(node: yaml.Node, path: Path, into: YamlText) -> Any:
    into.nodes[path] = node
    if isinstance(node, yaml.MappingNode):
        return {_key(key, path, into): _build(child, (*path, str(key.value)), into) for key, child in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_build(child, (*path, index), into) for index, child in enumerate(node.value)]
    plain = isinstance(node, yaml.ScalarNode) and node.style is None
    return None if plain and node.value in ("", "~", "null") else node.value


def _key(key: yaml.Node, path: Path, into: YamlText) -> str:
    if not isinstance(key, yaml.ScalarNode):
        raise _error("read.not_yaml", "a key must be a plain word", key)
    child = (*path, str(key.value))
    if child in into.keys:
        first = into.keys[child].start_mark.line + 1
        raise _error("read.duplicate_key", f"the key {key.value!r} stands twice (first on line {first})", key)
    into.keys[child] = key
    return str(key.value)


def _error(code: str, what: str, at: yaml.Event | yaml.Node) -> YamlTextError:
    mark = at.start_mark
    return YamlTextError(code, what, line=mark.line + 1, column=mark.column + 1)
