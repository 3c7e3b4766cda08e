"""What each ingredient of a corpus is worth: `nano` trained on the example company with one thing removed at a time.

    full         the example company as it is
    -variants    without the scenarios of rule sets whose thresholds were moved
    -wordings    every question of a kind in one and the same wording (as many pairs as before)
    -absent      without the questions that nothing shown answers
    -across      without the pairs that join a table, a memo or a mail with a rule

Every training has equally many steps of equally many tokens, and answers the same held-out pairs: those of the test
split of the full corpus, equally many of each axis, drawn by id. `absent` is the share of unanswerable questions that
were declined, `overreach` that of answerable ones that were (less is better). The effect of an ingredient is full less
the training without it, with the range over seeds beside it: two ranges that overlap say nothing.

Resumable: corpora are frozen once into `build/bench-corpus/`, a finished training is one JSON line of `results.jsonl`
there. The last line printed is one JSON object.

    python tests/benchmarks/bench_corpus.py [--steps 240] [--seeds 3] [--jobs 2] [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from resumable import Trainings

from hrmbuild.assets import asset_folder
from hrmbuild.audit.evidence import read_rows
from hrmbuild.config.loading import Project, load_project
from hrmbuild.config.project import TrainConfig
from hrmbuild.evaluation.abstention import abstention
from hrmbuild.evaluation.answers import score_response
from hrmbuild.evaluation.questions import drawn_pairs, pairs_of
from hrmbuild.evaluation.scores import ask_all
from hrmbuild.files import write_atomic
from hrmbuild.inference.load import load_checkpoint
from hrmbuild.model import build_model
from hrmbuild.pairs.environment import Templates
from hrmbuild.pairs.splits import wording_side
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.manifests import current_manifest
from hrmbuild.pipelines.progress import SilentProgress
from hrmbuild.pipelines.train_corpus import FrozenCorpus, frozen_corpus, token_data
from hrmbuild.pipelines.train_settings import plan_epoch, resolve, shape_for
from hrmbuild.records.pair import Pair
from hrmbuild.records.run import RunConfig, run_digest
from hrmbuild.tokens.files import TokenData
from hrmbuild.tokens.mix import repeats_in
from hrmbuild.training.loop import Run
from hrmbuild.training.loop import train as train_loop
from hrmbuild.training.machine import describe_machine
from hrmbuild.training.metrics import read_metrics
from hrmbuild.training.ranks import Ranks
from hrmbuild.training.run_folder import RunFolder

REPOSITORY = Path(__file__).resolve().parents[2]
WORK = REPOSITORY / "build" / "bench-corpus"
PRESET, BATCH_TOKENS, MOST_SECONDS, PAIRS_PER_AXIS = "nano", 2_048, 150, 120
WORDING = re.compile(r"(policy|mail|form)_\d+")
"""Register and number: the name of a wording."""
Row = dict[str, Any]


def is_variant(row: Row) -> bool:
    """A scenario of a rule set whose thresholds were moved."""
    return any("variant" in (one.get("inputs") or {}) for one in row["occurrences"])


def is_absent(row: Row) -> bool:
    """A question that nothing shown answers."""
    return row["answer"]["type"] == "absent"


def is_across(row: Row) -> bool:
    """A pair of several kinds of source: a table's row or a memo's exception with a rule set."""
    return row["kind"] in ("tables.case", "memos.exception")


REMOVED: dict[str, Callable[[Row], bool] | None] = {
    "full": None, "-variants": is_variant, "-wordings": None, "-absent": is_absent, "-across": is_across,
}  # fmt: skip


@dataclass(frozen=True)
class Corpus:
    """A frozen corpus as token files."""

    frozen: FrozenCorpus
    data: TokenData


def one_wording_templates(folder: Path) -> Path:
    """A user's own templates in which every wording of a kind has the text of one that is trained on."""
    built_in = asset_folder("templates")
    templates = Templates([built_in])
    shutil.rmtree(folder, ignore_errors=True)
    paths = [Path(name) for name in templates.names()]
    kinds = {path.parent for path in paths if WORDING.fullmatch(path.stem)}
    for kind in sorted(kinds):
        names = templates.wordings(kind.as_posix())
        chosen = next((name for name in names if wording_side(name, names, 0) == "train"), None)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(built_in / str(chosen), folder / name)
    return folder


