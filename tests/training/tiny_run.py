"""A run small enough for a test: a model of 30,000 weights on pairs written by hand."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal

import torch
from token_rows import CONTENT_ROOT, SOURCES, make_rows, make_tokenizer

from hrmbuild.config.model import ModelConfig
from hrmbuild.model import build_model
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.records.run import RunConfig, RunResult, run_digest
from hrmbuild.tokens.files import TokenData, open_token_files, write_token_files
from hrmbuild.training.loop import Run, Score, train
from hrmbuild.training.machine import DTYPES, describe_machine
from hrmbuild.training.ranks import Ranks
from hrmbuild.training.run_folder import RunFolder

MODEL = ModelConfig(vocab_size=512, hidden_size=32, n_heads=2, head_dim=16, layers_per_stack=1, context_tokens=128)


class Notes:
    """Keeps what a run reports."""

    def __init__(self) -> None:
        self.steps, self.messages = 0, []

    def advance(self, n: int = 1, *, note: str = "", left_s: float | None = None, before: bool = False) -> None:
        self.steps += n

    def message(self, text: str) -> None:
        self.messages.append(text)


@cache
def token_data() -> TokenData:
    """300 pairs to train on, 20 held out."""
    rows = make_rows(300)
    tokenizer = make_tokenizer(rows)
    folder = Path(mkdtemp()) / "tokens"
    splits = {"train": rows, "dev": make_rows(20, purpose="dev")}
    write_token_files(splits, tokenizer, content_root=CONTENT_ROOT, sources=SOURCES, folder=folder)
    return open_token_files(folder, content_root=CONTENT_ROOT, tokenizer_sha256=tokenizer.sha256)


def config(**changes: Any) -> RunConfig:
    """Six steps of 1,024 tokens in two bins."""
    values: dict[str, Any] = {
        "preset": "nano",
        "model": MODEL,
        "content_root": CONTENT_ROOT,
        "tokenizer_sha256": token_data().files.tokenizer_sha256,
        "steps": 6,
        "batch_tokens": 1024,
        "bins": 2,
        "learning_rate": 2e-3,
        "warm_up_steps": 2,
        "final_lr_fraction": 0.1,
        "ema_decay": 0.5,
        "seed": 3,
        "dtype": "float32",
        "eval_every_steps": 3,
        "eval_pairs": 8,
        "checkpoint_every_steps": 3,
        "keep_checkpoints": 3,
    }
    return RunConfig(**(values | changes))


def new_model(run_config: RunConfig) -> LanguageModel:
    """With the weights that the seed draws."""
    model = build_model(run_config.model)
    model.init_weights(run_config.seed)
    model.compute_dtype = None if run_config.dtype == "float32" else DTYPES[run_config.dtype]
    return model


def new_run(
    folder: Path,
    run_config: RunConfig,
    *,
    score: Score | None = None,
    notes: Notes | None = None,
    sharding: Literal["ddp", "fsdp"] | None = None,
) -> Run:
    """On the CPU, with one thread."""
    ranks = Ranks(cpu=True)
    machine = describe_machine(ranks, dtype=run_config.dtype, attention="auto", threads=1)
    folder.mkdir(parents=True, exist_ok=True)
    return Run(
        config=run_config,
        config_sha256=run_digest(run_config),
        data=token_data(),
        folder=RunFolder(folder),
        ranks=ranks,
        machine=machine.model_copy(update={"sharding": sharding}),
        repeats=None,
        score=score,
        report=notes or Notes(),
    )


def train_in(
    folder: Path,
    run_config: RunConfig,
    *,
    score: Score | None = None,
    notes: Notes | None = None,
    sharding: Literal["ddp", "fsdp"] | None = None,
) -> RunResult:
    """A whole run, or the rest of one."""
    torch.manual_seed(0)
    run = new_run(folder, run_config, score=score, notes=notes, sharding=sharding)
    return train(run, new_model(run_config))
