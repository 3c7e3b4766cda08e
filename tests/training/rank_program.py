"""A tiny run as one of several ranks: the program that tests of launching, killing and restarting start.

`python rank_program.py FOLDER SETTINGS` trains as whatever rank the environment says; `... --ranks N FOLDER SETTINGS`
starts N such ranks and ends with their status, as `hrmbuild train --gpus N` does. SETTINGS is JSON: changes of
`tiny_run.config`, and `spoil`: what rank 1 is to meet (`disk`, `nan`).
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent)]

import torch  # noqa: E402
from tiny_run import Notes, config, new_model, new_run  # noqa: E402

from hrmbuild.errors import HrmbuildError  # noqa: E402
from hrmbuild.pipelines.rank_processes import as_rank, run_ranks  # noqa: E402
from hrmbuild.training.agreement import watching_others  # noqa: E402
from hrmbuild.training.loop import train  # noqa: E402

SMALLEST_SHARD_BYTES = 20_000


class Told(Notes):
    """Says on stderr what a run reports."""

    def message(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def train_as_rank(folder: Path, settings: dict) -> None:
    spoil = settings.pop("spoil", None)
    with as_rank():
        torch.manual_seed(0)
        run = new_run(folder, config(**settings), notes=Told())
        with watching_others(run.ranks):
            model = new_model(run.config)
            if run.ranks.index == 1 and spoil is not None:
                spoil_rank(spoil, model)
            train(run, model)


def spoil_rank(how: str, model: torch.nn.Module) -> None:
    if how == "disk":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (SMALLEST_SHARD_BYTES, SMALLEST_SHARD_BYTES))
    else:
        model.model.embed_tokens.register_forward_hook(lambda module, given, out: out * float("nan"))


def main(words: list[str]) -> int:
    try:
        if words[0] == "--ranks":
            command = [sys.executable, str(Path(__file__).resolve()), *words[2:]]
            ended = run_ranks(command, count=int(words[1]), environment={"OMP_NUM_THREADS": "1"})
            sys.stdout.write(ended.stdout.decode())
            return ended.status
        train_as_rank(Path(words[0]), json.loads(words[1]))
    except HrmbuildError as error:
        if not error.quiet:
            print(f"{error.code}: {error}", file=sys.stderr, flush=True)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
