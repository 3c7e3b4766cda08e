"""What the corpus-level pass is told about likeness: thresholds from the settings, evaluation sets from their files.

Owns reading the protected files: every text field of a row, or every line of a text. It must not compare anything.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hrmbuild.config.loading import Project
from hrmbuild.errors import ConfigError
from hrmbuild.fingerprint import hash_file
from hrmbuild.store.surface import SurfaceRules


def surface_rules(project: Project) -> SurfaceRules:
    """The rules of this project.

    Raises:
        ConfigError: `config.no_protected_set`: a file that `gates.protected_sets` names cannot be read.
    """
    gates = project.config.gates
    return SurfaceRules(
        near_duplicates=gates.near_duplicates,
        leak_words=gates.leak_words,
        leak_common=gates.leak_common,
        protected=tuple((name, hash_file(_path(project, name))) for name in gates.protected_sets or ()),
    )


def protected_texts(project: Project) -> Iterator[str]:
    """Every text of the protected files."""
    for name in project.config.gates.protected_sets or ():
        text = _path(project, name).read_text(encoding="utf-8", errors="replace")
        yield from _texts(text, suffix=Path(name).suffix.lower())


def _path(project: Project, name: str) -> Path:
    path = project.folder / name
    if not path.is_file():
        raise ConfigError("config.no_protected_set", f"there is no file {name}", where="gates.protected_sets",
                          why="an evaluation set that is not read is not protected",
                          fix="correct the path, which is relative to the folder of the settings")  # fmt: skip
    return path


def _texts(text: str, *, suffix: str) -> Iterator[str]:
    if suffix in (".csv", ".tsv"):
        for row in csv.reader(io.StringIO(text), delimiter="\t" if suffix == ".tsv" else ","):
            yield from row
        return
    try:
        yield from _strings(json.loads(text))
        return
    except ValueError:
        pass
    for line in text.splitlines():
        try:
            yield from _strings(json.loads(line)) if line.lstrip().startswith(("{", "[")) else [line]
        except ValueError:
            yield line
    yield from text.split("\n\n") if suffix in ("", ".txt", ".md") else ()


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _strings(child)
