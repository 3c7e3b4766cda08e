"""What recurrence costs when it is served: a package and a plain Transformer under one engine and a rising load.

Both have the preset's width, heads and number of layers, drawn weights and the same tokenizer; the Transformer is
`transformers`' Llama class. Each is served by `transformers serve` on loopback, by the command that `hrmbuild serve`
starts; at each load so many clients ask at once, sides in turn, and stream their answers. Told are medians over
requests: time to the first text, time for each further token, and requests a second; memory is the server's peak. The
engine answers one request after the other, so that under load the first text waits. The last line is one JSON object;
`ratio` is the smallest of all loads: requests a second of the package over those of the Transformer.

    python tests/benchmarks/bench_serve.py [--preset nano] [--loads 1 2 4] [--requests 4] [--tokens 32]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from hrmbuild.config.presets import PRESETS
from hrmbuild.inference.generate import SINGLE_THREAD_WIDTH
from hrmbuild.pipelines.engines import ENGINES, OFFLINE, Served

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bench_generate import END_ID, PAD_ID, VOCAB, write_drawn_package

SIDES = ("package", "transformer")
READY_S, REQUEST_S, END_S = 300.0, 240.0, 10.0
MOST_CLIENTS = 8


@dataclass(frozen=True)
class Asked:
    """One streamed request."""

    first_s: float
    token_s: float
    tokens: int


def write_transformer(preset: str, package: Path, folder: Path) -> None:
    """A Llama of the preset's shape beside the package's tokenizer, without its PrefixLM."""
    config = PRESETS[preset].model_config_for(VOCAB)
    shape = LlamaConfig(
        vocab_size=VOCAB, hidden_size=config.hidden_size, intermediate_size=config.intermediate_size,
        num_hidden_layers=2 * config.layers_per_stack, num_attention_heads=config.n_heads, head_dim=config.head_dim,
        num_key_value_heads=config.n_heads, max_position_embeddings=config.context_tokens, eos_token_id=END_ID,
        pad_token_id=PAD_ID, bos_token_id=1,
    )  # fmt: skip
    torch.manual_seed(0)
    LlamaForCausalLM(shape).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        shutil.copy(package / name, folder / name)
    settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    settings["model_input_names"] = ["input_ids", "attention_mask"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")


@contextmanager
def served(folder: Path, preset: str, threads: int) -> Iterator[tuple[str, int]]:
    """The server's address and process id, while it runs."""
    config = PRESETS[preset].model_config_for(VOCAB)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told = Served(folder, "127.0.0.1", port, "float32", config.context_tokens, config.hidden_size, "cpu")
    home = {"HF_HOME": str(folder.parent), "HF_HUB_CACHE": str(folder.parent), "OMP_NUM_THREADS": str(threads)}
    log = (folder.parent / f"{folder.name}.log").open("wb")
    with log, subprocess.Popen(
        ENGINES["transformers"].command(told), cwd=folder.parent, env=os.environ | OFFLINE | home, stdout=log,
        stderr=log, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            wait_until_up(f"http://127.0.0.1:{port}/health", process)
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def wait_until_up(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + READY_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=REQUEST_S):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise SystemExit(f"the engine did not come up: status {process.returncode}")


def ask(base: str, model: str, number: int, n_tokens: int) -> Asked:
    """Stream one answer."""
    question = " ".join(f"Claim {number + n}: {100 * n} EUR, receipt {n}." for n in range(12))
    messages = [{"role": "user", "content": question}]
    body = {"model": model, "messages": messages, "max_tokens": n_tokens, "temperature": 0.0, "stream": True}
    request = urllib.request.Request(f"{base}/v1/chat/completions", json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    started_at_s, first_s, tokens = time.perf_counter(), 0.0, 0
    with urllib.request.urlopen(request, timeout=REQUEST_S) as response:
        for line in response:
            if not line.startswith(b"data: {"):
                continue
            chunk = json.loads(line[6:])
            if not first_s and any(choice["delta"].get("content") for choice in chunk["choices"]):
                first_s = time.perf_counter() - started_at_s
            tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
    whole_s = time.perf_counter() - started_at_s
    return Asked(first_s or whole_s, (whole_s - first_s) / max(1, tokens - 1), tokens)


def at_load(base: str, model: str, clients: int, options: argparse.Namespace) -> tuple[list[Asked], float]:
    """Every client asks `options.requests` times; the answers and requests a second."""
    started_at_s = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        asked = list(pool.map(lambda n: ask(base, model, n, options.tokens), range(clients * options.requests)))
    return asked, len(asked) / (time.perf_counter() - started_at_s)


def peak_mib(pid: int) -> float:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines())
    return int(fields["VmHWM"].split()[0]) / 1024


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=["nano", "tiny", "small"], default="nano")
    parser.add_argument("--loads", type=int, nargs="+", default=[1, 2, 4], help="clients at once, at most 8")
    parser.add_argument("--requests", type=int, default=4, help="of each client")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    options.loads = [min(load, MOST_CLIENTS) for load in options.loads]
    return options


def main() -> None:
    options = parse()
    threads = 1 if PRESETS[options.preset].hidden_size <= SINGLE_THREAD_WIDTH else options.threads
    with tempfile.TemporaryDirectory() as scratch:
        folders = {side: Path(scratch) / side for side in SIDES}
        write_drawn_package(options.preset, folders["package"])
        write_transformer(options.preset, folders["package"], folders["transformer"])
        with (
            served(folders["package"], options.preset, threads) as ours,
            served(folders["transformer"], options.preset, threads) as theirs,
        ):
            compare({"package": ours, "transformer": theirs}, options)


def compare(servers: dict[str, tuple[str, int]], options: argparse.Namespace) -> None:
    rate: dict[tuple[int, str], float] = {}
    for side, (base, _) in servers.items():
        ask(base, side, 0, options.tokens)  # loads what is loaded late
    print(f"{options.preset:<8}{'':<12}{'first text, ms':>16}{'a token, ms':>14}{'requests/s':>12}{'tokens':>8}")
    for load in options.loads:
        for side, (base, _) in servers.items():
            asked, rate[load, side] = at_load(base, side, load, options)
            times = [(one.first_s, one.token_s) for one in asked]
            first_ms, token_ms = (1e3 * statistics.median(x) for x in zip(*times, strict=True))
            n_tokens = sum(one.tokens for one in asked)
            name = f"{load} at once" if side == SIDES[0] else ""
            print(
                f"{name:<11}{side:<12}{first_ms:>13.0f}{token_ms:>14.1f}{rate[load, side]:>12.2f}{n_tokens:>8}",
                flush=True,
            )
    peaks = {side: round(peak_mib(pid)) for side, (_, pid) in servers.items()}
    print("peak MiB: " + ", ".join(f"{side} {mib}" for side, mib in peaks.items()))
    ratios = {str(load): round(rate[load, "package"] / rate[load, "transformer"], 3) for load in options.loads}
    print(
        json.dumps(
            {"ratio": min(ratios.values()), "ratios": ratios, "peak_mib": peaks["package"], "engine": "transformers"}
        )
    )


if __name__ == "__main__":
    main()