def project_of(name: str) -> Project:
    """The example company, or the same with one wording a kind."""
    folder = WORK / name.strip("-")
    folder.mkdir(parents=True, exist_ok=True)
    project = load_project(REPOSITORY / "examples" / "hrmbuild.yaml", work=folder)
    if name != "-wordings":
        return project
    templates = (
        one_wording_templates(folder / "templates") if current_manifest(project) is None else folder / "templates"
    )
    return replace(project, config=project.config.model_copy(update={"templates": str(templates)}))


def prepare(name: str) -> Corpus:
    """Ingest and freeze once; later calls read what stands there."""
    project = project_of(name)
    folders = sorted(project.manifests_folder.glob("*/manifest.json"))
    if not folders:
        print(f"ingesting and freezing the corpus of {name}, once", flush=True)
        ingest(project)
        freeze(project)
        folders = sorted(project.manifests_folder.glob("*/manifest.json"))
    detached = replace(project, work=WORK)  # the trainings work beside the database, not on it
    frozen = frozen_corpus(detached, manifest=folders[-1].parent, corpus=None, progress=SilentProgress())
    return Corpus(frozen, token_data(detached, frozen, progress=SilentProgress()))


def corpus_for(removed: str) -> Corpus:
    """The corpus that a training reads."""
    return prepare("-wordings" if removed == "-wordings" else "full")


def held_out() -> list[Pair]:
    """Pairs of the full corpus's test split, equally many of each axis."""
    pairs = pairs_of(read_rows(prepare("full").frozen.folder, "test"))
    return drawn_pairs(pairs, n=PAIRS_PER_AXIS * len({pair.axis for pair in pairs}), seed=0, purpose="bench-corpus")


def shown(corpus: Corpus, removed: str, repeats: np.ndarray | None) -> np.ndarray:
    """[n_pairs] how often each train pair stands in an epoch; rows and token files are both in the order of ids."""
    leaves_out, asked = REMOVED[removed], {pair.id for pair in held_out()}
    rows = list(read_rows(corpus.frozen.folder, "train"))
    assert not asked & {row["id"] for row in rows}, "a held-out pair stands in the train split"
    kept = np.array([leaves_out is None or not leaves_out(row) for row in rows], dtype=np.int64)
    assert leaves_out is None or not kept.all(), f"{removed} removes nothing"
    return kept if repeats is None else kept * repeats


def train_one(removed: str, *, seed: int, steps: int, threads: int) -> Row:
    """Train, answer the held-out pairs with the averaged weights; the line of `results.jsonl`."""
    corpus = corpus_for(removed)
    settings = TrainConfig(
        preset=PRESET, steps=steps, batch_tokens=BATCH_TOKENS, seed=seed, threads=threads, eval_every_steps=steps,
        eval_pairs=1, checkpoint_every_steps=steps, keep_checkpoints=1,
    )  # fmt: skip
    ranks = Ranks()
    epoch = plan_epoch(corpus.frozen, corpus.data, settings, shape=shape_for(settings, ranks=1))
    machine = describe_machine(ranks, dtype="float32", attention="auto", threads=threads)
    config = resolve(settings, corpus.frozen, epoch, dtype="float32", init_sha256=None)
    repeats = shown(corpus, removed, repeats_in(epoch.repeats, 0))
    folder = RunFolder(WORK / "runs" / f"{removed.strip('-')}-seed{seed}-{steps}")
    before_s = time.process_time()
    model = build_model(config.model)
    model.init_weights(config.seed)
    run = Run(config, run_digest(config), corpus.data, folder, ranks, machine, repeats, None, SilentProgress())
    folder.path.mkdir(parents=True, exist_ok=True)
    result = train_loop(run, model)
    lines = read_metrics(folder.metrics)
    return key(removed, seed=seed, steps=steps) | {
        "pairs": int((repeats > 0).sum()),
        "train_s": round(sum(line["seconds"] for line in lines), 1),
        "cpu_s": round(time.process_time() - before_s, 1),
        "loss": round(lines[-1]["loss"], 4),
        "exact": answered(corpus, folder.checkpoints / result.checkpoint, config),
    }


