"""`hrmbuild train --gpus N`: how many ranks, and who starts them.

Owns the decision. A rank is a GPU; on a machine without one it is a process on the CPU. Three cases: this process is
already one of several (`torchrun`, `accelerate launch`, or our own launch) and joins them; one rank is enough and this
process is it; or several are started here, each with the command line that was typed. It must not train.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hrmbuild.config.loading import Project
from hrmbuild.config.project import TrainConfig
from hrmbuild.errors import UsageError
from hrmbuild.pipelines.progress import Progress
from hrmbuild.pipelines.rank_processes import Ended, run_ranks
from hrmbuild.pipelines.train_settings import Flags, shape_for, train_settings


@dataclass(frozen=True)
class Group:
    """The ranks that this process was started among."""

    index: int
    count: int


def group_of_this_process() -> Group | None:
    """What `torchrun` and `accelerate launch` say in the environment; None where nobody started ranks."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return None
    rank, size = os.environ["RANK"], os.environ["WORLD_SIZE"]
    if not (rank.isdecimal() and size.isdecimal() and int(rank) < int(size)):
        raise UsageError("train.ranks", f"RANK is {rank!r} and WORLD_SIZE {size!r}: no rank of a group",
                         where="the environment", fix="unset both, or start with torchrun")  # fmt: skip
    return Group(int(rank), int(size))


def launch(
    project: Project, *, command: Sequence[str], gpus: int | None, flags: Flags, progress: Progress
) -> Ended | None:
    """Start the ranks of a training and wait for them; None where this process itself is to train.

    Args:
        command: the words after `hrmbuild`.
        gpus: ranks; absent: every GPU of this machine (as many as divide a step), one rank without a GPU.

    Raises:
        UsageError: `train.too_few_gpus`, `train.ranks_do_not_divide`, `train.ranks_differ`, or a wrong setting.
        RankDiedError, InterruptedLaunchError: see `run_ranks`.
    """
    settings = train_settings(project, flags)
    group = group_of_this_process()
    if group is not None:
        _check_joined(group, gpus)
        if group.index == 0 and _restarts_meet_old_addresses():
            progress.message(
                "torchrun may restart these ranks: set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 for it, or a restart finds "
                "the addresses of the ranks before it and cannot connect (pytorch issue 135712)"
            )
        return None
    n_gpus = _gpus_of_this_machine()
    count = _wanted(gpus, n_gpus, settings)
    if count == 1:
        return None
    kind = "GPUs" if n_gpus else "processes on this CPU (there is no GPU here)"
    progress.message(f"{count} ranks: {count} {kind}")
    environment = {} if n_gpus else _on_cpu(settings.threads, count)
    return run_ranks(_again(command), count=count, environment=environment)


def _gpus_of_this_machine() -> int:
    import torch

    return torch.cuda.device_count()


def _restarts_meet_old_addresses() -> bool:
    own = os.environ
    return own.get("TORCHELASTIC_MAX_RESTARTS", "0") != "0" and own.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def _check_joined(group: Group, gpus: int | None) -> None:
    if gpus is None or gpus == group.count:
        return
    raise UsageError(
        "train.ranks_differ",
        f"--gpus {gpus} was asked for, and this process is one of {group.count} that a launcher started",
        where="--gpus",
        why="under torchrun or accelerate launch the launcher decides",
        fix="leave --gpus out",
    )


def _wanted(gpus: int | None, n_gpus: int, settings: TrainConfig) -> int:
    if gpus is None:
        bins = shape_for(settings, ranks=1).bins
        return max(n for n in range(1, max(1, n_gpus) + 1) if bins % n == 0)
    if n_gpus and gpus > n_gpus:
        raise UsageError(
            "train.too_few_gpus",
            f"--gpus {gpus}, but this machine has {n_gpus}",
            where="--gpus",
            fix=f"--gpus {n_gpus}; several machines are joined by torchrun (docs/engineer.md)",
        )
    shape_for(settings, ranks=gpus)
    return gpus


def _on_cpu(threads: int | None, count: int) -> dict[str, str]:
    """The cores are shared out, and the ranks speak over the loopback: no name needs a network to be resolved."""
    from hrmbuild.training.machine import usable_cores

    each = threads or max(1, usable_cores() // count)
    loopback = {"GLOO_SOCKET_IFNAME": "lo"} if Path("/sys/class/net/lo").exists() else {}
    return {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(each))} | loopback


def _again(command: Sequence[str]) -> list[str]:
    """The typed command line for a new process, which looks for modules where this one does."""
    as_module = Path(sys.argv[0]).name == "__main__.py"
    return [sys.executable, *([] if as_module else ["-P"]), "-m", "hrmbuild", *command]
