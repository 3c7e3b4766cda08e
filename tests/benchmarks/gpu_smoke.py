"""What has to hold on a GPU before anything else is run there, in at most ten minutes on one CUDA device.

1. Every attention kernel that says it can serve, in float32 and bfloat16: outputs and gradients against the dense one
   in float32. A kernel that cannot serve says why.
2. Preset B for 50 steps on pairs made here, through the real training loop in a process of its own: SIGKILL in the
   middle, a second process goes on from the newest checkpoint. Steps must be complete, and steps that both processes
   made must have about the same loss (a GPU's sums are not ordered, so not the same bits).
3. Tokens/s of those steps and of single XL steps, and their share of the measured peak: an 8192-cube bfloat16 product.

Exit status: 0 when everything held, 1 when something did not or there is no CUDA GPU (one line says so). The last line
is one JSON object. Every function takes the device, so that small shapes of all but the figures are tested on a CPU.

    python tests/benchmarks/gpu_smoke.py [--preset B] [--steps 50]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hrmbuild.config.flops import flops_per_token, n_parameters
from hrmbuild.config.presets import PRESETS
from hrmbuild.fingerprint import draw_below, sha256_hex
from hrmbuild.model import build_model
from hrmbuild.model.attention import AttentionBackend, rope_table
from hrmbuild.model.layout import build_layout
from hrmbuild.pipelines.progress import SilentProgress
from hrmbuild.records.pair import pair_id
from hrmbuild.records.run import RunConfig, run_digest
from hrmbuild.tokens.files import TokenData, TokenRow, open_token_files, write_token_files
from hrmbuild.tokens.plan import step_shape
from hrmbuild.tokens.tokenizer import TextTokenizer, train_tokenizer
from hrmbuild.training.loop import Run, train
from hrmbuild.training.machine import DTYPES, choose_dtype, describe_machine
from hrmbuild.training.metrics import read_metrics
from hrmbuild.training.optimizer import AdamAtan2
from hrmbuild.training.ranks import Ranks
from hrmbuild.training.run_folder import RunFolder
from hrmbuild.training.schedules import K_LAST, ema_decay, warm_up_steps

LIMIT_S = 600.0
PACK = [(40, 23), (1, 17), (64, 0), (30, 81)]
"""Prefix and response tokens of the self-test: 256 in all, with the shortest prefix and an empty response."""
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-2}
"""Allowed relative error (Frobenius norm) of outputs and of gradients."""
SAME_LOSS = 2e-2
"""Allowed relative difference of a step's loss between two processes."""
SOURCE, CONTENT_ROOT = sha256_hex(b"pairs of gpu-smoke"), sha256_hex(b"content root of gpu-smoke")
XL_PACKS = (16_384, 8_192, 4_096, 2_048)


@dataclass(frozen=True)
class KernelCheck:
    """One kernel in one dtype: its relative error, or why it cannot serve."""

    backend: AttentionBackend
    dtype: torch.dtype
    error: float | None
    why_not: str | None

    @property
    def ok(self) -> bool:
        """It cannot serve, or it is right; a NaN is not right."""
        return self.error is None or self.error <= TOLERANCE[self.dtype]


def check_kernels(device: torch.device, *, n_heads: int = 8, head_dim: int = 128) -> Iterator[KernelCheck]:
    """Each kernel and dtype against the dense kernel in float32 on equal inputs."""
    generator = torch.Generator().manual_seed(0)
    n_tokens, width = sum(map(sum, PACK)), n_heads * head_dim
    gqkv = torch.randn(n_tokens, 4 * width, generator=generator).to(device)
    upstream = torch.randn(n_tokens, width, generator=generator).to(device)
    for dtype in TOLERANCE:
        rounded = (gqkv.to(dtype), upstream.to(dtype))
        truth = attend(AttentionBackend.DENSE, rounded[0].float(), rounded[1].float(), n_heads=n_heads)
        for backend in AttentionBackend:
            why_not = backend.why_unavailable(device, dtype)
            error = None
            if why_not is None:
                found = attend(backend, *rounded, n_heads=n_heads)
                errors = [(a - b).norm() / b.norm() for a, b in zip(found, truth, strict=True)]
                error = float(torch.stack(errors).max())  # unlike Python's max, it keeps a NaN
            yield KernelCheck(backend, dtype, error, why_not)


