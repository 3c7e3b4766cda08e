"""Where `templates/`, `schemas/` and `examples/` are: inside the wheel, or beside the package in a checkout.

Owns the two places. It must not read the files' contents.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def asset_folder(name: str) -> Path:
    """The folder `templates`, `schemas` or `examples`.

    A wheel carries them under `hrmbuild/_assets` (hatchling's force-include); an editable install has no `_assets`, so
    the checkout's top level is the second place.

    Raises:
        FileNotFoundError: neither place has it, which is a fault of the installation.
    """
    for place in (_PACKAGE / "_assets" / name, _PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"this installation of hrmbuild lacks its {name}/ folder; install it again")
