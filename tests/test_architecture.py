"""The table of import directions in `hrmbuild/README.md`, held against the code by its syntax trees."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "hrmbuild"
FOUNDATION = {"errors", "fingerprint", "files", "processes", "assets", "__init__"}
NOUNS = FOUNDATION | {"records", "config"}
HEAVY = {"torch", "duckdb", "polars", "accelerate", "transformers", "cryptography", "starlette"}

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "fingerprint": {"errors"},
    "files": {"errors"},
    "processes": set(),
    "assets": {"errors"},
    "shards": {"errors"},
    "config": FOUNDATION | {"config"},
    "records": FOUNDATION | {"records", "config"},
    "readers": NOUNS | {"readers"},
    "pairs": NOUNS | {"pairs"},
    "gates": NOUNS | {"gates"},
    "tokens": NOUNS | {"tokens"},
    "audit": NOUNS | {"audit"},
    "store": FOUNDATION | {"records", "store"},
    "model": {"errors", "fingerprint", "config", "model"},
    "training": NOUNS | {"shards", "model", "tokens", "training"},
    "inference": NOUNS | {"shards", "model", "tokens", "inference"},
    "retrieval": NOUNS | {"retrieval"},
    "review": NOUNS | {"review"},
    "evaluation": NOUNS | {"inference", "model", "tokens", "audit", "evaluation"},
    "packaging": NOUNS | {"inference", "model", "tokens", "audit", "packaging"},
    "pipelines": NOUNS
    | {"readers", "pairs", "gates", "tokens", "audit", "store", "model", "training", "inference", "evaluation"}
    | {"packaging", "pipelines", "retrieval", "review", "shards"},
    "cli": NOUNS | {"pipelines", "cli"},
    "__main__": {"cli"},
}
"""`model` is narrower still: of config it may use only the model's shape; see the test below."""

LIBRARIES: dict[str, set[str]] = {
    "torch": {"shards", "model", "training", "inference", "evaluation", "packaging", "pipelines"},
    "duckdb": {"store", "pipelines"},
    "polars": {"store", "pipelines"},
    "accelerate": {"training"},
    "transformers": {"evaluation"},
    "bm25s": {"retrieval"},
    "typer": {"cli"},
    "cryptography": {"audit"},
    "tensorboard": {"training"},
    "mlflow": {"training"},
    "wandb": {"training"},
    "starlette": {"review"},
    "uvicorn": {"review"},
    "lingua": {"gates"},
    "psycopg": {"readers"},
}

STAND_ALONE = "standalone_check.py"
"""Copied into evidence packs and run there without hrmbuild: it brings its own reader of Parquet."""


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "_assets" not in path.parts)


def room_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


@cache
def imports_of(path: Path) -> list[tuple[int, str]]:
    """Line and module of each import at run time; those under `if TYPE_CHECKING` bind nothing and are left out."""
    found: list[tuple[int, str]] = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guards = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    for_types = {id(child) for guard in guards for child in ast.walk(guard)}
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "hrmbuild" else [f"hrmbuild.{a.name}" for a in node.names]
            found += [(node.lineno, name) for name in names]
    return found


def test_imports_point_down_only() -> None:
    upward = [
        f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        for path in modules()
        for line, name in imports_of(path)
        if name.startswith("hrmbuild.")
        and name.split(".")[1] not in MAY_IMPORT.get(room_of(path), set()) | {room_of(path), "__version__"}
    ]
    assert upward == []


@pytest.mark.parametrize("library", sorted(LIBRARIES))
def test_each_heavy_library_stays_in_its_rooms(library: str) -> None:
    strays = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in modules()
        for line, name in imports_of(path)
        if name.split(".")[0] == library and room_of(path) not in LIBRARIES[library] and path.name != STAND_ALONE
    ]
    assert strays == []


def test_the_model_knows_nothing_but_its_own_settings_torch_and_safetensors() -> None:
    allowed = {"config.model", "model", "errors", "fingerprint"}
    strays = []
    for path in modules():
        if room_of(path) != "model":
            continue
        for line, name in imports_of(path):
            inside = name.removeprefix("hrmbuild.") if name.startswith("hrmbuild.") else None
            outside = inside is None and name.split(".")[0] not in {"torch", "safetensors", *sys.stdlib_module_names}
            if outside or (inside and inside not in allowed and inside.split(".")[0] != "model"):
                strays.append(f"{path.relative_to(PACKAGE)}:{line} imports {name}")
    assert strays == []


def test_every_room_is_in_the_table_and_on_the_map() -> None:
    rooms = {room_of(path) for path in modules()} - {"__init__"}
    assert rooms == set(MAY_IMPORT)
    on_the_map = (PACKAGE / "README.md").read_text(encoding="utf-8")
    assert [room for room in sorted(rooms) if f"`{room}" not in on_the_map] == []


def test_files_and_functions_stay_small() -> None:
    long_files = [f"{p.relative_to(PACKAGE)}: {n}" for p in modules() if (n := p.read_text().count("\n")) > 400]
    long_functions = [
        f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > 60
    ]
    assert (long_files, long_functions) == ([], [])


def test_help_loads_no_heavy_library() -> None:
    program = (
        "import sys; from hrmbuild.cli.main import main; status = main(['--help']);"
        f"print(sorted(set(sys.modules) & {HEAVY!r}), status)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[] 0")
