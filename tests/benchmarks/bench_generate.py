"""Generation as `hrmbuild ask` does it against `transformers.generate`: same package, prompts, ends and threads.

A package of drawn weights is written and loaded by both sides in float32. Three cases: one prompt; sixteen of equal
length that end together; sixteen of different lengths of which some end early. Where an answer ends is prescribed on
both sides, because drawn weights end nowhere; apart from that both are greedy, and whether the tokens agree is printed.
Beside them `transformers` with a static cache and `torch.compile`, whose first call of each case takes a minute: it is
printed, and not in `ratio` (`--no-compile` leaves this side out). Sides take turns, round by round; tokens/s counts
answers only, ratios are medians over rounds, the first round is left out. The last line is one JSON object; `ratio` is
the smallest of all cases.

    python tests/benchmarks/bench_generate.py [--presets nano tiny] [--threads 2] [--rounds 5] [--no-compile]
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
from transformers import AutoModelForCausalLM, CompileConfig, LogitsProcessor, LogitsProcessorList
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
COMPILED = "static, compiled"


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


def their_answers(folder: Path, *, compiled: bool) -> Answer:
    logging.set_verbosity_error()
    settings = {"cache_implementation": "static", "compile_config": compile_on_cpu()} if compiled else {}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def answer(case: Case) -> list[list[int]]:
        longest = max(map(len, case.prompts))
        ids = torch.tensor([[PAD_ID] * (longest - len(p)) + p for p in case.prompts])
        real = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in case.prompts])
        with torch.inference_mode():
            out = model.generate(
                input_ids=ids, attention_mask=real, token_type_ids=real, max_new_tokens=NEW_TOKENS,
                logits_processor=LogitsProcessorList([PrescribedEnds(case)]), **settings,
            )  # fmt: skip
        return [row[longest:][:n] for row, n in zip(out.tolist(), case.n_answer, strict=True)]

    return answer


def compile_on_cpu() -> CompileConfig:
    """Left to itself, `generate` compiles on accelerators only."""
    config = CompileConfig(mode="default", fullgraph=False)
    config._compile_all_devices = True
    return config


def write_drawn_package(preset: str, folder: Path) -> None:
    config = PRESETS[preset].model_config_for(VOCAB)
    model = build_model(config)
    model.init_weights(0)
    contents = replace(tiny_contents(), config=config, state=fused_state(model))
    write_package(contents, folder, templates=asset_folder("templates") / "package")


def load_side(side: str, folder: Path) -> Answer:
    return our_answers(folder) if side == "ours" else their_answers(folder, compiled=side == COMPILED)


def threads_for(preset: str, threads: int) -> int:
    """Both sides get what `ask` would take."""
    return 1 if PRESETS[preset].hidden_size <= SINGLE_THREAD_WIDTH else threads


def compare(preset: str, folder: Path, sides: Sequence[str], rounds: int) -> list[dict[str, float | str]]:
    answer = {side: load_side(side, folder) for side in sides}
    return [compare_case(preset, one, answer, rounds) for one in CASES]


def compare_case(preset: str, one: Case, answer: dict[str, Answer], rounds: int) -> dict[str, float | str]:
    timed: list[dict[str, float]] = []
    answers: dict[str, list[list[int]]] = {}
    for number in range(1 + rounds):
        spent: dict[str, float] = {}
        for side in answer if number % 2 else reversed(answer):
            started_at_s = time.perf_counter()
            answers[side] = answer[side](one)
            spent[side] = time.perf_counter() - started_at_s
        timed.append(spent)
    same = [sum(a == b for a, b in zip(answers["ours"], answers[side], strict=True)) for side in answer]
    rate = {side: sum(one.n_answer) / statistics.median(row[side] for row in timed[1:]) for side in answer}
    ratio = {side: statistics.median(row[side] / row["ours"] for row in timed[1:]) for side in answer}
    row: dict[str, float | str] = {"preset": preset, "case": one.name, "ratio": ratio["transformers"]}
    if COMPILED in answer:
        row |= {"ratio_compiled": ratio[COMPILED], "first_compiled_s": timed[0][COMPILED]}
    return row | {"equal": f"{min(same)} of {len(one.prompts)}"} | rate


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
    parser.add_argument("--no-compile", action="store_true")
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
    sides = SIDES if options.no_compile else (*SIDES, COMPILED)
    print(f"tokens/s  {'':<7}" + "".join(f"{side:>18}" for side in sides) + "   ours / transformers   equal answers")
    rows, peaks = [], {}
    for preset in options.presets:
        torch.set_num_threads(threads_for(preset, options.threads))
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "package"
            write_drawn_package(preset, folder)
            for row in compare(preset, folder, sides, options.rounds):
                print(told(row, sides), flush=True)
                rows.append(row)
            peaks[preset] = {side: peak_mib(folder, side, torch.get_num_threads()) for side in SIDES}
    for preset, peak in peaks.items():
        print(f"{preset}: peak MiB " + ", ".join(f"{side} {mib:.0f}" for side, mib in peak.items()))
    ratios = {f"{row['preset']} {row['case']}": round(float(row["ratio"]), 3) for row in rows}
    compiled = {f"{row['preset']} {row['case']}": round(float(row.get("ratio_compiled", 0)), 3) for row in rows}
    worst = max(peak["ours"] for peak in peaks.values())
    last = {
        "ratio": min(ratios.values()),
        "ratios": ratios,
        "ratios_compiled": None if options.no_compile else compiled,
    }
    print(json.dumps(last | {"peak_mib": round(worst), "dtype": "float32"}))


def told(row: dict[str, float | str], sides: Sequence[str]) -> str:
    rates = "".join(f"{row[side]:>18.0f}" for side in sides)
    line = f"{row['preset']:<6} {row['case']:<10}{rates}{row['ratio']:>22.2f}   {row['equal']}"
    if COMPILED in sides:
        line += f"   ours / compiled {row['ratio_compiled']:.2f}, whose first call took {row['first_compiled_s']:.0f} s"
    return line


if __name__ == "__main__":
    main()
