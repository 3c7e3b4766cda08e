"""Whether a training may begin on this corpus; the rule stands in `config.sufficiency`.

Owns asking it with the numbers of a run. It must not know settings or folders.
"""

from __future__ import annotations

from hrmbuild.config.model import ModelConfig
from hrmbuild.config.sufficiency import insufficient, sufficiency
from hrmbuild.errors import UsageError


def check_reason(reason: str | None) -> None:
    """A reason that is repeated on a card must say something.

    Raises:
        UsageError: `plan.no_reason`.
    """
    if reason is not None and not reason.strip():
        raise UsageError("plan.no_reason", "the reason is empty", where="--accept-insufficient",
                         why="the model card repeats it", fix='write one: --accept-insufficient "…"')  # fmt: skip


def accepted_reason(
    preset: str, config: ModelConfig, *, unique_tokens: int, reason: str | None, given_weights: bool
) -> str | None:
    """The reason where one was needed, else None: a reason for nothing is not recorded.

    Args:
        given_weights: the run starts from weights that have seen a corpus of their own.

    Raises:
        AnswerIsNoError: `plan.insufficient`: one is needed and none is given.
        UsageError: `plan.no_reason`.
    """
    check_reason(reason)
    found = sufficiency(preset, vocab_size=config.vocab_size, unique_tokens=unique_tokens, arch=config.arch)
    if given_weights or not found.refused:
        return None
    if reason is None:
        raise insufficient(found, command="hrmbuild train")
    return f"{' '.join(reason.split())} ({found.words()})"
