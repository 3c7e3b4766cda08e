"""`hrmbuild.yaml` as a strict value: every setting once, with its meaning and the reason for its default."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from hrmbuild.config.base import Settings
from hrmbuild.config.database import DatabaseConfig
from hrmbuild.config.included import IncludeConfig
from hrmbuild.config.joined import CaseConfig, ExceptionConfig
from hrmbuild.config.limits import LimitsConfig
from hrmbuild.config.permission import PermissionConfig, ProtectedAttribute
from hrmbuild.config.rules import RulesConfig
from hrmbuild.errors import UsageError

SourceKind = Literal["rules", "memos", "tables", "pairs"]
PersonalKind = Literal[
    "address", "bank_account", "birth_date", "card", "driving_licence", "email", "health_id", "iban", "ip_address",
    "licence_plate", "name", "national_id", "passport", "phone", "tax_id",
]  # fmt: skip
"""Kinds of personal data that the gate knows."""
DEFAULT_LABELS = ("public", "internal", "confidential", "restricted")


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"this is no regular expression: {error}") from None


class CasesConfig(Settings):
    """Files that hold one marked case each: `% Text` starts a block, the next mark ends it."""

    mark: str = "% "
    """What a mark line and the lines of a block start with; it is stripped."""
    blocks: tuple[str, ...] = Field(min_length=1)
    """Blocks to read, in order; all others are recorded as skipped."""


class PairsMapping(Settings):
    """Which fields of a row make instruction and response. Absent: the usual shapes are recognised, and shown."""

    instruction: tuple[str, ...] | None = None
    """Fields joined by a blank line. `options/*` stands for all members of the list `options`, one a line;
    `note?` may be missing or empty in a row."""
    response: str | None = None
    """Field that holds the response."""
    response_pattern: str | None = None
    """Regular expression with one group, applied to the response field: the group is the response, and what stands
    before it stays in the instruction when the response field is also an instruction field."""
    condition: str | None = None
    """Field that holds the condition, or `=direct`, `=cot` … for all rows."""
    context: str | None = None
    """Glob of documents shown before every instruction (the statute of a set of cases). `{folder}` in it is the folder
    of the file that is read: `{folder}/README.md`."""
    answer_rule: Literal["whole", "after_hashes"] = "whole"
    """`after_hashes`: the answer is what follows `####`; the text before it is trained only under `cot`."""

    @field_validator("response_pattern")
    @classmethod
    def _has_a_group(cls, value: str | None) -> str | None:
        if value is not None and not _compiled(value).groups:
            raise ValueError("the pattern needs one group, in parentheses: it is the response")
        return value


class SourceConfig(Settings):
    """One entry of `sources`."""

    path: str
    """Glob, relative to the config's folder (or to `--sources DIR`). A folder is walked."""
    kind: SourceKind
    database: DatabaseConfig | None = None
    """Tables of a PostgreSQL server, which `ingest` copies into the folder `path`; absent: files as they are."""
    owner: str | None = None
    """Who answers for these files; freeze wants it."""
    license: str | None = None
    """SPDX id, `internal`, or `contract:REF`; freeze wants it. `licence` is accepted."""
    label: str = "internal"
    """Sensitivity, one of `labels`."""
    format: str | None = None
    """Reader to use; absent: by suffix and content, and shown."""
    split: Literal["train", "dev", "test"] | None = None
    """Keeps every pair of these files on one side."""
    group: str | None = None
    """Regular expression on the file's path; files with the same first group stay on one side."""
    maker: Literal["person", "model", "unknown"] | None = None
    """Who wrote these texts, as far as their owner knows; stands in the manifest."""
    stratum: str | None = None
    """Stratum of the mix; absent: the kind."""
    repeat: int = Field(default=1, ge=1)
    """How often an epoch shows each pair."""
    max_pairs: int | None = Field(default=None, ge=1, le=2**31 - 1)
    """Cap per file; drawn by content key."""
    closed_book: bool = False
    """Also make pairs without the deciding text."""
    effective_from: dt.date | None = None
    effective_until: dt.date | None = None
    retain_until: dt.date | None = None
    """Last day on which these files, and what was made of them, are kept; `hrmbuild due` lists what is past it."""
    supersedes: tuple[str, ...] | None = None
    """Globs of files that hold no longer from the day on which this one is in force (`effective_from`)."""
    history: Literal["dated"] | None = None
    """`dated`: what is not in force on `as_of` yields open-book questions that say when it was. Absent: it is left
    out, and counted."""
    persons: Literal["role", "keep", "drop"] = "role"
    """What becomes of names in memo headers."""
    columns: dict[str, str] = {}
    """Table columns declared: name -> `key`, `ignore`, `label`, `personal`, `protected` (no question by it; so
    are those that `gates.protected` names), `text`, `number`, `date` or a unit as `number:EUR`."""
    references: dict[str, str] = {}
    """Foreign keys declared: `orders.customer_id` -> `customers.id`; others are inferred, and shown."""
    case: CaseConfig | None = None
    """Rows as cases of a rule set: rule text and row are shown, the rules' outcome is the answer."""
    exception: ExceptionConfig | None = None
    """A memo's exception to a rule set: both are shown, and cases are decided with the exception first."""
    mapping: PairsMapping | None = None
    cases: CasesConfig | None = None
    rules: RulesConfig = RulesConfig()

    @model_validator(mode="after")
    def _says_from_when(self) -> SourceConfig:
        if self.supersedes and self.effective_from is None:
            raise ValueError("what supersedes another file needs `effective_from`")
        if self.effective_from and self.effective_until and self.effective_until < self.effective_from:
            raise ValueError("`effective_until` lies before `effective_from`")
        if self.history and self.closed_book:
            raise ValueError("`history: dated` yields open-book questions only; leave `closed_book` out")
        if self.database and (self.kind != "tables" or self.format or set(self.path) & set("*?[")):
            raise ValueError("`database` needs `kind: tables`, a `path` that is one folder for the copies, no `format`")
        return self

    @field_validator("group")
    @classmethod
    def _is_a_pattern(cls, value: str | None) -> str | None:
        if value is not None:
            _compiled(value)
        return value


