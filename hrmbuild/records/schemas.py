"""`schemas/*.json`, generated from the types: `python -m hrmbuild.records.schemas` writes them, `--check` compares.

Owns which types have a schema and the files' form. It must not describe anything by hand: descriptions are docstrings.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from hrmbuild.assets import asset_folder
from hrmbuild.config.project import ProjectConfig
from hrmbuild.files import write_atomic
from hrmbuild.records.checkpoint import CheckpointState
from hrmbuild.records.decision import Decision
from hrmbuild.records.erased import Erased
from hrmbuild.records.log import LogEntry
from hrmbuild.records.manifest import Manifest
from hrmbuild.records.package import PackageManifest, Probe
from hrmbuild.records.pair import Pair
from hrmbuild.records.proof import Proof
from hrmbuild.records.question import ValidatorQuestion
from hrmbuild.records.ruleset import RuleSet
from hrmbuild.records.token_files import TokenFiles
from hrmbuild.records.trust import TrustFile

SCHEMAS: dict[str, type[BaseModel]] = {
    "checkpoint.json": CheckpointState,
    "decision.json": Decision,
    "erased.json": Erased,
    "hrmbuild.yaml.json": ProjectConfig,
    "log-entry.json": LogEntry,
    "manifest.json": Manifest,
    "package.json": PackageManifest,
    "probe.json": Probe,
    "proof.json": Proof,
    "row.json": Pair,
    "question.json": ValidatorQuestion,
    "ruleset.json": RuleSet,
    "token-files.json": TokenFiles,
    "trust.yaml.json": TrustFile,
}
"""File name in `schemas/` -> the type that it describes."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_bytes(model: type[BaseModel]) -> bytes:
    """JSON Schema of a type, indented, keys sorted, so that a change shows as a small difference."""
    schema: dict[str, Any] = {"$schema": DIALECT, **model.model_json_schema(mode="validation", by_alias=True)}
    return (json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def row_schema_bytes() -> bytes:
    """The schema that goes into every evidence pack."""
    return schema_bytes(Pair)


def stale(folder: Path) -> list[str]:
    """Names of schemas in `folder` that are missing, differ from the types, or describe nothing; sorted."""
    wanted = {name: schema_bytes(model) for name, model in SCHEMAS.items()}
    found = {path.name: path.read_bytes() for path in sorted(folder.glob("*.json"))}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def main(arguments: list[str]) -> int:
    """Write the schemas, or with `--check` name the stale ones and return 1."""
    folder = asset_folder("schemas")
    if arguments == ["--check"]:
        names = stale(folder)
        print(f"stale: {', '.join(names)}; run: make schemas" if names else "schemas are fresh")
        return 1 if names else 0
    for name, model in SCHEMAS.items():
        write_atomic(folder / name, schema_bytes(model))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
