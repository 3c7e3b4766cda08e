"""What a user is told when something cannot go on: one tree, one exit status a branch.

Owns the error types. It must not print, and it must not be raised for our own bugs: those stay plain exceptions and end
in exit status 70. Exit statuses are those of the command line's contract: 1 the answer is no, 2 usage or configuration,
3 an input or artifact is unreadable, missing or altered.
"""

from __future__ import annotations

from collections.abc import Sequence


class HrmbuildError(Exception):
    """An error that a user can act on.

    Args:
        code: stable dotted name, e.g. `config.unknown_key`.
        what: one sentence: what is wrong.
        where: `file:line`, `document p. 3`, or a command's flag.
        why: what follows from it, or which rule it breaks.
        fix: what to do now.
        more: further problems of the same pass, so that a user sees all at once.
    """

    exit_status = 3
    quiet = False
    """Whether another process of the same run tells it."""

    def __init__(
        self,
        code: str,
        what: str,
        *,
        where: str | None = None,
        why: str | None = None,
        fix: str | None = None,
        more: Sequence[HrmbuildError] = (),
    ) -> None:
        super().__init__(what)
        self.code, self.what, self.where, self.why, self.fix = code, what, where, why, fix
        self.more = tuple(more)

    def as_dict(self) -> dict[str, object]:
        """The `error` object of `--json`; absent parts are null, `more` nests the same shape."""
        return {
            "code": self.code,
            "what": self.what,
            "where": self.where,
            "why": self.why,
            "fix": self.fix,
            "more": [error.as_dict() for error in self.more],
        }

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        tail = [part for part in (self.why, self.fix) if part]
        return "\n".join([head, *(f"  {part}" for part in tail), *(str(error) for error in self.more)])


class AnswerIsNoError(HrmbuildError):
    """A gate, a check or a verification said no; nothing is broken."""

    exit_status = 1


class UsageError(HrmbuildError):
    """A flag, an argument or the order of commands is wrong."""

    exit_status = 2


class ConfigError(HrmbuildError):
    """`hrmbuild.yaml` (or another file of settings) cannot be taken as it is."""

    exit_status = 2


class InputError(HrmbuildError):
    """A file or an artifact is unreadable, missing or altered."""

    exit_status = 3


def raise_all(errors: Sequence[HrmbuildError]) -> None:
    """Raise the first of several errors with the others in `more`; do nothing when there are none."""
    if not errors:
        return
    first, *rest = errors
    raise type(first)(
        first.code, first.what, where=first.where, why=first.why, fix=first.fix, more=(*first.more, *rest)
    )
