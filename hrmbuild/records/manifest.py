"""The manifest, format 1: what exactly a model may be trained on. Its file is the canonical JSON, byte for byte.

It holds no clock, host or absolute path: two equal corpora give equal manifests but for the salted roots.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hrmbuild.records.base import DecimalText, Noun, Sha256
from hrmbuild.records.counts import Count, Roots
from hrmbuild.records.included import IncludedManifest, RunIncludes, told_names, training_root
from hrmbuild.records.source import Source

INCLUDED_LEFT_OUT_NAME = "included_left_out.jsonl"
"""File of the evidence pack: every included row that is not trained on, with its reason."""


class RefusedFile(Noun):
    """A file that was found and never opened (a link that leaves the folder, no permission): no bytes, so no hash."""

    path: str
    code: str
    detail: str
    declared_by: str


class SourceEntry(Noun):
    """A source file and what came of it."""

    source: Source
    status: Literal["read", "quarantined"]
    reason: str | None = None
    """Why it was quarantined."""
    records: int = Field(ge=0)
    without_pair: int = Field(default=0, ge=0)
    """Records that yielded rejections only."""
    skipped: int = Field(ge=0)
    """Things in it that the reader saw and did not read."""
    made: int = Field(ge=0)
    """Occurrences that compilers made from it."""
    kept: int = Field(ge=0)
    rejected: int = Field(ge=0)
    left_out: int = Field(default=0, ge=0)
    """Occurrences of pairs above `max_label`. made = kept + rejected + left_out + those quarantined."""
    quarantined: dict[str, int] | None = None
    """Pairs held until a decision, by code; absent: none."""
    reasons: dict[str, int] = {}
    """Rejections by code, those before a pair was made included."""
    masked: dict[str, int] | None = None
    """What was masked in the pairs kept of it, by kind of personal data; absent: nothing."""
    count: Count
    """Pairs that have an occurrence in it (a pair with two sources counts in both)."""


class Gate(Noun):
    """A gate with its thresholds and its counts."""

    name: str
    thresholds: dict[str, str] = {}
    passed: int = Field(ge=0)
    rejected: int = Field(ge=0)
    quarantined: int | None = Field(default=None, ge=1)
    """Pairs that it holds until a decision; absent: none."""
    redacted: int | None = Field(default=None, ge=1)
    """Of what it let through and what was kept: occurrences with a mask; absent: none."""


class DecisionsEntry(Noun):
    """The decisions that the corpus was made under, without clock, person or reason: those stand in the decisions."""

    sha256: Sha256
    """Of the canonical JSON of the list of them, sorted; each is [action, digest, new texts of an edit]."""
    counts: dict[str, int]
    """By action; `withdrawn` and `source.rejected` count files that were kept out."""


class Agreement(Noun):
    """How far two reviewers agree on the pairs that both decided: accept, reject or edit."""

    between: tuple[str, str]
    """Beginning of the key's fingerprint, or the name that was given where nobody signed."""
    pairs: int = Field(ge=1)
    agreed: int = Field(ge=0)
    kappa: DecimalText | None = None
    """Cohen's, three decimals; absent where chance alone would agree on everything."""


class ReviewEntry(Noun):
    """What persons looked at, pair by pair."""

    reviewers: int = Field(ge=1)
    decided: dict[str, int]
    """Reviews that stand, by action: those on pairs that are out of the corpus now are among them."""
    splits: dict[str, int] = {}
    """Kept pairs that a person accepted or wrote, by split; `splits` of the manifest says of how many."""
    sources: dict[str, int] = {}
    """The same by path of a supporting source (a pair with two sources counts in both)."""
    agreement: tuple[Agreement, ...] = ()
    """Each two reviewers with pairs in common."""


class TokenizerEntry(Noun):
    """The tokenizer that freeze trained (or was given)."""

    sha256: Sha256
    """Of the bytes of `tokenizer.json`."""
    vocab_size: int
    """Entries, control tokens included, before padding."""
    trained_on: Literal["train_split", "given"]


