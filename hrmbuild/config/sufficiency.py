"""Whether a corpus can carry a preset: the one place where the rule stands, and why it is this one.

The rule. A corpus is worth its unique tokens times the passes over it, but no more than four: up to four passes a
repeated token teaches about as much as a new one, after that soon nothing (Muennighoff et al. 2023, arXiv 2305.16264).
The authors trained XL on about 60e9 tokens, repeats counted, of 40e9 unique ones: 51 and 34 tokens a parameter (arXiv
2605.20613). A preset is carried where four passes give at least half of the 51. Half, because the paper shows what is
enough and not what is too little, and because twice the data moves the loss far less than a wrong size costs.

Refused, unless a reason is given, are `B` and the larger ones: they cost days and dollars, and a model that is too
large for its corpus learns it by heart. The reason enters the run's record and the card. `nano`, `tiny` and `small` are
never refused: they cost minutes to hours, are half vocabulary, and show a mechanism on short open-book pairs, where the
answer stands in the question; the demo learns that at 3 tokens a parameter (`docs/measured.md`). Weights that are not
drawn but given (`--init-from`) have seen a corpus of their own, so the rule does not bind them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hrmbuild.config.flops import n_parameters
from hrmbuild.config.model import Arch
from hrmbuild.config.presets import PRESETS
from hrmbuild.errors import AnswerIsNoError

PAPER_TOKENS, PAPER_UNIQUE_TOKENS, PAPER_PARAMETERS = 60e9, 40e9, 1_182_793_728
"""Of XL in arXiv 2605.20613; the first with repeats."""
USEFUL_PASSES = 4
LEAST_SHARE = 0.5
"""Of the paper's tokens a parameter."""
NEVER_REFUSED = ("nano", "tiny", "small")


@dataclass(frozen=True)
class Sufficiency:
    """A corpus against a preset."""

    preset: str
    parameters: int
    unique_tokens: int
    """Train tokens of one pass, control tokens included."""
    proposed: str | None
    """The largest preset that the corpus carries; None: not even the smallest."""

    @property
    def tokens_per_parameter(self) -> float:
        """Of the useful passes."""
        return USEFUL_PASSES * self.unique_tokens / self.parameters

    @property
    def carried(self) -> bool:
        """Whether the rule holds, be it binding or not."""
        return self.tokens_per_parameter >= least_tokens_per_parameter()

    @property
    def refused(self) -> bool:
        """Whether the rule holds not, and binds this preset."""
        return not self.carried and self.preset not in NEVER_REFUSED

    @property
    def missing_tokens(self) -> int:
        """Unique tokens of a base mix that would make it enough."""
        needed = least_tokens_per_parameter() * self.parameters / USEFUL_PASSES
        return max(0, round(needed - self.unique_tokens))

    def words(self) -> str:
        """One sentence with both sides, as the card has it."""
        return (
            f"{self.tokens_per_parameter:.2g} tokens a parameter in {USEFUL_PASSES} passes over "
            f"{self.unique_tokens:,} unique tokens; the paper's XL had {paper_tokens_per_parameter():.0f}, and "
            f"{least_tokens_per_parameter():.0f} is taken as enough"
        )

    def as_dict(self) -> dict[str, Any]:
        """As `plan --json` shows it."""
        return {
            "carried": self.carried,
            "refused": self.refused,
            "unique_tokens": self.unique_tokens,
            "tokens_per_parameter": round(self.tokens_per_parameter, 4),
            "least": round(least_tokens_per_parameter(), 2),
            "paper": round(paper_tokens_per_parameter(), 2),
            "unique_per_parameter": round(self.unique_tokens / self.parameters, 4),
            "paper_unique": round(PAPER_UNIQUE_TOKENS / PAPER_PARAMETERS, 2),
            "proposed_preset": self.proposed,
            "base_mix_tokens": self.missing_tokens,
        }


def paper_tokens_per_parameter() -> float:
    """51, repeats counted."""
    return PAPER_TOKENS / PAPER_PARAMETERS


def least_tokens_per_parameter() -> float:
    """Where the line is."""
    return LEAST_SHARE * paper_tokens_per_parameter()


def sufficiency(preset: str, *, vocab_size: int, unique_tokens: int, arch: Arch = "hrm") -> Sufficiency:
    """Hold a corpus against a preset with this (padded) vocabulary."""
    sizes = {name: n_parameters(PRESETS[name].model_config_for(vocab_size, arch=arch)) for name in PRESETS}
    enough = [name for name, n in sizes.items() if USEFUL_PASSES * unique_tokens >= least_tokens_per_parameter() * n]
    largest = max(enough, key=lambda name: sizes[name], default=None)
    return Sufficiency(preset, sizes[preset], unique_tokens, largest)


def insufficient(found: Sufficiency, *, command: str) -> AnswerIsNoError:
    """The refusal, with what would help."""
    smaller = found.proposed or "small"
    carries = "the largest that it carries" if found.proposed else "the largest that is never refused"
    return AnswerIsNoError(
        "plan.insufficient",
        f"{found.unique_tokens:,} unique tokens cannot carry {found.preset} with its {found.parameters:,} weights",
        where=f"--preset {found.preset}",
        why=found.words(),
        fix=f"take --preset {smaller} ({carries}), or add a base mix of {found.missing_tokens:,} tokens to the corpus; "
        f'or say why it shall be so: {command} --accept-insufficient "REASON" (the card repeats it)',
    )
