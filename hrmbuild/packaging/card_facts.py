"""What the model card says, as one strict value: built by the pipeline from run, manifest, settings and scores.

Owns the fields that an auditor asks for. It must not render: `packaging.card` does.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from hrmbuild.records.base import Noun
from hrmbuild.records.manifest import Manifest

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""Text that must say something."""


class CardScore(Noun):
    """One row of the table of scores; shares as decimals with three digits."""

    slice: Words
    """What was scored: `all`, an axis, a stratum."""
    n: int
    exact: Words
    interval: Words
    """95 % interval: `0.912 to 0.954`."""
    baselines: dict[str, str] = {}
    """Other answers to the same questions, by name."""


class CardScoring(Noun):
    """One scoring of these weights that the project recorded."""

    of: Words
    """What was asked: `the test split`, a validator's file by its hash."""
    n: int
    found: Words
    interval: Words
    """95 % interval."""
    losses: tuple[Words, ...] = ()
    """Other answers that were ahead, by name."""


class CardOwner(Noun):
    """What only the owner of the model can say."""

    name: Words
    version: Words
    contact: Words
    intended_use: Words
    excluded_use: Words
    license: Words


class CardTraining(Noun):
    """How it was trained."""

    preset: Words
    parameters: int
    context_tokens: int
    steps: int
    batch_tokens: int
    learning_rate: Words
    seed: int
    start: Words
    """`from scratch`, or whose weights it began from."""
    objective: Words = "cross-entropy on the response tokens of instruction-response pairs (PrefixLM)"
    optimizer: Words
    hardware: Words
    hours: Words
    flops: Words
    energy: Words
    accepted_insufficient: str | None = None
    """Why it was trained on a corpus that cannot carry its preset; None: it can, or nobody has to say."""
    final_loss: Words
    """Mean negative log-likelihood a token on the dev split, in nats."""


class CardFacts(Noun):
    """Everything on the card."""

    owner: CardOwner
    training: CardTraining
    manifest: Manifest
    lineage: Words
    """Of the weights: the corpus's, unless they began as another model's. `complete`, or `partial: …`."""
    scores_of: Words
    """Which pairs the scores are of, and how often the test split had been scored before."""
    scores: tuple[CardScore, ...] = Field(min_length=1)
    losses: tuple[Words, ...] = ()
    """Columns that are ahead of the model beyond the interval of the difference, and where."""
    demands: tuple[Words, ...] = ()
    """What had to hold for the package to be made, each with its figure."""
    scorings: tuple[CardScoring, ...] = ()
    """What `eval` recorded of these weights before, oldest first."""
    rounding: Words = "not measured"
    """What storing the weights cost; told when they are stored."""