class ModelCard(Settings):
    """What the card of the package needs and no file knows."""

    name: str
    version: str = "0.1.0"
    contact: str
    intended_use: str
    excluded_use: str
    license: str = "internal"


class TokenizerConfig(Settings):
    """The tokenizer that freeze trains."""

    vocab_size: int | None = Field(default=None, ge=512, le=65536)
    """Entries; absent: by the size of the train split, see `tokens.tokenizer`."""


class StratumMix(Settings):
    """How an epoch shows one stratum."""

    weight: float | None = Field(default=None, gt=0)
    """Its part of an epoch's tokens, relative to the other weights; all strata have one, or none."""
    repeat: int = Field(default=1, ge=1, le=1000)
    """How often an epoch may show each of its pairs, beside a source's own `repeat`."""
    max_pairs_per_file: int | None = Field(default=None, ge=1, le=2**31 - 1)
    """Most different pairs of a file in one epoch; every epoch takes others. Absent: that of the mix."""


class MixConfig(Settings):
    """What an epoch shows of the corpus. Absent: all of it, each pair as often as its source says."""

    strata: dict[str, StratumMix] = {}
    """By name. Where there are weights, the stratum that is scarcest for its weight is shown whole and decides how long
    an epoch is; of the others each epoch shows a part."""
    max_pairs_per_file: int | None = Field(default=None, ge=1, le=2**31 - 1)
    """Most different pairs of a file in one epoch, for strata that say nothing of their own."""
    epoch_tokens: int | None = Field(default=None, ge=1)
    """Length of an epoch; absent: what there is, or what the weights allow."""

    @field_validator("strata")
    @classmethod
    def _can_be_keys(cls, value: dict[str, StratumMix]) -> dict[str, StratumMix]:
        if any(letter > "\uffff" for name in value for letter in name):
            raise ValueError("names of strata have no letter beyond U+FFFF")
        return value


