"""Generation as `hrmbuild ask` does it against `transformers.generate`: same package, prompts, ends and threads.

A package of drawn weights is written and loaded by both sides in float32. Three cases: one prompt; sixteen of equal
length that end together; sixteen of different lengths of which some end early. Where an answer ends is prescribed on
both sides, because drawn weights end nowhere; apart from that both are greedy, and whether the tokens agree is printed.
Sides take turns, round by round; tokens/s counts answers only, ratios are medians over rounds, the first round is left
out. The last line is one JSON object; `ratio` is the smallest of all cases.

    python tests/benchmarks/bench_generate.py [--presets nano tiny] [--threads 2] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, LogitsProcessor, LogitsProcessorList
from transformers.utils import logging

from hrmbuild.assets import asset_folder
from hrmbuild.config.presets import PRESETS
from hrmbuild.fingerprint import draw_below
from hrmbuild.inference.generate import SINGLE_THREAD_WIDTH, Limits, generate_ids
from hrmbuild.inference.load import load_package
from hrmbuild.model import build_model
from hrmbuild.model.weights import fused_state
from hrmbuild.packaging.write import write_package
from hrmbuild.tokens.control import CONTROL_IDS, END, PAD

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "packaging"))
from tiny_package import tiny_contents

VOCAB, NEW_TOKENS, PROMPT_TOKENS = 768, 48, 110
END_ID, PAD_ID = CONTROL_IDS[END], CONTROL_IDS[PAD]
SIDES = ("ours", "transformers")


@dataclass(frozen=True)
class Case:
    """Prompts and the number of tokens of each answer, its end token included."""

    name: str
    prompts: list[list[int]]
    n_answer: list[int]


def case(name: str, *, count: int, mixed: bool) -> Case:
    lengths = [30 + draw_below(170, "bench-generate", i, "prompt") if mixed else PROMPT_TOKENS for i in range(count)]
    ends = [4 + draw_below(NEW_TOKENS - 3, "bench-generate", i, "end") if mixed else NEW_TOKENS for i in range(count)]
    prompts = [[8 + draw_below(VOCAB - 8, "ids", i, str(j)) for j in range(n)] for i, n in enumerate(lengths)]
    return Case(name, prompts, ends)


CASES = (
    case("1 prompt", count=1, mixed=False),
    case("16 equal", count=16, mixed=False),
    case("16 mixed", count=16, mixed=True),
)
Answer = Callable[[Case], list[list[int]]]


def force_ends(logits: torch.Tensor, rows: Sequence[int], position: int, n_answer: Sequence[int]) -> torch.Tensor:
    """Logits under which row r ends at its prescribed position and nowhere else."""
    logits = logits.clone()
    logits[:, END_ID] = -torch.inf
    for index, row in enumerate(rows):
        if position + 1 == n_answer[row]:
            logits[index, END_ID] = torch.inf
    return logits


def our_answers(folder: Path) -> Answer:
    model = load_package(folder).model

    def answer(case: Case) -> list[list[int]]:
        def choose(logits: torch.Tensor, rows: Sequence[int], position: int) -> torch.Tensor:
            return force_ends(logits, rows, position, case.n_answer).argmax(-1)

        limits = Limits(NEW_TOKENS, batch_size=len(case.prompts))
        return generate_ids(model, case.prompts, end_id=END_ID, limits=limits, choose=choose)

    return answer


class PrescribedEnds(LogitsProcessor):
    """The same ends on the library's side."""

    def __init__(self, case: Case) -> None:
        self.case, self.prompt_tokens = case, max(map(len, case.prompts))

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores with the ends forced."""
        position = input_ids.shape[1] - self.prompt_tokens
        return force_ends(scores, range(len(scores)), position, self.case.n_answer)


def their_answers(folder: Path) -> Answer:
    logging.set_verbosity_error()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def answer(case: Case) -> list[list[int]]:
        longest = max(map(len, case.prompts))
        ids = torch.tensor([[PAD_ID] * (longest - len(p)) + p for p in case.prompts])
        real = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in case.prompts])
        with torch.inference_mode():
            out = model.generate(
                input_ids=ids, attention_mask=real, token_type_ids=real, max_new_tokens=NEW_TOKENS,
                logits_processor=LogitsProcessorList([PrescribedEnds(case)]),
            )  # fmt: skip
        return [row[longest:][:n] for row, n in zip(out.tolist(), case.n_answer, strict=True)]

    return answer


def write_drawn_package(preset: str, folder: Path) -> None:
    config = PRESETS[preset].model_config_for(VOCAB)
    model = build_model(config)
    model.init_weights(0)
    contents = replace(tiny_contents(), config=config, state=fused_state(model))
    write_package(contents, folder, templates=asset_folder("templates") / "package")


def load_side(side: str, folder: Path) -> Answer:
    return our_answers(folder) if side == "ours" else their_answers(folder)


def threads_for(preset: str, threads: int) -> int:
    """Both sides get what `ask` would take."""
    return 1 if PRESETS[preset].hidden_size <= SINGLE_THREAD_WIDTH else threads


def compare(preset: str, folder: Path, rounds: int) -> list[dict[str, float | str]]:
    sides = {side: load_side(side, folder) for side in SIDES}
    rows: list[dict[str, float | str]] = []
    for one in CASES:
        timed: list[dict[str, float]] = []
        for number in range(1 + rounds):
            spent: dict[str, float] = {}
            answers: dict[str, list[list[int]]] = {}
            for side in SIDES if number % 2 else reversed(SIDES):
                started_at_s = time.perf_counter()
                answers[side] = sides[side](one)
                spent[side] = time.perf_counter() - started_at_s
            timed.append(spent)
        same = sum(a == b for a, b in zip(answers["ours"], answers["transformers"], strict=True))
        rate = {side: sum(one.n_answer) / statistics.median(row[side] for row in timed[1:]) for side in SIDES}
        ratio = statistics.median(row["transformers"] / row["ours"] for row in timed[1:])
        equal = f"{same} of {len(one.prompts)}"
        rows.append({"preset": preset, "case": one.name, "ratio": ratio, "equal": equal} | rate)
    return rows


def peak_mib(folder: Path, side: str, threads: int) -> float:
    """Peak memory of a fresh process that answers all cases once, on one side."""
    command = [sys.executable, __file__, "--peak-of", side, str(folder), "--threads", str(threads)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def peak_rss_mib() -> float:
    """Of this process since it was started; `ru_maxrss` would begin with its parent's."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text("ascii").splitlines())
    return int(fields["VmHWM"].split()[0]) / 1024


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", choices=list(PRESETS), default=["nano", "tiny"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peak-of", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.peak_of:
        torch.set_num_threads(options.threads)
        answer = load_side(options.peak_of[0], Path(options.peak_of[1]))
        for one in CASES:
            answer(one)
        print(peak_rss_mib())
        return
    print(f"{'preset':<7} {'case':<9} {'ours':>8} {'transformers':>13}  tokens/s   ratio   equal answers")
    rows, peaks = [], {}
    for preset in options.presets:
        torch.set_num_threads(threads_for(preset, options.threads))
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "package"
            write_drawn_package(preset, folder)
            for row in compare(preset, folder, options.rounds):
                print(f"{preset:<7} {row['case']:<9} {row['ours']:>8.0f} {row['transformers']:>13.0f}  "
                      f"         {row['ratio']:>6.2f}   {row['equal']}", flush=True)  # fmt: skip
                rows.append(row)
            peaks[preset] = {side: peak_mib(folder, side, torch.get_num_threads()) for side in SIDES}
    for preset, peak in peaks.items():
        print(f"{preset}: peak MiB " + ", ".join(f"{side} {mib:.0f}" for side, mib in peak.items()))
    ratios = {f"{row['preset']} {row['case']}": round(float(row["ratio"]), 3) for row in rows}
    worst = max(peak["ours"] for peak in peaks.values())
    print(json.dumps({"ratio": min(ratios.values()), "ratios": ratios, "peak_mib": round(worst), "dtype": "float32"}))


if __name__ == "__main__":
    main()
