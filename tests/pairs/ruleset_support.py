"""Rule sets for tests: the example company's, read as ingest reads them, and small ones made of a dict."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from hrmbuild.assets import asset_folder
from hrmbuild.config.project import RulesConfig, SourceConfig
from hrmbuild.fingerprint import hash_file
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.environment import Templates
from hrmbuild.readers.registry import read
from hrmbuild.records.document import RuleSetFile
from hrmbuild.records.locator import Locator
from hrmbuild.records.ruleset import RuleSet
from hrmbuild.records.source import Source

EXAMPLES = ("home-claims", "premium-refunds", "travel-expenses")
ZEROS = "0" * 64

PARKING: dict[str, Any] = {
    "ruleset": "parking",
    "title": "Parking",
    "question": "Is the bay given, shared or refused?",
    "facts": {
        "distance": {"type": "integer", "text": "distance", "unit": "km", "min": "0", "max": "40"},
        "role": {"type": "choice", "text": "role", "values": ["driver", "clerk", "guest"]},
        "permit": {"type": "boolean", "text": "permit"},
        "colour": {"type": "choice", "text": "colour", "values": ["red", "blue"]},
    },
    "parameters": {
        "near": {"value": "5", "min": "2", "max": "15", "text": "distance below which no bay is given"},
        "far": {"value": "20", "min": "10", "max": "30", "less_than": None},
    },
    "outcomes": ["give", "share", "refuse"],
    "rules": [
        {"id": "R1", "when": "distance < near", "then": "refuse", "text": "Under {near} km: refuse.",
         "because": "distance {distance} under {near}"},
        {"id": "R2", "when": "permit and role <> 'guest'", "then": "give", "text": "Permit and no guest: give.",
         "because": "permit, {role}", "optional": "true"},
        {"id": "R3", "when": "distance between far and 35", "then": "share", "text": "From {far} to 35 km: share.",
         "because": "distance {distance}"},
    ],
}  # fmt: skip
"""Three rules, a gap (nothing says what happens between), an irrelevant fact, and a literal beside the parameters."""


@contextmanager
def opened() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that is closed afterwards."""
    with duckdb.connect(config={"threads": 2}) as connection:
        yield connection


def ruleset(**changes: object) -> RuleSet:
    """`PARKING` with other keys."""
    return RuleSet.model_validate({**PARKING, **changes})


def record_of(rules: RuleSet) -> RuleSetFile:
    """A rule set as its reader would hand it over."""
    return RuleSetFile(source_sha256=ZEROS, path="rules/x.yaml", ruleset=rules, locator=Locator(line_from=1, line_to=9))


def example_record(name: str) -> RuleSetFile:
    """One of the example company's rule sets."""
    path = asset_folder("examples") / "rules" / f"{name}.yaml"
    settings = SourceConfig(path="rules", kind="rules")
    found = read(path, relative=f"rules/{name}.yaml", sha256=hash_file(path), source=settings, format="ruleset")
    (record,) = found.records
    assert isinstance(record, RuleSetFile)
    return record


def context_of(
    record: RuleSetFile, connection: duckdb.DuckDBPyConnection, *, seed: int = 0, **rules: Any
) -> CompileContext:
    """What ingest would hand to the compiler."""
    return CompileContext(
        seed=seed,
        source=Source(
            path=record.path, sha256=record.source_sha256, n_bytes=1, kind="rules", format="ruleset", declared_by="h:1"
        ),
        settings=SourceConfig(path="rules", kind="rules", rules=RulesConfig(**rules)),
        templates=templates(),
        connection=connection,
    )


def templates(*folders: Path) -> Templates:
    """The built-in templates, after folders that stand before them."""
    return Templates([*folders, asset_folder("templates")])