class TrainConfig(Settings):
    """One run."""

    preset: str = "nano"
    arch: Literal["hrm", "transformer", "trm", "ut", "rins"] = "hrm"
    steps: int | None = Field(default=None, ge=1)
    """Optimizer updates; absent: `epochs`."""
    epochs: float = Field(default=4, gt=0)
    """The paper's number of passes; used where `steps` is absent."""
    batch_tokens: int | None = Field(default=None, ge=256)
    """Tokens a step over all ranks; absent: the preset's."""
    mix: MixConfig | None = None
    """Weights, caps and repeats of strata; absent: an epoch shows every pair."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Absent: the preset's."""
    final_lr_fraction: float | None = Field(default=None, ge=0, le=1)
    """Cosine decay to this share of the learning rate; absent: the preset's (the paper's presets stay constant)."""
    seed: int = 0
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Compute type; `auto` decides by capability and records it."""
    attention: str = "auto"
    """Attention kernel; `auto` decides by hardware and records it."""
    compile: bool | None = None
    """`true`: torch.compile for what stands around attention in every block. Off unless asked for: the first step takes
    a minute or more, other bits come out, and on a CPU it gains a few per cent (`docs/measured.md`)."""
    sharding: Literal["auto", "ddp", "fsdp"] | None = None
    """Several ranks: each with the whole model (`ddp`) or with its rows of it (`fsdp`); absent or `auto`: whole where
    it fits the smallest GPU. It decides no weight beyond rounding, and a run may go on with another."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; absent: the cores this process may use. Recorded: other threads may give other bits."""
    eval_every_steps: int | None = Field(default=None, ge=1)
    """Dev loss and exact match; absent: ten times a run."""
    eval_pairs: int = Field(default=256, ge=1)
    """Dev pairs scored each time, drawn by id."""
    checkpoint_every_steps: int | None = Field(default=None, ge=1)
    """Absent: five times a run."""
    checkpoint_minutes: float | None = Field(default=None, gt=0)
    """Also by the clock, so that a crash costs no more than this; absent: 15. It changes no number of the run."""
    keep_checkpoints: int = Field(default=2, ge=1)
    """The newest so many stay; an older one goes when the newer one is complete on the disk."""
    stop_on_spike: float | None = Field(default=None, gt=1)
    """Stop before an update whose loss is above this many times the median of the last 100 steps; absent: never."""
    trackers: tuple[Literal["tensorboard", "mlflow", "wandb"], ...] | None = None
    """Where metrics go besides `metrics.jsonl`; absent: nowhere, and nothing ever uses the network."""


class GatesConfig(Settings):
    """Thresholds of the gates; they stand in the manifest."""

    max_instruction_bytes: int = Field(default=16384, ge=1)
    """UTF-8 bytes of NFC text: nothing before freeze depends on a tokenizer."""
    max_response_bytes: int = Field(default=8192, ge=1)
    personal_data: dict[PersonalKind, Literal["pass", "redact", "reject"]] | None = None
    """Kind -> what becomes of it; kinds that are not named are masked (`redact`). A pair is refused in any case where
    the answer itself is personal data, or is computed from what would be masked."""
    personal_answer_share: float = Field(default=0.5, gt=0, le=1)
    """From this share of its letters and digits on, an answer is itself personal data."""
    names: tuple[Annotated[str, StringConstraints(min_length=2, strip_whitespace=True)], ...] | None = None
    """Names of persons to mask wherever they stand. Names that are not listed are not found in running text."""
    near_duplicates: float | None = Field(default=0.6, gt=0, le=1)
    """Jaccard likeness of word pairs from which on two imported or quoted texts are one, and one of them stays. Texts
    that differ in a number, a negation or the beginning of the answer are never one. `null`: not looked for."""
    leak_words: int | None = Field(default=13, ge=5)
    """So many words in a row on two sides of the split are a leak: the pair that is trained on goes. `null`: not
    looked for."""
    leak_common: int = Field(default=20, ge=2)
    """Words in a row that more pairs than this show are common text, and no leak."""
    protected_sets: tuple[str, ...] | None = None
    """Files of evaluation sets, relative to the config's folder: a pair that shares `leak_words` words in a row with
    one of them goes, whatever it was made from."""
    languages: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")], ...] | None = Field(
        default=None, min_length=1
    )
    """Languages that are let in, by ISO 639-1 (`en`); short texts, code and numbers always are. Absent: not looked
    at. It needs `pip install hrmbuild[language]`."""
    permission: PermissionConfig | None = None
    """What a source must declare before it is opened; absent: nothing that `freeze` does not want anyway."""
    protected: dict[str, ProtectedAttribute] | None = None
    """Attribute (a column or fact) -> what stands in for it, and who allowed it: no question turns on one that is not
    allowed."""

    quarantine: tuple[str, ...] | None = None
    """Reason codes of gates (`gate.ungrounded_number`) whose finding holds a pair until somebody releases or rejects
    it, where it would be refused otherwise. Absent: none."""

    def verdict_on(self, kind: str) -> str:
        """What becomes of a kind of personal data."""
        verdicts = self.personal_data or {}
        return next((verdict for declared, verdict in verdicts.items() if declared == kind), "redact")


