"""One training step of ours against `transformers`' own class: same weights, batches, dtype, routing and optimizer.

Sides, interleaved batch by batch: `ours` (packed), `padded` (the library's class on a padded batch with `labels`),
`single` (the same class, one sequence at a time). Each step is forward, backward and Adam-atan2. Real tokens exclude
padding. Batches of 32 are drawn from each file of `lengths/` ([prefix, response] tokens of a sequence). Warm-up steps
are printed and left out; the slow `single` side is timed in every third round. The last line is one JSON object;
`ratio_padded` and `padding_efficiency` are those of `mixed`.

    python tests/benchmarks/bench_train.py [--preset nano] [--dtype auto] [--rounds 8] [--compile]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import HrmTextConfig, HrmTextForCausalLM

from hrmbuild.config.flops import flops_per_token
from hrmbuild.config.presets import PRESETS
from hrmbuild.fingerprint import draw_below
from hrmbuild.model import build_model
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.layers import Block
from hrmbuild.model.layout import build_layout
from hrmbuild.model.weights import split_state
from hrmbuild.training.machine import DTYPES, choose_dtype
from hrmbuild.training.memory import keep_freed_memory
from hrmbuild.training.optimizer import AdamAtan2

LENGTHS = Path(__file__).resolve().parent / "lengths"
FILES = ("scenarios", "gsm8k", "mixed")
BATCH, VOCAB, K, WARM_UP, LABEL_IGNORED = 32, 4_096, 5, 2, -100


@dataclass(frozen=True)
class Batch:
    """Token ids of each sequence and where its response begins."""

    ids: list[torch.Tensor]
    prefixes: list[int]

    @property
    def real_tokens(self) -> int:
        """Positions that carry a token."""
        return sum(map(len, self.ids))

    @property
    def efficiency(self) -> float:
        """Share of real tokens in the padded batch."""
        return self.real_tokens / (len(self.ids) * max(map(len, self.ids)))


def draw_batches(name: str, count: int, device: torch.device) -> Iterator[Batch]:
    pairs = json.loads((LENGTHS / f"{name}.json").read_text("utf-8"))
    for number in range(count):
        chosen = [pairs[draw_below(len(pairs), "bench-train", number, f"{name}:{i}")] for i in range(BATCH)]
        generator = torch.Generator().manual_seed(number)
        ids = [torch.randint(VOCAB, (sum(pair),), generator=generator).to(device) for pair in chosen]
        yield Batch(ids, [prefix for prefix, _ in chosen])


Step = Callable[[Batch], float]
"""One optimizer step; returns the mean loss of a label."""


def our_step(model: LanguageModel) -> Step:
    optimizer = AdamAtan2(model.parameters(), 1e-4)

    def step(batch: Batch) -> float:
        responses = [len(ids) - prefix - 1 for ids, prefix in zip(batch.ids, batch.prefixes, strict=True)]
        inputs, labels = torch.cat([ids[:-1] for ids in batch.ids]), torch.cat([ids[1:] for ids in batch.ids])
        layout = build_layout(batch.prefixes, responses, device=inputs.device, dtype=model.dtype)
        result = model(inputs, labels, layout, K)
        (result.loss_sum / result.n_tokens).backward()
        optimizer.step()
        optimizer.zero_grad()
        return result.loss_sum.item() / result.n_tokens

    return step


def labels_of(ids: torch.Tensor, prefix: int) -> torch.Tensor:
    return torch.cat([ids.new_full((prefix,), LABEL_IGNORED), ids[prefix:]])


def padded_step(theirs: HrmTextForCausalLM) -> Step:
    optimizer = AdamAtan2([p for p in theirs.parameters() if p.requires_grad], 1e-4)

    def step(batch: Batch) -> float:
        pad = torch.nn.utils.rnn.pad_sequence
        types = [(torch.arange(len(ids)) < p).long() for ids, p in zip(batch.ids, batch.prefixes, strict=True)]
        out = theirs(
            input_ids=pad(batch.ids, batch_first=True),
            attention_mask=pad([torch.ones_like(ids) for ids in batch.ids], batch_first=True),
            token_type_ids=pad(types, batch_first=True).to(batch.ids[0].device),
            labels=pad(list(map(labels_of, batch.ids, batch.prefixes)), batch_first=True, padding_value=LABEL_IGNORED),
            use_cache=False,
        )
        out.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return out.loss.item()

    return step


def single_step(theirs: HrmTextForCausalLM) -> Step:
    optimizer = AdamAtan2([p for p in theirs.parameters() if p.requires_grad], 1e-4)

    def step(batch: Batch) -> float:
        n_labels = sum(len(ids) - prefix for ids, prefix in zip(batch.ids, batch.prefixes, strict=True))
        total = 0.0
        for ids, prefix in zip(batch.ids, batch.prefixes, strict=True):
            types = (torch.arange(len(ids), device=ids.device) < prefix).long()[None]
            labels = labels_of(ids, prefix)[None]
            out = theirs(
                input_ids=ids[None], token_type_ids=types, labels=labels, num_items_in_batch=n_labels, use_cache=False
            )
            out.loss.backward()
            total += out.loss.item()
        optimizer.step()
        optimizer.zero_grad()
        return total

    return step


def their_model(model: LanguageModel, dtype: torch.dtype) -> HrmTextForCausalLM:
    config = model.config
    theirs = HrmTextForCausalLM(
        HrmTextConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.layers_per_stack,
            num_attention_heads=config.n_heads,
            head_dim=config.head_dim,
            L_bp_cycles=[0, K - 2],
            embedding_scale=config.embedding_scale,
            max_position_embeddings=config.context_tokens,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        )
    )
    theirs.load_state_dict(split_state(model), strict=True)
    return theirs.to(model.lm_head.weight.device, dtype).train()


def build_sides(preset: str, dtype: str, *, names: list[str], compiled: bool = False) -> dict[str, Step]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build_model(PRESETS[preset].model_config_for(VOCAB)).to(device)
    model.init_weights(0)
    theirs = [their_model(model, DTYPES[dtype]) for _ in range(2)] if len(names) > 1 or names != ["ours"] else []
    model.compute_dtype = DTYPES[dtype]
    for block in model.modules() if compiled else ():
        if isinstance(block, Block):
            block.compile_in_place()
    makers = {
        "ours": lambda: our_step(model),
        "padded": lambda: padded_step(theirs[0]),
        "single": lambda: single_step(theirs[1]),
    }
    return {name: makers[name]() for name in names}


def seconds(step: Step, batch: Batch) -> tuple[float, float]:
    started_at_s = time.perf_counter()
    loss = step(batch)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started_at_s, loss


def compare(name: str, sides: dict[str, Step], rounds: int) -> dict[str, float]:
    """Medians of the ratios, round by round, so that a busy machine slows all sides of a round alike."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batches = list(draw_batches(name, WARM_UP + rounds, device))
    timed: list[dict[str, float]] = []
    for number, batch in enumerate(batches):
        due = [side for side in sides if side != "single" or number % 3 == 0]
        measured = {side: seconds(sides[side], batch) for side in due}
        if number < WARM_UP:
            told = ", ".join(f"{side} {spent:.2f} s (loss {loss:.3f})" for side, (spent, loss) in measured.items())
            print(f"  {name} warm-up {number + 1}, left out: {told}", flush=True)
        else:
            timed.append({side: batch.real_tokens / spent for side, (spent, _) in measured.items()})
    rate = {side: statistics.median(row[side] for row in timed if side in row) for side in sides}
    ratios = {side: statistics.median(row["ours"] / row[side] for row in timed if side in row) for side in sides}
    efficiency = sum(b.efficiency for b in batches[WARM_UP:]) / rounds
    return {"efficiency": efficiency, "floor": 1.2 / efficiency} | rate | {f"ratio_{s}": r for s, r in ratios.items()}