def answered(corpus: Corpus, checkpoint: Path, config: RunConfig) -> dict[str, float]:
    """Exact match by axis, and the two shares of declining."""
    pairs = held_out()
    loaded = load_checkpoint(checkpoint, config=config.model, tokenizer=corpus.frozen.tokenizer)
    texts = [pair.instruction for pair in pairs]
    responses = [
        one or "" for one in ask_all(loaded.model, loaded.tokenizer, pairs, instructions=texts, first_words=True)
    ]
    right: dict[str, list[bool]] = defaultdict(list)
    for pair, one in zip(pairs, responses, strict=True):
        score = score_response(pair.answer, one, expected=pair.response, condition=pair.condition)
        right[pair.axis or ""].append(score.exact)
    declined = abstention(pairs, responses)
    shares = {axis: round(statistics.fmean(found), 4) for axis, found in sorted(right.items())}
    return shares | {"absent": round(declined.recall, 4), "overreach": round(declined.overreach, 4)}


def key(removed: str, *, seed: int, steps: int) -> Row:
    """What makes two trainings the same one."""
    root = prepare("full").frozen.manifest.content_root
    return {"removed": removed, "seed": seed, "steps": steps, "batch_tokens": BATCH_TOKENS, "content_root": root}


def told(line: Row) -> str:
    """A finished training, as it is reported."""
    return f"{line['removed']} seed {line['seed']}, {line['pairs']:,} pairs, loss {line['loss']:.3f}, {line['exact']}"


def values_of(lines: list[Row], removed: str, column: str) -> list[float]:
    """Of all seeds."""
    return [line["exact"][column] for line in lines if line["removed"] == removed]


def table(lines: list[Row]) -> str:
    """Mean over seeds and its range; then what each ingredient adds."""
    columns = list(lines[0]["exact"])
    heads = ["| corpus | pairs | " + " | ".join(columns) + " |", "| --- " * (2 + len(columns)) + "|"]
    rows = []
    for removed in REMOVED:
        own = [line for line in lines if line["removed"] == removed]
        cells = [removed, f"{own[0]['pairs']:,}"]
        for column in columns:
            found = values_of(lines, removed, column)
            cells.append(f"{statistics.fmean(found):.3f} ({min(found):.2f}-{max(found):.2f})")
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join([*heads, *rows])


def effects(lines: list[Row]) -> dict[str, dict[str, float]]:
    """Full less the training without, mean over seeds."""
    columns = list(lines[0]["exact"])
    mean = {name: {c: statistics.fmean(values_of(lines, name, c)) for c in columns} for name in REMOVED}
    return {
        name.strip("-"): {c: round(mean["full"][c] - mean[name][c], 4) for c in columns}
        for name in REMOVED
        if name != "full"
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time")
    parser.add_argument("--threads", type=int, default=1, help="of each training")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.one:
        one = options.one
        line = train_one(one["removed"], seed=one["seed"], steps=one["steps"], threads=options.threads)
        print(json.dumps(line, sort_keys=True))
        return
    prepare("full")
    prepare("-wordings")
    wanted = [key(name, seed=seed, steps=options.steps) for seed in range(options.seeds) for name in REMOVED]
    trainings = Trainings(__file__, WORK / "results.jsonl", options.jobs, options.threads, MOST_SECONDS)
    trainings.run_missing(wanted, told=told)
    lines = trainings.finished(wanted)
    report = table(lines)
    write_atomic(WORK / "table.md", (report + "\n").encode())
    print(report)
    print(json.dumps({"effects": effects(lines), "seeds": options.seeds, "steps": options.steps,
                      "most_train_s": max(line["train_s"] for line in lines)}))  # fmt: skip


if __name__ == "__main__":
    main()
