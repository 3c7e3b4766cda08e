"""Make a wheelhouse that installs with no network: our wheel, every wheel it needs, their hashes, a CycloneDX list.

    python .ci/bundle.py build/bundle
    cd build/bundle && pip install --no-index --find-links wheels --require-hashes -r requirements.txt

The wheels are those of the machine it runs on: its Python version, system and processor. Nothing in the two lists
names that machine or the registry: they are read from the wheels alone, and equal wheels give equal lists.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Wheel:
    """One wheel, as its own METADATA describes it."""

    name: str
    version: str
    sha256: str
    n_bytes: int
    license: str | None
    needs: tuple[str, ...]
    """Canonical names of what it requires here, sorted."""

    @property
    def purl(self) -> str:
        """Its package URL, which is also its reference in the list."""
        return f"pkg:pypi/{self.name}@{quote(self.version, safe='')}"


def main(target: Path) -> None:
    """Fill `target`, which is emptied first."""
    shutil.rmtree(target, ignore_errors=True)
    folder = target / "wheels"
    folder.mkdir(parents=True)
    command = ("pip", "wheel", "--quiet", "--wheel-dir", str(folder.resolve()), "-c", "constraints.txt", ".")
    subprocess.run([sys.executable, "-m", *command], check=True, cwd=ROOT)
    wheels = sorted(map(read_wheel, folder.glob("*.whl")), key=lambda wheel: wheel.name)
    lines = [f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wheels]
    (target / "requirements.txt").write_text("".join(lines), encoding="utf-8")
    (target / "bom.cdx.json").write_text(bill(wheels), encoding="utf-8")
    print(f"{len(wheels)} wheels, {sum(wheel.n_bytes for wheel in wheels) / 2**20:,.0f} MiB in {target}")
    print("install, in that folder: pip install --no-index --find-links wheels --require-hashes -r requirements.txt")


def read_wheel(path: Path) -> Wheel:
    """What the lists need to know of a wheel."""
    with zipfile.ZipFile(path) as archive:
        inside = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = BytesParser().parsebytes(archive.read(inside))
    data = path.read_bytes()
    required = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    here = [one for one in required if one.marker is None or one.marker.evaluate({"extra": ""})]
    return Wheel(
        name=canonicalize_name(metadata["Name"]),
        version=metadata["Version"],
        sha256=hashlib.sha256(data).hexdigest(),
        n_bytes=len(data),
        license=_license(metadata),
        needs=tuple(sorted({canonicalize_name(one.name) for one in here})),
    )


def _license(metadata: Message) -> str | None:
    """The SPDX expression, else the last part of a classifier, else the first line of the free text."""
    classifiers = [one for one in metadata.get_all("Classifier", []) if one.startswith("License :: ")]
    classified = classifiers[0].rpartition(" :: ")[2] if classifiers else None
    named = metadata["License-Expression"] or classified or metadata["License"]
    return str(named).strip().splitlines()[0] if named else None


def bill(wheels: list[Wheel]) -> str:
    """CycloneDX 1.6 of exactly these wheels, reproducible: no time, no serial number."""
    known = {wheel.name: wheel.purl for wheel in wheels}
    own = next(wheel for wheel in wheels if wheel.name == "hrmbuild")
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component(own, kind="application")},
        "components": [component(wheel, kind="library") for wheel in wheels if wheel is not own],
        "dependencies": [
            {"ref": wheel.purl, "dependsOn": [known[name] for name in wheel.needs if name in known]} for wheel in wheels
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def component(wheel: Wheel, *, kind: str) -> dict[str, Any]:
    """One entry of the list."""
    entry = {"type": kind, "bom-ref": wheel.purl, "name": wheel.name, "version": wheel.version, "purl": wheel.purl,
             "hashes": [{"alg": "SHA-256", "content": wheel.sha256}]}  # fmt: skip
    return entry | ({"licenses": [{"license": {"name": wheel.license}}]} if wheel.license else {})


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/bundle"))
