"""What a training is watched with: peak and price of its devices, trackers that were asked for, the page.

Owns putting them together. It must not train, and it changes no number of the run.
"""

from __future__ import annotations

from collections.abc import Sequence

from hrmbuild.config.gpus import hardware_for
from hrmbuild.config.project import HardwareConfig
from hrmbuild.pipelines.run_report import write_run_report
from hrmbuild.records.run import Machine, RunRecord
from hrmbuild.tokens.files import TokenData
from hrmbuild.tokens.mix import Repeats, repeats_in
from hrmbuild.training.feed import trained_slots
from hrmbuild.training.history import History
from hrmbuild.training.outlook import keys_per_token
from hrmbuild.training.run_folder import RunFolder
from hrmbuild.training.watch import Watching


def watching_of(
    folder: RunFolder,
    record: RunRecord,
    machine: Machine,
    *,
    data: TokenData,
    repeats: Repeats,
    hardware: HardwareConfig | None,
    trackers: Sequence[str] | None,
) -> Watching:
    """For the loop. `machine` is the one that computes now; `record` may be of the one where the run began."""
    train = data.splits["train"]
    slots = trained_slots(train, record.config.model.context_tokens)

    def page(history: History) -> None:
        write_run_report(folder, record.model_copy(update={"machine": machine}), history)

    return Watching(
        gpu=hardware_for(machine.device, hardware),
        keys_per_token=keys_per_token(train, slots, repeats_in(repeats, 0)),
        trackers=tuple(trackers or ()),
        page=page,
    )
