"""YAML with the line and column of every value, duplicate keys refused.

Owns the reading of our own settings files. It must not know what the keys mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from hrmbuild.errors import ConfigError

Path = tuple[str | int, ...]

MOST_DEEP = 20
"""The deepest setting stands five levels down."""


@dataclass(frozen=True)
class Positioned:
    """A parsed YAML text: plain values, and where each stands."""

    value: Any
    places: dict[Path, tuple[int, int]]
    """Path of keys and indexes -> (line, column), both 1-based; a mapping's entry points at its key."""

    def place_of(self, path: Path) -> tuple[int, int]:
        """The place of the longest known beginning of `path`."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))


class _Loader(yaml.SafeLoader):
    """Safe YAML that keeps dates as text: strict models parse them, and canonical JSON wants text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse_yaml(text: str, *, name: str) -> Positioned:
    """Parse `text`, called `name` in messages.

    Raises:
        ConfigError: `config.not_yaml` or `config.duplicate_key`, with line and column.
    """
    loader: Any = _Loader(text)  # PyYAML has no annotations of its own
    try:
        node = loader.get_single_node()
        places: dict[Path, tuple[int, int]] = {}
        if node is not None:
            _walk(node, path=(), places=places, name=name)
        value = loader.construct_document(node) if node is not None else None
    except yaml.YAMLError as error:
        raise _syntax_error(error, name) from error
    finally:
        loader.dispose()
    return Positioned(value=value, places=places)


def _walk(node: yaml.Node, *, path: Path, places: dict[Path, tuple[int, int]], name: str) -> None:
    place = (node.start_mark.line + 1, node.start_mark.column + 1)
    places.setdefault(path, place)
    if len(path) > MOST_DEEP:
        raise ConfigError(
            "config.too_deep",
            f"settings are nested more than {MOST_DEEP} deep here",
            where=f"{name}:{place[0]}:{place[1]}",
            why="no setting is; an alias that holds itself would go on for ever",
            fix="write the value out",
        )
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            _walk(child, path=(*path, index), places=places, name=name)
    elif isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            _walk_entry(key, child, path=path, places=places, name=name)


def _walk_entry(
    key: yaml.Node, child: yaml.Node, *, path: Path, places: dict[Path, tuple[int, int]], name: str
) -> None:
    place = (key.start_mark.line + 1, key.start_mark.column + 1)
    child_path = (*path, str(key.value))
    if child_path in places:
        first = places[child_path][0]
        raise ConfigError(
            "config.duplicate_key",
            f"the key {key.value!r} stands twice",
            where=f"{name}:{place[0]}:{place[1]}",
            why=f"it stands on line {first} already, and one of the two would be lost",
            fix="remove one of them",
        )
    places[child_path] = place
    _walk(child, path=child_path, places=places, name=name)


def _syntax_error(error: yaml.YAMLError, name: str) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return ConfigError(
        "config.not_yaml", f"this is not valid YAML: {problem}", where=where, fix="mend the line named above"
    )
