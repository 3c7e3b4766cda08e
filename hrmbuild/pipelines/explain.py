"""`hrmbuild explain CODE`: what a reason code means and what to do.

Owns looking it up and the neighbours of a code that nobody knows. It must not read a project.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from hrmbuild.errors import UsageError
from hrmbuild.records.reasons import ANY_ERROR, FAMILIES, REASONS

_FORM = re.compile(r"[a-z]+(?:\.[a-z0-9_]+)+")
_FAMILY_ACTION = "Do what the message says under it; `hrmbuild COMMAND --help` shows the flags."


@dataclass(frozen=True)
class Explanation:
    """A code in plain words."""

    code: str
    meaning: str
    action: str

    def as_dict(self) -> dict[str, object]:
        """The keys of `explain --json`."""
        return {"code": self.code, "meaning": self.meaning, "action": self.action}


def explain(code: str) -> Explanation:
    """What a code means.

    Raises:
        UsageError: `explain.unknown_code`: there is no such code.
    """
    code = code.strip()
    if code in REASONS:
        return Explanation(code, *REASONS[code])
    family = code.partition(".")[0]
    if family in ("read", "compile", "gate", "corpus") or not _FORM.fullmatch(code):
        near = difflib.get_close_matches(code, REASONS, n=1)
        fix = f"did you mean {near[0]}?" if near else "codes look like gate.secret; they stand in reports behind `code`"
        raise UsageError("explain.unknown_code", f"there is no code {code!r}", where="hrmbuild explain", fix=fix)
    return Explanation(code, FAMILIES.get(family, ANY_ERROR), _FAMILY_ACTION)