class PackageConfig(Settings):
    """What a package must be worth before it is written. It enters no hash of the corpus or the run."""

    require: str | None = None
    """Demands on the scores of the card, as in `eval --require`: `exact.low>=0.8, extraction<=0.01`. Where one does not
    hold no package is written."""


class ApprovalsConfig(Settings):
    """Whose word is needed before a model is made. It enters no hash: an approval is over a digest, and lapses with it.

    Only signed decisions of keys that the trust file lists as `approver` count, each person once, and never the person
    who signed the freeze."""

    manifest: int = Field(default=0, ge=0, le=20)
    """Persons who must approve a manifest before `train` and `package` take it."""
    sources: int = Field(default=0, ge=0, le=20)
    """Persons who must approve each source file of it."""
    roles: tuple[str, ...] | None = None
    """Roles that must be among those who approve the manifest, as `approve --role` states them."""
    trust: str = "trust.yaml"
    """The trust file, relative to the config's folder."""


class HardwareConfig(Settings):
    """What the machine is and costs: for plans, bills and shares of the peak. It enters no hash, changes no weight."""

    gpu: str | None = None
    """Type of GPU, a name of the table (`hrmbuild plan --help`); absent: by the device's own name."""
    usd_per_hour: float | None = Field(default=None, ge=0)
    """Price of one GPU (or of the whole machine, where there is none) for an hour; absent: the table's."""
    peak_tflops: float | None = Field(default=None, gt=0)
    """Dense matrix peak of one GPU; absent: the table's."""
    memory_gib: float | None = Field(default=None, gt=0)
    """Memory of one GPU; absent: the table's, or what the device reports."""
    power_w: float | None = Field(default=None, gt=0)
    """Power of one GPU under load; absent: the table's limit of the board."""

    @field_validator("gpu")
    @classmethod
    def _stands_in_the_table(cls, value: str | None) -> str | None:
        from hrmbuild.config.gpus import gpu_type  # the table needs this type

        try:
            return None if value is None else gpu_type(value).name
        except UsageError as error:
            raise ValueError(f"{error.what}: {error.fix}") from None


class ProjectConfig(Settings):
    """`hrmbuild.yaml`."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    """Name of the corpus, in its manifests."""
    seed: int = Field(default=0, ge=0)
    """Of every draw: scenarios, wordings, splits, epochs."""
    as_of: dt.date | None = None
    """The day that validity is judged by; the clock is never read."""
    sources: tuple[SourceConfig, ...] = Field(min_length=1)
    include: tuple[IncludeConfig, ...] | None = Field(default=None, min_length=1)
    """Frozen corpora (a base mix) whose train rows are trained on too; absent: none."""
    labels: tuple[str, ...] = DEFAULT_LABELS
    """Sensitivity, lowest first."""
    roles: dict[str, str] | None = None
    """Who may read what: role -> the highest label it may read. `ask` and `serve` refuse a role below the package's
    label, and `ask --corpus` shows a role nothing above its own; what is not declared may read nothing."""
    default_role: str | None = None
    """Role of `ask` and `serve` where none is named; a package records it."""
    templates: str | None = None
    """Folder of the project's own templates; they stand before the built-in ones of the same name."""
    limits: LimitsConfig | None = None
    """What reading one file may take; absent: the defaults."""
    gates: GatesConfig = GatesConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    train: TrainConfig = TrainConfig()
    hardware: HardwareConfig | None = None
    model: ModelCard | None = None
    package: PackageConfig | None = None
    approvals: ApprovalsConfig | None = None
    """Absent: nobody's."""

    @field_validator("include")
    @classmethod
    def _included_once(cls, value: tuple[IncludeConfig, ...] | None) -> tuple[IncludeConfig, ...] | None:
        if value is not None and len({one.root for one in value}) != len(value):
            raise ValueError("a root stands twice: say `repeat` to show its pairs more often")
        return value

    @field_validator("labels")
    @classmethod
    def _stand_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a label stands twice, so nobody can tell which one is higher")
        return value
