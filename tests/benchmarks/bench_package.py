"""A package of 2.4 GB (preset XL, drawn weights): made, signed and verified, each in a process of its own.

    python tests/benchmarks/bench_package.py [--preset XL] [--folder DIR]

The run is made up: settings and checkpoint files by the real code, weights drawn tensor by tensor, nothing trained.
Prints seconds and peak memory (getrusage of the child) of each command; the last line is one JSON object. It exits with
1 where a command fails or one of them needed more than 6 GB.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from hrmbuild.config.loading import load_project
from hrmbuild.config.presets import PRESETS
from hrmbuild.fingerprint import draw_integer, hash_file
from hrmbuild.inference.stored_weights import stream_weights
from hrmbuild.model import build_model
from hrmbuild.pipelines.train import train
from hrmbuild.records.checkpoint import CheckpointFacts, sealed
from hrmbuild.records.run import RunRecord, RunResult, run_digest

LIMIT_BYTES = 6_000_000_000
VOCABULARY = 65_536
SETTINGS = """\
name: bench
sources:
  - {path: policy.md, kind: rules, owner: bench, license: internal}
train: {preset: nano, steps: 1, batch_tokens: 1024, threads: 1, dtype: float32, eval_pairs: 1, eval_every_steps: 1}
model: {name: bench, contact: bench@example, intended_use: Timing., excluded_use: Everything else.}
"""
POLICY = "# Travel\n\n" + "".join(
    f"{n}.1 Every employee must hand in form {n} within {n + 2} days of the trip.\n\n" for n in range(1, 13)
)


class Drawn(Mapping[str, Tensor]):
    """Weights by name and shape, drawn when they are asked for: the same ones each time."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._shapes = dict(sorted(shapes.items()))

    def __getitem__(self, name: str) -> Tensor:
        generator = torch.Generator().manual_seed(draw_integer("bench", 0, name) % 2**31)
        return torch.randn(self._shapes[name], generator=generator) * 0.02

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)


def make_project(folder: Path) -> Path:
    """A small corpus and a real run of one step, whose records the made-up run takes over."""
    (folder / "hrmbuild.yaml").write_text(SETTINGS, "utf-8")
    (folder / "policy.md").write_text(POLICY, "utf-8")
    hrmbuild("ingest", cwd=folder)
    hrmbuild("freeze", cwd=folder)
    return train(load_project(folder / "hrmbuild.yaml")).folder


def make_up_run(real: Path, preset: str) -> Path:
    """`runs/PRESET`: the real run's records, another shape, drawn weights."""
    run = real.with_name(preset)
    record = RunRecord.model_validate_json((real / "run.json").read_bytes())
    result = RunResult.model_validate_json((real / "result.json").read_bytes())
    shape = PRESETS[preset].model_config_for(VOCABULARY)
    config = record.config.model_copy(update={"preset": preset, "model": shape})
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in build_model(shape).state_dict().items()}
    checkpoint = run / "checkpoints" / result.checkpoint
    written = stream_weights(Drawn(shapes), checkpoint, dtype=torch.float32)
    ema = written.path.rename(checkpoint / "ema.safetensors")
    facts = CheckpointFacts(
        hrmbuild=record.hrmbuild, step=result.steps, k=2, content_root=config.content_root,
        tokenizer_sha256=config.tokenizer_sha256, config_sha256=run_digest(config),
        weights_sha256=written.weights_sha256, ema_sha256=written.weights_sha256,
        files={ema.name: hash_file(ema)}, metrics_sha256=result.metrics_sha256,
    )  # fmt: skip
    (checkpoint / "state.json").write_bytes(sealed(facts).canonical_bytes())
    shutil.copy(real / "metrics.jsonl", run)
    changed = {"config": config, "config_sha256": run_digest(config)}
    (run / "run.json").write_text(record.model_copy(update=changed).model_dump_json(), "utf-8")
    digests = {"ema_sha256": written.weights_sha256, "weights_sha256": written.weights_sha256}
    (run / "result.json").write_text(result.model_copy(update=digests).model_dump_json(), "utf-8")
    return run


def hrmbuild(*words: object, cwd: Path) -> None:
    """One command, its output passed on only where it fails."""
    done = subprocess.run([sys.executable, "-m", "hrmbuild", *map(str, words)], cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"hrmbuild {words[0]}: {done.returncode}\n{done.stdout}\n{done.stderr}")


def measured(*words: object, cwd: Path) -> dict[str, float]:
    """Seconds and peak bytes of one command, by a process that waits for nothing else."""
    program = (
        "import json, resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=sys.stderr)\n"
        "print(json.dumps([done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024]))\n"
    )
    begun_at_s = time.monotonic()
    command = [sys.executable, "-c", program, sys.executable, "-m", "hrmbuild", *map(str, words)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True)
    status, peak_bytes = json.loads(done.stdout)
    if status:
        raise SystemExit(f"hrmbuild {words[0]}: {status}\n{done.stderr}")
    return {"seconds": round(time.monotonic() - begun_at_s, 1), "peak_gb": round(peak_bytes / 1e9, 2)}


def main() -> int:
    """Make, sign, verify, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", default="XL", choices=sorted(PRESETS))
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="bench-package-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        run = make_up_run(make_project(folder), given.preset)
        hrmbuild("keys", "new", "bench", cwd=folder)
        trust = "keys:\n- {person: Bench, roles: [packager], public_key: bench.public.pem, valid_from: 2020-01-01}\n"
        (folder / "keys" / "trust.yaml").write_text(trust, "utf-8")
        key, made = folder / "keys" / "bench.private.pem", folder / "package"
        figures = {"package": measured("package", run, "--out", made, "--key", key, cwd=folder)}
        size = sum(path.stat().st_size for path in made.iterdir())
        elsewhere = Path(shutil.move(made, tempfile.mkdtemp(prefix="bench-alone-", dir=folder.parent)))
        trusted = folder / "keys" / "trust.yaml"
        figures["verify"] = measured("verify", elsewhere, "--trust", trusted, cwd=elsewhere.parent)
        shutil.rmtree(elsewhere.parent)
    finally:
        if given.folder is None:
            shutil.rmtree(folder)
    print(f"{given.preset}: a package of {size / 1e9:.2f} GB")
    for name, row in figures.items():
        print(f"{name:8} {row['seconds']:8.1f} s  {row['peak_gb']:6.2f} GB")
    enough = max(row["peak_gb"] for row in figures.values()) * 1e9 <= LIMIT_BYTES
    self_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(json.dumps({"preset": given.preset, "gb": round(size / 1e9, 3), "within_6_gb": enough, **figures,
                      "peak_mib": round(max(row["peak_gb"] for row in figures.values()) * 1e9 / 2**20),
                      "made_up_run_gb": round(self_gb, 2)}))  # fmt: skip
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
