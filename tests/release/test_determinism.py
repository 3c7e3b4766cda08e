"""Equal inputs, equal bytes: two builds in two folders; the corpus under other threads, locales, zones and seeds."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest
from installed import STEPS, Environment, short_demo

BARE = {"OMP_NUM_THREADS": "2", "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "1"}
CHANGES = {
    "one thread": {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"},
    "another locale": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "another time zone": {"TZ": "Pacific/Auckland"},
    "another hash seed": {"PYTHONHASHSEED": "4242"},
    "another processor": {"ATEN_CPU_CAPABILITY": "avx2"},
}
HERE = Environment(Path(sys.executable).parent.parent)
"""The environment that runs the tests: determinism needs no installation of its own."""


def build(folder: Path, **variables: str) -> dict[str, str]:
    """Build in `folder`; what must be equal."""
    project = short_demo(HERE, folder)
    HERE.run("hrmbuild", "build", "--steps", STEPS, "--json", cwd=project, **variables)
    return identity(project)


def identity(project: Path) -> dict[str, str]:
    """Roots, hashes of tokenizer, token files and weights, with the names of the files relative to the project."""
    manifest = next(project.glob("manifests/*/manifest.json"))
    facts = {"content_root": json.loads(manifest.read_text())["content_root"]}
    token_files = [path for path in (project / "token-files").rglob("*") if path.is_file()]
    files = [manifest.parent / "tokenizer.json", *sorted(token_files)]
    for path in files:
        facts[path.relative_to(project).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    for result in sorted(project.glob("runs/*/result.json")):
        facts |= {key: value for key, value in json.loads(result.read_text()).items() if key.endswith("_sha256")}
    return facts


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return build(tmp_path_factory.mktemp("reference") / "demo", **BARE)


@pytest.mark.slow
def test_two_builds_in_two_folders_are_equal_down_to_the_weights(reference: dict[str, str], tmp_path: Path) -> None:
    assert {"content_root", "ema_sha256", "weights_sha256"} <= reference.keys()
    assert sum(name.startswith("token-files/") for name in reference) >= 4
    assert build(tmp_path / "elsewhere" / "deeper", **BARE) == reference


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_corpus_tokenizer_and_token_files_do_not_depend_on(
    change: str, reference: dict[str, str], tmp_path: Path
) -> None:
    found = build(tmp_path / "demo", **(BARE | CHANGES[change]))
    own = ("ema_sha256", "weights_sha256", "metrics_sha256")
    assert {name: value for name, value in found.items() if name not in own} == {
        name: value for name, value in reference.items() if name not in own
    }