class Manifest(Noun):
    """Format 1."""

    format: Literal[1] = 1
    hrmbuild: str
    """Version that froze it."""
    name: str
    config_sha256: Sha256
    """Of the settings that corpus and tokenizer depend on, as canonical JSON: all but `train` and `model`."""
    code_sha256: Sha256
    """Of the package's source files, by name and hash."""
    templates_sha256: Sha256
    """Of all templates, by name and hash."""
    prompt_template_sha256: Sha256 | None = None
    """Of the one template that turns passages and question into an instruction; absent in the first manifests."""
    seed: int
    as_of: str | None = None
    label: str
    """Highest label of what it contains."""
    labels: tuple[str, ...] | None = None
    """Every declared label, lowest first; absent in the first manifests."""
    max_label: str | None = None
    """The highest label that was let in; absent: all."""
    left_out: int = Field(default=0, ge=0)
    """Pairs left out because their label is above `max_label`."""
    lineage: str
    """`complete`, or `partial: …` with what is outside."""
    sources: tuple[SourceEntry, ...]
    """Sorted by path."""
    refused: tuple[RefusedFile, ...] = ()
    """Sorted by path."""
    splits: dict[Literal["train", "dev", "test"], Count]
    strata: dict[str, Count]
    kinds: dict[str, Count]
    axes: dict[str, dict[str, int]]
    """Held-out pairs by split and axis."""
    gates: tuple[Gate, ...]
    rejections: dict[str, int]
    """By code, over all sources."""
    quarantined: dict[str, int] | None = None
    """Pairs held until a decision, by code, over all sources; absent: none."""
    masked: dict[str, int] | None = None
    """What was masked in all rows, by kind of personal data, each words once an occurrence; absent: nothing."""
    protected_sets: dict[str, Sha256] | None = None
    """Evaluation sets that no row may share words with: name and hash of the file; absent: none were named."""
    decisions: DecisionsEntry | None = None
    """What persons decided about sources and pairs, as far as it took effect; absent: nothing."""
    review: ReviewEntry | None = None
    """What persons looked at, and how far they agree; absent: nobody reviewed."""
    tokenizer: TokenizerEntry
    content_roots: Roots
    """Over unsalted rows, leaves ordered by pair id."""
    content_root: Sha256
    """H(0x02 || train || dev || test) of the content roots."""
    roots: Roots
    """Over salted rows, leaves ordered by leaf hash: what is signed and shown outside."""
    evidence: dict[str, Sha256]
    """Files of the evidence pack beside the manifest, by name."""
    includes: tuple[IncludedManifest, ...] | None = None
    """Frozen corpora whose train rows are trained on too, in the order of the settings; absent: none. They are counted
    apart: sources, splits, strata and kinds above are of the manifest's own rows."""

    @property
    def run_includes(self) -> RunIncludes | None:
        """What a run on this manifest says of its includes; None where there are none."""
        if not self.includes:
            return None
        root = training_root(self.content_root, self.includes, left_out_sha256=self.evidence[INCLUDED_LEFT_OUT_NAME])
        return RunIncludes(content_roots=tuple(one.content_root for one in self.includes), training_root=root)

    @property
    def training_root(self) -> str:
        """Root of all that is trained on: the content root where nothing is included."""
        told = self.run_includes
        return self.content_root if told is None else told.training_root

    @property
    def trained_sources(self) -> tuple[Source, ...]:
        """Own sources, then those of the includes, their paths begun by the include's name; of a file that stands in
        several the first counts."""
        found = {entry.source.sha256: entry.source for entry in reversed(self.sources)}
        names = told_names(self.includes or ())
        for included in self.includes or ():
            for one in included.sources:
                path = f"{names[included.content_root]}: {one.source.path}"
                named = one.source.model_copy(update={"path": path})
                found.setdefault(one.source.sha256, named)
        return tuple(found.values())
