"""HRM, a plain Transformer and TRM at equal training FLOPs on the example rule sets: exact match per held-out axis.

Everything but the core is the same: corpus, tokenizer, head, optimizer, schedule, tokens a step. HRM's number of steps
is given; the others get as many as the same FLOPs pay for, by the formula of `hrmbuild/config/flops.py` (k's warm-up
counted step by step). Each training goes through the pipeline of `hrmbuild train`; its checkpoints' averaged weights
answer held-out scenarios of each axis (which of a rule set's outcomes a case has): a point of the curve each.

Resumable: the corpus is ingested and frozen once into `build/bench-arch/`, a finished training is one JSON line of
`results.jsonl` there, and a training that was cut off goes on from its last checkpoint. Table and plot are written
beside it; the last line printed is one JSON object.

    python tests/benchmarks/bench_arch.py [--steps 240] [--seeds 3] [--jobs 2] [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from resumable import Trainings

from hrmbuild.audit.evidence import read_rows
from hrmbuild.config.flops import flops_per_token, n_parameters
from hrmbuild.config.loading import Project, load_project
from hrmbuild.config.model import VOCAB_MULTIPLE, Arch, ModelConfig
from hrmbuild.config.presets import PRESETS
from hrmbuild.config.project import TrainConfig
from hrmbuild.evaluation.answers import score_response
from hrmbuild.evaluation.baselines import majority
from hrmbuild.evaluation.questions import drawn_pairs, pairs_of
from hrmbuild.evaluation.scores import ask_all
from hrmbuild.files import write_atomic
from hrmbuild.inference.load import load_checkpoint
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.manifests import current_manifest
from hrmbuild.pipelines.progress import SilentProgress
from hrmbuild.pipelines.train import train
from hrmbuild.pipelines.train_corpus import FrozenCorpus, frozen_corpus, token_data
from hrmbuild.records.pair import Pair
from hrmbuild.training.metrics import read_metrics
from hrmbuild.training.run_folder import RunFolder
from hrmbuild.training.schedules import backprop_depth

REPOSITORY = Path(__file__).resolve().parents[2]
WORK = REPOSITORY / "build" / "bench-arch"
ARCHES: tuple[Arch, ...] = ("hrm", "transformer", "trm")
PRESET, BATCH_TOKENS, POINTS, MOST_SECONDS = "nano", 2_048, 4, 150
PAIRS_PER_AXIS, KIND = 100, "rules.outcome"


@dataclass(frozen=True)
class Corpus:
    """The frozen example rules."""

    project: Project
    frozen: FrozenCorpus
    keys_per_token: float
    response_fraction: float

    def model(self, arch: Arch) -> ModelConfig:
        """The preset's shape around another core."""
        vocab_size = -(-self.frozen.tokenizer.vocab_size // VOCAB_MULTIPLE) * VOCAB_MULTIPLE
        return PRESETS[PRESET].model_config_for(vocab_size, arch=arch)

    def flops(self, arch: Arch, steps: int) -> Iterator[float]:
        """FLOPs spent after each of `steps` steps."""
        spent, model = 0.0, self.model(arch)
        for step in range(steps):
            spent += BATCH_TOKENS * self._per_token(model, backprop_depth(step, steps))
            yield spent

    def _per_token(self, model: ModelConfig, k: int) -> float:
        shape = {"keys_per_token": self.keys_per_token, "response_fraction": self.response_fraction}
        return flops_per_token(model, k=k, **shape).total

    def matched_steps(self, arch: Arch, budget: float) -> int:
        """Steps whose FLOPs come nearest to the budget; more steps move k's warm-up too, hence the search."""
        low, high = 1, round(budget / (BATCH_TOKENS * self._per_token(self.model(arch), 2))) + 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if list(self.flops(arch, middle))[-1] <= budget else (low, middle)
        return low


def rules_only(project: Project) -> Project:
    """The project with its executable rule sets for only sources."""
    kept = [i for i, source in enumerate(project.config.sources) if source.path.startswith("rules/")]
    config = project.config.model_copy(update={"sources": tuple(project.config.sources[i] for i in kept)})
    return replace(project, config=config, source_lines=tuple(project.source_lines[i] for i in kept))


def prepare() -> Corpus:
    """Ingest and freeze once; later calls read what stands there."""
    (WORK / "corpus").mkdir(parents=True, exist_ok=True)
    corpus = rules_only(load_project(REPOSITORY / "examples" / "hrmbuild.yaml", work=WORK / "corpus"))
    if current_manifest(corpus) is None:
        print("ingesting and freezing the example rules, once", flush=True)
        ingest(corpus)
        freeze(corpus)
    # Trainings work beside the database, not on it: no comparison with it before each of them.
    project = replace(corpus, work=WORK)
    frozen = frozen_corpus(project, manifest=current_manifest(corpus), corpus=None, progress=SilentProgress())
    tokens = token_data(project, frozen, progress=SilentProgress()).splits["train"]
    lengths = tokens.prefix_lengths + tokens.response_lengths
    keys = float((lengths**2).sum() / lengths.sum())
    return Corpus(project, frozen, keys, float(tokens.response_lengths.sum() / lengths.sum()))


def scenarios(corpus: Corpus) -> list[Pair]:
    """Held-out scenarios of the test split, equally many of each axis, drawn by id."""
    rows = (row for row in read_rows(corpus.frozen.folder, "test") if row["kind"] == KIND)
    pairs = pairs_of(rows)
    return drawn_pairs(pairs, n=PAIRS_PER_AXIS * len({pair.axis for pair in pairs}), seed=0, purpose="bench-arch")


def shares(pairs: list[Pair], right: list[bool]) -> dict[str, float]:
    """Share of right answers of each axis."""
    by_axis: dict[str, list[bool]] = defaultdict(list)
    for pair, one in zip(pairs, right, strict=True):
        by_axis[pair.axis or ""].append(one)
    return {axis: round(statistics.fmean(found), 4) for axis, found in sorted(by_axis.items())}


def train_one(corpus: Corpus, arch: Arch, *, seed: int, steps: int, threads: int) -> dict[str, Any]:
    """Train (or go on), answer with each kept checkpoint; the line of `results.jsonl`."""
    settings = TrainConfig(
        preset=PRESET, arch=arch, steps=steps, batch_tokens=BATCH_TOKENS, seed=seed, threads=threads,
        eval_every_steps=steps, eval_pairs=1, checkpoint_every_steps=-(-steps // POINTS), keep_checkpoints=POINTS,
    )  # fmt: skip
    project = replace(corpus.project, config=corpus.project.config.model_copy(update={"train": settings}))
    folder = RunFolder(WORK / "runs" / f"{arch}-seed{seed}-{steps}")
    before_s = time.process_time()
    report = train(project, manifest=corpus.frozen.folder, out=folder.path, resume=True)
    cpu_s = time.process_time() - before_s
    pairs, spent = scenarios(corpus), list(corpus.flops(arch, steps))
    lines = read_metrics(folder.metrics)
    points = []
    for checkpoint in sorted(folder.checkpoints.glob("step_*")):
        step = int(checkpoint.name.removeprefix("step_"))
        right = answers(corpus, checkpoint, report.record.config.model, pairs)
        points.append({"step": step, "flops": spent[step - 1], "exact": shares(pairs, right)})
    return key(corpus, arch, seed=seed, steps=steps) | {
        "parameters": report.record.parameters,
        "flops": spent[-1],
        "tokens": sum(line["tokens"] for line in lines),
        "train_s": round(sum(line["seconds"] for line in lines), 1),
        "cpu_s": round(cpu_s, 1),
        "dtype": report.record.config.dtype,
        "learning_rate": report.record.config.learning_rate,
        "loss": round(lines[-1]["loss"], 4),
        "n_pairs": len(pairs),
        "points": points,
    }


def answers(corpus: Corpus, checkpoint: Path, model: ModelConfig, pairs: list[Pair]) -> list[bool]:
    """Which scenarios this checkpoint's averaged weights answer rightly, greedily."""
    loaded = load_checkpoint(checkpoint, config=model, tokenizer=corpus.frozen.tokenizer)
    instructions = [pair.instruction for pair in pairs]
    responses = ask_all(loaded.model, loaded.tokenizer, pairs, instructions=instructions, first_words=True)
    return [
        score_response(pair.answer, response or "", expected=pair.response, condition=pair.condition).exact
        for pair, response in zip(pairs, responses, strict=True)
    ]


def key(corpus: Corpus, arch: Arch, *, seed: int, steps: int) -> dict[str, Any]:
    """What makes two trainings the same one."""
    root = corpus.frozen.manifest.content_root
    return {"arch": arch, "seed": seed, "steps": steps, "batch_tokens": BATCH_TOKENS, "content_root": root}


def table(lines: list[dict[str, Any]], floor: dict[str, float]) -> str:
    """Exact match at each point, mean over seeds and its range, as a Markdown table."""
    axes = sorted(floor)
    rows = ["| core | weights | TFLOP | steps | " + " | ".join(axes) + " |", "| --- " * (4 + len(axes)) + "|"]
    for arch in ARCHES:
        own = [line for line in lines if line["arch"] == arch]
        for point in range(POINTS):
            at = [line["points"][point] for line in own]
            cells = [f"{arch}", f"{own[0]['parameters']:,}", f"{at[0]['flops'] / 1e12:.2f}", f"{at[0]['step']:,}"]
            for axis in axes:
                found = [one["exact"][axis] for one in at]
                cells.append(f"{statistics.fmean(found):.3f} ({min(found):.2f}-{max(found):.2f})")
            rows.append("| " + " | ".join(cells) + " |")
    rows.append("| majority | | | | " + " | ".join(f"{floor[axis]:.3f}" for axis in axes) + " |")
    return "\n".join(rows)


def plot(lines: list[dict[str, Any]], floor: dict[str, float]) -> None:
    """One panel an axis: mean over seeds with the range as a band, the majority answer as a dashed line."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "hrmbuild", "svg.fonttype": "none"}):
        figure = Figure(figsize=(4 * len(floor), 4), layout="constrained")
        for axes, axis in zip(
            figure.subplots(1, len(floor), sharey=True, squeeze=False)[0], sorted(floor), strict=True
        ):
            for arch in ARCHES:
                points = [line["points"] for line in lines if line["arch"] == arch]
                flops = [point["flops"] for point in points[0]]
                values = [[run[i]["exact"][axis] for run in points] for i in range(len(flops))]
                axes.plot(flops, [statistics.fmean(v) for v in values], "o-", ms=3, label=arch)
                axes.fill_between(flops, [min(v) for v in values], [max(v) for v in values], alpha=0.15)
            axes.axhline(floor[axis], ls="--", lw=0.8, color="gray", label="majority")
            axes.set(title=f"new {axis}", xlabel="training FLOPs", ylim=(0, 1))
            axes.grid(alpha=0.3)
        figure.axes[0].set_ylabel("exact match")
        figure.axes[0].legend()
        FigureCanvasSVG(figure).print_svg(WORK / "exact.svg", metadata={"Date": None, "Creator": None})
        FigureCanvasAgg(figure).print_png(WORK / "exact.png")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=240, help="HRM's; the others follow from its FLOPs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time")
    parser.add_argument("--threads", type=int, default=1, help="of each training")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    corpus = prepare()
    if options.one:
        one = options.one
        line = train_one(corpus, one["arch"], seed=one["seed"], steps=one["steps"], threads=options.threads)
        print(json.dumps(line, sort_keys=True))
        return
    budget = list(corpus.flops("hrm", options.steps))[-1]
    steps = {"hrm": options.steps} | {arch: corpus.matched_steps(arch, budget) for arch in ARCHES[1:]}
    for arch in ARCHES:
        spent = list(corpus.flops(arch, steps[arch]))[-1]
        print(f"{arch}: {steps[arch]:,} steps of {BATCH_TOKENS:,} tokens = {spent / 1e12:.2f} TFLOP, "
              f"{n_parameters(corpus.model(arch)):,} weights")  # fmt: skip
    wanted = [key(corpus, arch, seed=seed, steps=steps[arch]) for seed in range(options.seeds) for arch in ARCHES]
    trainings = Trainings(__file__, WORK / "results.jsonl", options.jobs, options.threads, MOST_SECONDS)
    trainings.run_missing(wanted, told=_told)
    lines, pairs = trainings.finished(wanted), scenarios(corpus)
    usual = majority(pairs_of(read_rows(corpus.frozen.folder, "train")))
    floor = shares(pairs, [usual(pair) == pair.answer.value for pair in pairs])
    report = table(lines, floor)
    write_atomic(WORK / "table.md", (report + "\n").encode())
    plot(lines, floor)
    print(report)
    last = {arch: _mean_at_end([line for line in lines if line["arch"] == arch]) for arch in ARCHES}
    print(json.dumps({"exact": last, "tflop": round(budget / 1e12, 2), "seeds": options.seeds, "preset": PRESET,
                      "most_train_s": max(line["train_s"] for line in lines)}))  # fmt: skip


def _told(line: dict[str, Any]) -> str:
    return f"{line['arch']} seed {line['seed']}, loss {line['loss']:.3f}, exact {line['points'][-1]['exact']}"


def _mean_at_end(lines: list[dict[str, Any]]) -> dict[str, float]:
    ends = [line["points"][-1]["exact"] for line in lines]
    return {axis: round(statistics.fmean(end[axis] for end in ends), 4) for axis in ends[0]}


if __name__ == "__main__":
    main()
