"""A passage that may be shown beside a question, and who may read it. `ask --corpus` retrieves such passages."""

from __future__ import annotations

from pydantic import model_validator

from hrmbuild.records.base import Noun, Sha256
from hrmbuild.records.locator import Locator


class SourcePassage(Noun):
    """A piece of a source in the words in which pairs show it: masks are applied, what pairs never show is not here."""

    source_sha256: Sha256
    path: str
    """The source's relative path."""
    locator: Locator
    order: int
    """Place among the passages of its file."""
    title: str | None = None
    """Shown above the passages of a file: a document's title, a table's name."""
    heading: str | None = None
    """Shown above the text where it differs from the passage before: a section's heading, a table's column names."""
    text: str


class LabelledPassage(Noun):
    """A stored passage with the sensitivity of its source."""

    passage: SourcePassage
    label: str


class Access(Noun):
    """Who may read what: a package carries it, so that a role is judged without the project."""

    labels: tuple[str, ...]
    """Sensitivity, lowest first."""
    roles: dict[str, str]
    """Role -> the highest label that it may read."""
    default_role: str | None = None
    """Taken by `ask` and `serve` where no role is named."""

    @model_validator(mode="after")
    def _names_exist(self) -> Access:
        unknown = sorted(set(self.roles.values()) - set(self.labels))
        if unknown:
            raise ValueError(f"roles name labels that are not declared: {', '.join(unknown)}")
        if self.default_role is not None and self.default_role not in self.roles:
            raise ValueError(f"the default role {self.default_role!r} is not among the roles")
        return self

    def readable(self, role: str) -> tuple[str, ...]:
        """The labels that a role may read, lowest first; none for a role that is not declared."""
        if role not in self.roles:
            return ()
        return self.labels[: self.labels.index(self.roles[role]) + 1]