def attend(
    backend: AttentionBackend, gqkv: torch.Tensor, upstream: torch.Tensor, *, n_heads: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Output [T, D] and the gradient [T, 4D] of the input, in float32."""
    prefixes, responses = ([pair[side] for pair in PACK] for side in (0, 1))
    layout = build_layout(prefixes, responses, device=gqkv.device, dtype=gqkv.dtype, backend=backend)
    rope = rope_table(layout.positions, head_dim=upstream.shape[1] // n_heads, theta=10_000.0)
    inputs = gqkv.detach().clone().requires_grad_()
    out = layout.to_tokens(layout.plan.gated(rope, n_heads=n_heads, dtype=gqkv.dtype)(layout.to_slots(inputs)))
    (gradient,) = torch.autograd.grad(out, inputs, upstream)
    return out.detach().float(), gradient.float()


def seconds(device: torch.device, work: Callable[[], object], *, repeats: int) -> float:
    """Median time of one call, after two that are left out."""
    spent: list[float] = []
    for _ in range(2 + repeats):
        synchronize(device)
        started_at_s = time.perf_counter()
        work()
        synchronize(device)
        spent.append(time.perf_counter() - started_at_s)
    return statistics.median(spent[2:])


def synchronize(device: torch.device) -> None:
    """Wait for what was launched."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_peak(device: torch.device, *, size: int = 8_192) -> float:
    """FLOP/s of a bfloat16 product of two cubes' faces: the peak that shares are given of."""
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2.0 * size**3 / seconds(device, lambda: a @ b, repeats=20)


def made_rows(n: int, *, purpose: str) -> list[TokenRow]:
    """Comparisons after a few to many rules, ordered by id: about 50 to 500 tokens each."""
    rows: dict[str, TokenRow] = {}
    for number in range(n):
        limits = [10 + draw_below(90, purpose, number, str(i)) for i in range(3 + draw_below(30, purpose, number, "n"))]
        rules = " ".join(f"Rule {i}: above {limit} EUR office {i} decides." for i, limit in enumerate(limits))
        which, fare = draw_below(len(limits), purpose, number, "rule"), 10 + draw_below(90, purpose, number, "fare")
        instruction = f"{rules}\nCase {number}: fare {fare} EUR. Does rule {which} hold?"
        response = f"{'yes' if fare > limits[which] else 'no'}: fare {fare}, limit {limits[which]}. " * 4
        identity = pair_id("direct", instruction, response)
        rows[identity] = TokenRow(identity, SOURCE, "direct", instruction, response)
    return [rows[identity] for identity in sorted(rows)]


def write_tokens(folder: Path, *, n_pairs: int) -> str:
    """Token files of made pairs; the tokenizer's hash."""
    rows = {"train": made_rows(n_pairs, purpose="train"), "dev": made_rows(16, purpose="dev")}
    tokenizer = TextTokenizer(train_tokenizer((text for row in rows["train"] for text in row[3:]), vocab_size=512))
    write_token_files(rows, tokenizer, content_root=CONTENT_ROOT, sources=[SOURCE], folder=folder)
    return tokenizer.sha256


@dataclass(frozen=True)
class Smoke:
    """One training: passed to its processes as JSON."""

    preset: str
    device: str
    steps: int
    vocab_size: int
    tokenizer_sha256: str
    checkpoint_every_steps: int

    def config(self) -> RunConfig:
        """The preset's own batch and rate."""
        preset, device = PRESETS[self.preset], torch.device(self.device)
        shape = step_shape(preset.batch_tokens)
        return RunConfig(
            preset=preset.name,
            model=preset.model_config_for(self.vocab_size),
            content_root=CONTENT_ROOT,
            tokenizer_sha256=self.tokenizer_sha256,
            steps=self.steps,
            batch_tokens=shape.tokens,
            bins=shape.bins,
            learning_rate=preset.learning_rate,
            warm_up_steps=warm_up_steps(self.steps),
            final_lr_fraction=1.0,
            ema_decay=ema_decay(self.steps),
            seed=0,
            dtype="bfloat16" if choose_dtype(device, "auto") == "bfloat16" else "float32",
            eval_every_steps=self.steps,
            eval_pairs=16,
            checkpoint_every_steps=self.checkpoint_every_steps,
            keep_checkpoints=2,
        )


def open_tokens(folder: Path, smoke: Smoke) -> TokenData:
    """What `write_tokens` wrote."""
    return open_token_files(folder / "tokens", content_root=CONTENT_ROOT, tokenizer_sha256=smoke.tokenizer_sha256)


def train_here(folder: Path, smoke: Smoke) -> None:
    """Train from the newest checkpoint to the end, in this process, through the real loop."""
    config, ranks = smoke.config(), Ranks(cpu=smoke.device == "cpu")
    model = build_model(config.model)
    model.init_weights(config.seed)
    model.compute_dtype = None if config.dtype == "float32" else DTYPES[config.dtype]
    machine = describe_machine(ranks, dtype=config.dtype, attention="auto", threads=None)
    print(json.dumps(machine.canonical()), flush=True)
    run = Run(
        config=config,
        config_sha256=run_digest(config),
        data=open_tokens(folder, smoke),
        folder=RunFolder(folder / "run"),
        ranks=ranks,
        machine=machine,
        repeats=None,
        score=None,
        report=SilentProgress(),
    )
    train(run, model)


def start(folder: Path, smoke: Smoke) -> subprocess.Popen[bytes]:
    """The same in a process of its own."""
    return subprocess.Popen([sys.executable, __file__, "--train", str(folder), json.dumps(vars(smoke))])


def n_steps(folder: Path) -> int:
    """Whole lines of the metrics."""
    path = folder / "run" / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def kill_and_resume(folder: Path, smoke: Smoke, *, kill_after: int, limit_s: float) -> dict[str, Any]:
    """SIGKILL once `kill_after` steps are done, go on in a new process; what came of it.

    Raises:
        RuntimeError: a process failed, ended too early, or took too long.
    """
    ends_at_s, first = time.monotonic() + limit_s, start(folder, smoke)
    try:
        while n_steps(folder) < kill_after:
            if first.poll() is not None or time.monotonic() > ends_at_s:
                raise RuntimeError(f"the first process made {n_steps(folder)} steps of {kill_after}: too slow or ended")
            time.sleep(0.05)
        os.kill(first.pid, signal.SIGKILL)
    finally:
        first.kill()
        first.wait()
    before = read_metrics(folder / "run" / "metrics.jsonl")
    second = start(folder, smoke)
    try:
        status = second.wait(max(1.0, ends_at_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        second.kill()
        raise RuntimeError("the second process took too long") from None
    if status != 0:
        raise RuntimeError(f"the second process ended with status {status}")
    return outcome(before, read_metrics(folder / "run" / "metrics.jsonl"), smoke)


def outcome(before: list[dict[str, Any]], after: list[dict[str, Any]], smoke: Smoke) -> dict[str, Any]:
    """Whether the steps are complete and repeated ones alike; the first process's lines are `before`."""
    kept = sum(a["elapsed_s"] == b["elapsed_s"] for a, b in zip(before, after, strict=False))
    again = [(a["loss"], b["loss"]) for a, b in zip(before[kept:], after[kept:], strict=False)]
    difference = max((abs(a - b) / abs(a) for a, b in again), default=0.0)
    complete = [line["step"] for line in after] == list(range(1, smoke.steps + 1))
    return {
        "complete": complete,
        "killed_after": len(before),
        "resumed_from": kept,
        "loss_difference": difference,
        "first_loss": after[0]["loss"],
        "last_loss": after[-1]["loss"],
        "ok": complete and 0 < kept < smoke.steps and difference <= SAME_LOSS and after[-1]["loss"] < after[0]["loss"],
    }


def trained_speed(folder: Path, smoke: Smoke) -> dict[str, float]:
    """Tokens/s and FLOP/s of the steps at the last k, the first three after the resume left out by the median."""
    lines = [line for line in read_metrics(folder / "run" / "metrics.jsonl") if line["k"] == K_LAST]
    tokens_per_s = statistics.median(line["tokens"] / line["seconds"] for line in lines)
    data = open_tokens(folder, smoke).splits["train"]
    p, r = data.prefix_lengths.astype(float), data.response_lengths.astype(float)
    keys = float((p * p + p * r + r * (r + 1) / 2).sum() / (p + r).sum())
    share = sum(line["response_tokens"] for line in lines) / sum(line["tokens"] for line in lines)
    config = smoke.config().model
    flops = flops_per_token(config, k=K_LAST, keys_per_token=keys, response_fraction=share).total
    return {"tokens_per_s": tokens_per_s, "flop_per_s": tokens_per_s * flops}


def step_speed(preset: str, device: torch.device, *, pack_tokens: int, vocab_size: int = 65_536) -> dict[str, float]:
    """Tokens/s of whole steps (one pack, k = 5, forward, backward, update) on sequences of 180 + 76 tokens."""
    config = PRESETS[preset].model_config_for(vocab_size)
    with device:
        model = build_model(config)
    model.compute_dtype = DTYPES[choose_dtype(device, "auto")]
    optimizer = AdamAtan2(model.parameters(), 1e-5)
    prefix, response = 180, 76
    n = max(1, pack_tokens // (prefix + response))
    layout = build_layout([prefix] * n, [response] * n, device=device, dtype=model.dtype)
    ids = torch.randint(vocab_size, (layout.n_tokens,), device=device)

    def step() -> None:
        result = model(ids, ids, layout, K_LAST)
        (result.loss_sum / result.n_tokens).backward()
        optimizer.step()
        optimizer.zero_grad()

    spent = seconds(device, step, repeats=3)
    keys = (prefix * prefix + prefix * response + response * (response + 1) / 2) / (prefix + response)
    share = (response + 1) / (prefix + response)
    flops = flops_per_token(config, k=K_LAST, keys_per_token=keys, response_fraction=share).total
    rate = layout.n_tokens / spent
    return {"tokens_per_s": rate, "flop_per_s": rate * flops, "pack_tokens": float(layout.n_tokens)}


def largest_step(preset: str, device: torch.device) -> dict[str, float] | None:
    """The largest pack that fits; None where not even the weights and their state do."""
    needed = 22 * n_parameters(PRESETS[preset].model_config_for(65_536))
    if torch.cuda.mem_get_info(device)[0] < needed:
        return None
    for pack_tokens in XL_PACKS:
        try:
            return step_speed(preset, device, pack_tokens=pack_tokens)
        except torch.cuda.OutOfMemoryError:
            print(f"{preset}: {pack_tokens:,} tokens do not fit", flush=True)
        torch.cuda.empty_cache()
    return None


def smoke_test(preset: str, steps: int) -> bool:
    """All parts on the first GPU, told as they come."""
    started_at_s, device = time.monotonic(), torch.device("cuda", 0)
    print(f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}", flush=True)
    checks = list(check_kernels(device))
    for one in checks:
        told = f"cannot serve: {one.why_not}" if one.error is None else f"error {one.error:.1e}"
        print(f"  {one.backend:<7} {one.dtype!s:<15} {told}{'' if one.ok else '  WRONG'}", flush=True)
    peak = matrix_peak(device)
    print(f"measured bf16 peak: {peak / 1e12:.0f} TFLOP/s", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tokenizer_sha256 = write_tokens(folder / "tokens", n_pairs=4_000)
        smoke = Smoke(preset, "cuda", steps, 65_536, tokenizer_sha256, checkpoint_every_steps=max(1, 2 * steps // 5))
        left_s = LIMIT_S - 90 - (time.monotonic() - started_at_s)
        resumed = kill_and_resume(folder, smoke, kill_after=steps // 2, limit_s=left_s)
        print(json.dumps(resumed), flush=True)
        trained = trained_speed(folder, smoke)
    xl = largest_step("XL", device)
    figures = {preset: trained, "XL": xl}
    for name, found in figures.items():
        if found is None:
            print(f"{name}: the memory of this GPU does not hold it")
        else:
            share = found["flop_per_s"] / peak
            print(f"{name}: {found['tokens_per_s']:,.0f} tokens/s, {share:.1%} of the measured peak")
    ok = all(one.ok for one in checks) and resumed["ok"]
    print(json.dumps({"ok": ok, "peak_tflops": peak / 1e12, "figures": figures, "resume": resumed,
                      "seconds": round(time.monotonic() - started_at_s)}))  # fmt: skip
    return ok


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=list(PRESETS), default="B")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--train", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    options = parse()
    if options.train:
        train_here(Path(options.train[0]), Smoke(**json.loads(options.train[1])))
        return 0
    if not torch.cuda.is_available():
        print(f"gpu-smoke: no CUDA GPU is visible to torch {torch.__version__}: nothing was tried", file=sys.stderr)
        return 1
    try:
        return 0 if smoke_test(options.preset, options.steps) else 1
    except RuntimeError as error:
        print(f"gpu-smoke: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
