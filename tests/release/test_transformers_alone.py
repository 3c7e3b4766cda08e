"""A package where torch and transformers are and nothing of ours: the newest version and the oldest we promise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from installed import CONSTRAINTS, STEPS, Environment, empty_environment, short_demo
from safetensors.torch import save_file

from hrmbuild.config.loading import load_project
from hrmbuild.inference.generate import Prompt, encode
from hrmbuild.inference.load import load_checkpoint, load_package
from hrmbuild.packaging.probe import answer_logits
from hrmbuild.pipelines.finished_run import newest_run, read_finished_run

pytestmark = pytest.mark.slow

N_PROMPTS = 200
VERSIONS = ["newest", "transformers>=5.9,<5.10"]


@pytest.fixture(scope="module")
def project(installed: Environment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The short example company, built."""
    folder = short_demo(installed, tmp_path_factory.mktemp("alone") / "demo")
    installed.run("hrmbuild", "build", "--steps", STEPS, "--json", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def prompts(project: Path) -> list[str]:
    """Questions of the corpus, by the evidence pack: held-out ones first, the shortest of them."""
    import polars

    rows = polars.read_parquet(next(project.glob("manifests/*/pairs.parquet")), columns=["split", "row"])
    found: dict[str, None] = {}
    for split in ("test", "dev", "train"):
        own = {json.loads(row)["instruction"] for row in rows.filter(polars.col("split") == split)["row"].to_list()}
        found |= dict.fromkeys(sorted(own, key=lambda text: (len(text), text)))
    return list(found)[:N_PROMPTS]


@pytest.fixture(scope="module")
def recorded(project: Path, prompts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logits of the run's averaged weights, read from its checkpoint and not from the package."""
    folder = tmp_path_factory.mktemp("recorded")
    run = read_finished_run(newest_run(load_project(project / "hrmbuild.yaml")))
    packaged = load_package(next(project.glob("packages/*/manifest.json")).parent)
    loaded = load_checkpoint(run.checkpoint, config=packaged.model.config, tokenizer=packaged.tokenizer)
    with torch.inference_mode():
        logits = {
            f"{number:03}": answer_logits(loaded.model, encode(loaded.tokenizer, Prompt(prompt)), [0])[0].contiguous()
            for number, prompt in enumerate(prompts)
        }
    save_file(logits, folder / "logits.safetensors")
    (folder / "prompts.json").write_text(json.dumps(prompts), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def our_answers(installed: Environment, project: Path, prompts: list[str]) -> list[str]:
    """`hrmbuild ask --jsonl` as a user types it."""
    lines = "".join(json.dumps({"instruction": prompt}) + "\n" for prompt in prompts)
    answered = installed.run("hrmbuild", "ask", "--jsonl", "--max-tokens", "24", cwd=project, given=lines)
    return [json.loads(line)["response"] for line in answered.splitlines()]


@pytest.mark.parametrize("version", VERSIONS)
def test_logits_and_greedy_answers_are_those_of_the_trained_weights(
    version: str, project: Path, prompts: list[str], recorded: Path, our_answers: list[str], tmp_path: Path
) -> None:
    wanted = ["-c", str(CONSTRAINTS), "transformers"] if version == "newest" else [version]
    environment = empty_environment(tmp_path / "venv")
    environment.run("python", "-m", "pip", "install", "--quiet", "torch", *wanted, cwd=tmp_path)
    package = next(project.glob("packages/*/manifest.json")).parent
    script = Path(__file__).parent / "alone.py"
    report = json.loads(environment.run("python", script, package, recorded, cwd=tmp_path).splitlines()[-1])
    print(report["transformers"], report["dtype"], report["largest_difference"], len(set(our_answers)))
    assert (report["keys"], report["dtype"]) == ({}, "torch.float32")
    assert report["largest_difference"] < 1e-4
    assert (len(prompts), report["answers"]) == (N_PROMPTS, our_answers)
    assert report["chat_answers"] == our_answers
