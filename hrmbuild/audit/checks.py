"""What a verification says: one line a check, each on its own, so that one bad thing never hides another.

Owns the shape of a check and of the report. It must not perform any check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    """Stable words: `rows`, `file pairs.parquet`, `content_root`."""
    ok: bool
    detail: str
    """One sentence: what was found, or which things are missing, extra or altered."""
    about_who: bool = False
    """It asks who signed (`authentic`), not whether bytes are as they were written (`intact`)."""
    looked_at: bool = True
    """False: the thing was not at hand or not asked for. It fails nothing, and nobody may read an `ok` into it."""

    def as_dict(self) -> dict[str, object]:
        """The check as `--json` shows it: `ok` is null where nothing was looked at."""
        return {"name": self.name, "ok": self.ok if self.looked_at else None, "detail": self.detail}


def not_looked_at(name: str, why: str) -> Check:
    """The line of a check that could not be made."""
    return Check(name, True, why, looked_at=False)


@dataclass(frozen=True)
class VerifyReport:
    """All checks of one artifact."""

    kind: str
    """`manifest`, `run` or `package`."""
    path: str
    checks: tuple[Check, ...]
    trust: str | None = None
    """The trust file that was asked."""

    @property
    def intact(self) -> bool:
        """Nothing is missing, extra or altered."""
        return all(check.ok for check in self.checks if not check.about_who)

    @property
    def authentic(self) -> bool | None:
        """Whether who signed it may do so; None where nobody was asked (no trust file), or where it carries
        no signature: that who froze its corpus may do so says nothing of a run."""
        asked = [check for check in self.checks if check.about_who]
        if any(check.looked_at and not check.ok for check in asked):
            return False
        return True if asked and all(check.looked_at for check in asked) else None

    @property
    def not_looked_at(self) -> tuple[str, ...]:
        """Names of what could not be looked at."""
        return tuple(check.name for check in self.checks if not check.looked_at)

    @property
    def ok(self) -> bool:
        """Intact, and not known to be signed by somebody else."""
        return self.intact and self.authentic is not False

    def as_dict(self) -> dict[str, object]:
        """The keys that `verify --json` promises."""
        return {
            "kind": self.kind,
            "path": self.path,
            "ok": self.ok,
            "intact": self.intact,
            "authentic": self.authentic,
            "checks": [check.as_dict() for check in self.checks],
            "not_looked_at": list(self.not_looked_at),
            "trust": self.trust,
        }


def named(things: Sequence[str], *, limit: int = 5) -> str:
    """The first few of many names, with the number of the others."""
    shown = ", ".join(things[:limit])
    return f"{shown} and {len(things) - limit} more" if len(things) > limit else shown
