"""What the ranks of a run decide together: that an error of one is an error of all, and that a lost rank is told so.

Owns the exchange of yes/no and of errors. Without it a rank that stops alone leaves the others waiting in a sum for
ever. It must not know why anything went wrong. Nothing is pickled.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch

from hrmbuild.errors import HrmbuildError
from hrmbuild.training.ranks import Ranks

T = TypeVar("T")

_WORDS_OF_A_LOST_RANK = ("gloo", "NCCL", "TCPStore", "process group")
"""What torch's plain RuntimeErrors name when another process of the group is gone."""


class RankLostError(HrmbuildError):
    """Another rank ended and this one cannot go on; whoever started the ranks knows why."""

    def __init__(self) -> None:
        super().__init__(
            "train.rank_lost",
            "another rank of this run ended, so this one cannot go on",
            why="the newest complete checkpoint is untouched",
            fix="see what the other rank said; then go on with --resume",
        )


class ToldError(HrmbuildError):
    """An error that another rank met: it ends this rank with the same status."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(told["code"], told["what"], where=told["where"], why=told["why"], fix=told["fix"])
        self.exit_status = int(told["exit_status"])


def any_of_each(ranks: Ranks, *own: bool) -> tuple[bool, ...]:
    """For each flag: whether it is set on any rank. One sum for all of them."""
    if ranks.count == 1:
        return own
    found = ranks.total(torch.tensor([int(flag) for flag in own], device=ranks.device))
    return tuple(count > 0 for count in found.tolist())


def raise_together(ranks: Ranks, error: HrmbuildError | None) -> None:
    """Raise on every rank if any brings an error: the own one, or what the first rank that has one tells.

    Every rank must call this at the same point. The main rank alone reports: others' errors are `quiet`.
    """
    if ranks.count == 1:
        if error is not None:
            raise error
    elif any_of_each(ranks, error is not None)[0]:
        raise _loudest(ranks, error)


def _loudest(ranks: Ranks, error: HrmbuildError | None) -> HrmbuildError:
    """This rank's form of the error that all ranks end with."""
    texts = ranks.texts("" if error is None else _packed(error))
    first = next(number for number, found in enumerate(texts) if found)
    if first == ranks.index and error is not None:
        loudest = error
    else:
        told = json.loads(texts[first])
        told["where"] = f"rank {first}: {told['where']}" if told["where"] else f"rank {first}"
        loudest = ToldError(told)
    loudest.quiet = not ranks.is_main
    return loudest


def _packed(error: HrmbuildError) -> str:
    return json.dumps({"exit_status": error.exit_status} | error.as_dict())


def together(ranks: Ranks, job: Callable[[], T]) -> T:
    """Run a job that needs no other rank on each of them; if it fails anywhere, it fails everywhere."""
    result: list[T] = []
    error: HrmbuildError | None = None
    try:
        result.append(job())
    except HrmbuildError as found:
        error = found
    raise_together(ranks, error)
    return result[0]


def on_main(ranks: Ranks, job: Callable[[], T]) -> T | None:
    """Run a job on the main rank while the others wait; None on those."""
    return together(ranks, job if ranks.is_main else lambda: None)


def main_first(ranks: Ranks, job: Callable[[], T]) -> T:
    """The main rank runs the job while the others wait; then they run it and find what it left."""
    made = on_main(ranks, job)
    return together(ranks, (lambda: cast(T, made)) if ranks.is_main else job)


@contextmanager
def watching_others(ranks: Ranks) -> Iterator[None]:
    """Tell the end of another rank as such, not as a fault of this one.

    Raises:
        RankLostError: in place of what torch says.
    """
    try:
        yield
    except RuntimeError as error:
        lost = isinstance(error, torch.distributed.DistError) or any(
            word in str(error) for word in _WORDS_OF_A_LOST_RANK
        )
        if ranks.count > 1 and lost:
            raise RankLostError from error
        raise
