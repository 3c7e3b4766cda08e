"""Settings of pairs that join two sources: a row or a memo, and a rule set."""

from __future__ import annotations

from pydantic import Field

from hrmbuild.config.base import Settings


class CaseConfig(Settings):
    """Rows of a table as cases of a rule set."""

    ruleset: str
    """Path of the file of the executable rules, relative to the config's folder."""
    facts: dict[str, str] = Field(min_length=1)
    """Fact of the rule set -> column of the table. Every fact that a rule reads needs one."""
    table: str | None = None
    """Name of the table; absent: each table of the entry that has all these columns."""


class ExceptionConfig(Settings):
    """A memo's exception to a rule set: the sentence, and what it means as a rule before all others."""

    ruleset: str
    """Path of the file of the executable rules, relative to the config's folder."""
    sentence: str = Field(min_length=1)
    """As it stands in the memo, word for word; a memo of the entry that lacks it makes no such pair."""
    when: str
    """SQL over the facts of the rule set: when the exception holds."""
    then: str
    """The outcome (or amount) that it gives."""
    scenarios: int = Field(default=100, ge=1)
    """Cases to make."""