def peak_mib(preset: str, dtype: str, side: str) -> float:
    """Peak memory of a fresh process that runs one side only, three steps of `mixed`."""
    command = [sys.executable, __file__, "--preset", preset, "--dtype", dtype, "--peak-of", side]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def peak_rss_mib() -> float:
    """Of this process since it was started; `ru_maxrss` would begin with its parent's."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text("ascii").splitlines())
    return int(fields["VmHWM"].split()[0]) / 1024


def print_peak(preset: str, dtype: str, side: str) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    step = build_sides(preset, dtype, names=[side])[side]
    for batch in draw_batches("mixed", 3, device):
        step(batch)
    on_gpu = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0
    print(on_gpu or peak_rss_mib())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=list(PRESETS), default="nano")
    parser.add_argument("--dtype", choices=["auto", *DTYPES], default="auto")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="torch.compile for each block of ours")
    parser.add_argument("--peak-of", choices=["ours", "padded", "single"], help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    dtype = choose_dtype(torch.device("cuda" if torch.cuda.is_available() else "cpu"), options.dtype)
    if options.peak_of:
        print_peak(options.preset, dtype, options.peak_of)
        return
    gflop = flops_per_token(PRESETS[options.preset].model_config_for(VOCAB), k=K, keys_per_token=128).total / 1e9
    print(f"preset {options.preset}, {dtype}, k = {K}, {options.threads} threads, {gflop:.3f} GFLOP a token; "
          f"load of the machine {os.getloadavg()[0]:.1f}")  # fmt: skip
    sides = build_sides(options.preset, dtype, names=["ours", "padded", "single"], compiled=options.compile)
    rows = {name: compare(name, sides, options.rounds) for name in FILES}
    print(f"{'lengths':<10} {'efficiency':>10} {'ours':>9} {'padded':>9} {'single':>9}  tokens/s")
    for name, row in rows.items():
        print(f"{name:<10} {row['efficiency']:>10.3f} {row['ours']:>9.0f} {row['padded']:>9.0f} {row['single']:>9.0f}")
    for name, row in rows.items():
        verdict = "reached" if row["ratio_padded"] >= row["floor"] else "MISSED"
        print(f"{name}: {row['ratio_padded']:.2f} x padded, 1.2 / efficiency = {row['floor']:.2f}: {verdict}")
    peaks = {side: peak_mib(options.preset, dtype, side) for side in sides}
    print("peak MiB: " + ", ".join(f"{side} {peak:.0f}" for side, peak in peaks.items()))
    last = {
        "ratio_padded": round(rows["mixed"]["ratio_padded"], 3),
        "padding_efficiency": round(rows["mixed"]["efficiency"], 3),
        "ratio_single": round(rows["mixed"]["ratio_single"], 3),
        "peak_mib": round(peaks["ours"]),
        "dtype": dtype,
        "preset": options.preset,
        "compile": options.compile,
    }
    print(json.dumps(last))


if __name__ == "__main__":
    main()
