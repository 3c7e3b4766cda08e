"""Make a wheelhouse that installs with no network: our wheel, every wheel it needs, their hashes, a CycloneDX list.

    python .ci/bundle.py build/bundle
    pip install --no-index --find-links build/bundle/wheels --require-hashes -r build/bundle/requirements.txt

The wheels are those of the machine it runs on: its Python version, system and processor.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(target: Path) -> None:
    """Fill `target`, which is emptied first."""
    shutil.rmtree(target, ignore_errors=True)
    wheels = target / "wheels"
    wheels.mkdir(parents=True)
    _run("pip", "wheel", "--quiet", "--wheel-dir", str(wheels), "-c", str(ROOT / "constraints.txt"), str(ROOT))
    _write_requirements(wheels, target / "requirements.txt")
    _write_bill(target)
    n_bytes = sum(path.stat().st_size for path in wheels.iterdir())
    print(f"{len(list(wheels.iterdir()))} wheels, {n_bytes / 2**20:,.0f} MiB in {target}")
    print(f"install: pip install --no-index --find-links {wheels} --require-hashes -r {target}/requirements.txt")


def _run(module: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", module, *arguments], check=True, cwd=ROOT)


def _write_requirements(wheels: Path, path: Path) -> None:
    """One pinned line with its SHA-256 a wheel, sorted by name."""
    lines = []
    for wheel in sorted(wheels.glob("*.whl"), key=lambda wheel: wheel.name.lower()):
        name, version = wheel.name.split("-")[:2]
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        lines.append(f"{name.replace('_', '-')}=={version} --hash=sha256:{digest}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_bill(target: Path) -> None:
    """CycloneDX 1.6 of exactly these wheels, reproducible: no time, no serial number."""
    _run(
        "cyclonedx_py", "requirements", "--output-reproducible", "--spec-version", "1.6", "--output-format", "JSON",
        "--pyproject", str(ROOT / "pyproject.toml"), "--output-file", str((target / "bom.cdx.json").resolve()),
        str((target / "requirements.txt").resolve()),
    )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/bundle"))
