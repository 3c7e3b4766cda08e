"""Names of checkpoints, without what is in them: `status` looks at a run in an instant, and so loads no torch."""

from __future__ import annotations

import re
from pathlib import Path

STATE_NAME = "state.json"
_FOLDER = re.compile(r"step_(\d{6,})")


def folder_of(step: int) -> str:
    """`step_000120`."""
    return f"step_{step:06d}"


def step_of(folder: Path) -> int:
    """120 of `step_000120`."""
    return int(folder.name.removeprefix("step_"))


def checkpoint_folders(checkpoints: Path) -> list[Path]:
    """Complete checkpoints, newest first; nothing in them is read."""
    if not checkpoints.is_dir():
        return []
    found = [path for path in checkpoints.iterdir() if _FOLDER.fullmatch(path.name)]
    return sorted(found, key=step_of, reverse=True)
