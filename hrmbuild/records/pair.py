"""A pair: what is trained on, what its answer is, and every place that supports it.

`Pair` is format 1 of the corpus row. Its canonical JSON (RFC 8785, absent keys left out) is what is hashed.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hrmbuild.fingerprint import hash_value
from hrmbuild.records.base import DateText, DecimalText, Noun, Sha256
from hrmbuild.records.locator import Locator

Condition = Literal["direct", "cot", "noisy", "synth", "synth+cot"]
Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")
MASKS = "masks"
"""Key in an occurrence's inputs: JSON list of [from, to, replacement], offsets into the exact text at the locator.
Offsets, not the replaced words: a name that was masked must not stand in the corpus."""
REDACTED = "redacted"
"""Key in an occurrence's inputs: what was masked, by kind, as `email 1, phone 2`."""
Axis = Literal["document", "variant", "wording", "cell"]
"""Why a pair is held out: its rule set or document, its variant, its wording, its decision cell (new facts)."""
Derivation = Literal["quoted", "queried", "evaluated", "absent", "imported", "written_by_person", "written_by_model"]


class Answer(Noun):
    """The typed answer that scores read; the response holds it as its first words (under `direct`)."""

    type: Literal["choice", "number", "text", "date", "boolean", "sql", "json", "absent"]
    value: str
    """Canonical text: a choice as written, a number as an exact decimal, a date as ISO 8601, compact JSON."""
    unit: str | None = None
    scale: str | None = None
    """`thousand`, `million`, `percent` where the table declares one."""
    tolerance: DecimalText | None = None
    """Largest accepted difference of a number; absent means exact."""
    choices: tuple[str, ...] | None = None
    """The possible answers of a choice."""


class Occurrence(Noun):
    """One place that supports a pair."""

    source_sha256: Sha256
    locator: Locator
    text: str
    """The supporting text after masks (a quoted span, the shown rows, the rule text)."""
    template_sha256: Sha256
    query: str | None = None
    """The SQL that was run over the shown rows."""
    inputs: dict[str, str] | None = None
    """Facts and parameters that the rules were given."""


class SplitKeys(Noun):
    """The keys that the split's draw looks at, in this order; absent keys do not apply."""

    document: str
    """Rule set, or group of documents or tables, that stays on one side."""
    document_side: Split | None = None
    """Declared side of a rule set or document, which wins over all draws."""
    variant: str | None = None
    variant_side: Split | None = None
    """A compiler that chooses a variant's thresholds by side says so here."""
    wording: str | None = None
    wording_side: Split | None = None
    cell: str | None = None
    """Decision cell: rule set plus the category or interval of each fact; absent where the cell must stay in train."""
    cell_side: Split | None = None
    """Where a compiler knows all cells it spreads them over the sides by rank, as a coin is too coarse for thirty."""


class CompiledPair(Noun):
    """What a compiler makes: a pair with one occurrence, before split and gates."""

    instruction: str
    response: str
    condition: Condition = "direct"
    kind: str
    """Kind of question: `rules.outcome`, `tables.read.sum` … ; scores are shown by it."""
    stratum: str
    book: Literal["open", "closed"] = "open"
    derivation: Derivation
    answer: Answer
    content_key: Sha256
    """Identity of the question's content: rule or variant + canonical facts, table + SQL, span + kind of question."""
    label: str
    valid_from: DateText | None = None
    valid_until: DateText | None = None
    boundary: bool = False
    """A scenario at, just below or just above a threshold."""
    split_keys: SplitKeys
    occurrence: Occurrence


class Pair(Noun):
    """One row of the corpus, format 1."""

    id: Sha256
    instruction: str
    response: str
    condition: Condition
    kind: str
    stratum: str
    split: Split
    axis: Axis | None = None
    """Present on held-out pairs only."""
    boundary: bool = False
    book: Literal["open", "closed"]
    derivation: Derivation
    answer: Answer
    content_key: Sha256
    label: str
    valid_from: DateText | None = None
    valid_until: DateText | None = None
    occurrences: Annotated[tuple[Occurrence, ...], Field(min_length=1)]
    """Sorted by their canonical bytes, each once."""


def pair_id(condition: str, instruction: str, response: str) -> str:
    """SHA-256 of the canonical JSON of [condition, instruction, response]: what is trained on, and nothing else."""
    return hash_value([condition, instruction, response])


class Rejection(Noun):
    """Something that did not become a pair, or a pair that a gate refused: code, place and text."""

    stage: Literal["read", "compile", "gate", "corpus", "quarantine"]
    """`quarantine`: a gate holds the pair until a decision."""
    code: str
    """Stable reason code, e.g. `gate.control_token`."""
    detail: str
    """One sentence for a person."""
    path: str
    """The source's relative path."""
    source_sha256: Sha256
    locator: Locator
    text: str | None = None
    """What was rejected; absent for personal data and secrets."""
    label: str | None = None
    """The highest label of what text and message show; absent: that of the source."""
    pair_id: Sha256 | None = None
