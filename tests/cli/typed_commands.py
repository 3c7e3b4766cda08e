"""What tests of commands share: the settings of a small company, and what a command leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SETTINGS = """\
name: small
sources:
  - {path: rules, kind: rules, owner: me, license: internal,
     rules: {scenarios: 40, variants: 12, variant_scenarios: 4}}
  - {path: memos, kind: memos, owner: me, license: internal}
train: {preset: nano, steps: 3, batch_tokens: 1024, threads: 1, eval_pairs: 8, eval_every_steps: 3,
        checkpoint_every_steps: 1}
model: {name: small, contact: me, intended_use: tests, excluded_use: all else}
"""


@dataclass(frozen=True)
class Outcome:
    """What a command left."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object of `--json`."""
        return json.loads(self.out)


Type = Callable[..., Outcome]
