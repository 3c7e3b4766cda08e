"""What readers make of files: documents, tables, rule sets and rows of fields. Compilers read nothing else."""

from __future__ import annotations

from typing import Literal

from hrmbuild.records.base import Noun, Sha256
from hrmbuild.records.locator import Locator
from hrmbuild.records.ruleset import RuleSet

BlockKind = Literal["heading", "paragraph", "list_item", "table_row", "quoted_reply", "signature", "code"]


class Block(Noun):
    """A piece of a document that is quoted as a whole: a heading, a paragraph, a list item."""

    kind: BlockKind
    text: str
    """The words as they stand at the span, NFC, inner line breaks kept."""
    locator: Locator
    """Span of `text`, with `heading_path`."""
    number: str | None = None
    """Clause number as written, e.g. `3.2` or `(a)`."""
    level: int | None = None
    """Heading level (1 is the outermost), or depth of a list item (1-based)."""


class Document(Noun):
    """A prose rule, a policy, a memo or a mail."""

    source_sha256: Sha256
    path: str
    """The source's relative path: names the document in messages, never shown to the model."""
    title: str | None = None
    """First heading, subject or front-matter title."""
    headers: dict[str, str] = {}
    """Header fields (`from`, `to`, `date`, `subject`, front matter), keys lower-case."""
    header_locators: dict[str, Locator] = {}
    """Where each header field's value stands."""
    blocks: tuple[Block, ...]
    """In reading order."""


class Column(Noun):
    """A column as read: types are inferred later, by the compiler, and shown."""

    name: str
    cells: tuple[str | None, ...]
    """The cells as text exactly as the file has them (a number cell of a workbook in its plain decimal form); None is
    an empty cell."""


class Table(Noun):
    """A rectangle with one header row."""

    source_sha256: Sha256
    path: str
    name: str
    """Table name for questions: the sheet's name, else the file's stem, as an identifier."""
    columns: tuple[Column, ...]
    locator: Locator
    """The data rows: `row_from`..`row_to`, for workbooks also `sheet` and `cells`."""
    key: str | None = None
    """Column that the source itself declares as the primary key (databases do)."""
    references: dict[str, str] = {}
    """Foreign keys that the source itself declares: column -> `table.column`, both by the names that tables have
    here."""

    @property
    def n_rows(self) -> int:
        """Number of data rows."""
        return len(self.columns[0].cells) if self.columns else 0


class RuleSetFile(Noun):
    """An executable rule set with the file that it came from."""

    source_sha256: Sha256
    path: str
    ruleset: RuleSet
    locator: Locator
    places: dict[str, Locator] = {}
    """Rule id -> where its row stands, for decision tables."""


class Fields(Noun):
    """One row of a file of existing pairs (or one marked case), as named texts."""

    source_sha256: Sha256
    path: str
    fields: dict[str, str]
    """Name -> text; nested values by JSON pointer without the leading slash (`instances/0/input`)."""
    locator: Locator


Record = Document | Table | RuleSetFile | Fields
