"""The probe: frozen prompts with the logits and greedy answers of the packaged weights, and their later comparison.

Owns recording and recomputing. Tolerances hold across CPUs in float32: logits within 1e-3; an answer counts only where
the best token led by more than 2e-3 all the way, because below that another CPU may round to another token.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hrmbuild.inference.generate import BATCH_SIZE, Limits, Prompt, encode, generate
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.layout import build_layout
from hrmbuild.records.package import Probe, ProbePrompt
from hrmbuild.tokens.control import CONTROL_IDS, END
from hrmbuild.tokens.tokenizer import TextTokenizer

MAX_NEW_TOKENS = 64
LOGIT_TOLERANCE = 1e-3
SAFE_MARGIN = 2e-3
CACHE_BYTES = 256 * 2**20
"""Bound of the keys and values of a batch, so that 1.2B parameters in float32 and their probe fit 6 GB."""
_SHOWN = 10


def record_probe(
    model: LanguageModel, tokenizer: TextTokenizer, prompts: Sequence[Prompt], *, max_new_tokens: int = MAX_NEW_TOKENS
) -> Probe:
    """Ask every prompt and keep what the model said.

    Raises:
        UsageError: a prompt fills the context.
    """
    answers = generate(model, tokenizer, prompts, limits=_limits(model, tokenizer, prompts, max_new_tokens))
    recorded: list[ProbePrompt] = []
    for prompt, answer in zip(prompts, answers, strict=True):
        tokens = [*answer.token_ids, *([CONTROL_IDS[END]] if answer.ended else [])]
        logits_RV = answer_logits(model, encode(tokenizer, prompt), tokens)
        best = logits_RV.topk(2, dim=-1).values
        first = logits_RV[0].topk(_SHOWN)
        recorded.append(
            ProbePrompt(
                instruction=prompt.instruction,
                condition=prompt.condition,
                answer=answer.text,
                margin=f"{float((best[:, 0] - best[:, 1]).min()):.6f}",
                logits=tuple(f"{value:.6f}" for value in first.values.tolist()),
                token_ids=tuple(first.indices.tolist()),
            )
        )
    return Probe(max_new_tokens=max_new_tokens, prompts=tuple(recorded))


def _limits(model: LanguageModel, tokenizer: TextTokenizer, prompts: Sequence[Prompt], max_new_tokens: int) -> Limits:
    """As many prompts at a time as their keys and values leave room for: those of XL take 1.5 MiB a token."""
    longest = max((len(encode(tokenizer, prompt)) for prompt in prompts), default=0) + max_new_tokens
    config = model.config
    slots = config.layers_per_stack * config.n_applications
    n_bytes = 2 * 4 * slots * config.n_heads * config.head_dim * longest
    return Limits(max_new_tokens, batch_size=max(1, min(BATCH_SIZE, CACHE_BYTES // max(1, n_bytes))))


def first_logits(model: LanguageModel, tokenizer: TextTokenizer, prompts: Sequence[Prompt]) -> tuple[Tensor, ...]:
    """Logits [V] at the first position of each answer, on the CPU."""
    return tuple(answer_logits(model, encode(tokenizer, prompt), [0])[0].cpu() for prompt in prompts)


@torch.inference_mode()
def answer_logits(model: LanguageModel, prefix: Sequence[int], answer: Sequence[int]) -> Tensor:
    """Logits [len(answer), V] that predict each answer token, by one full forward pass: no cache is trusted here."""
    device = model.lm_head.weight.device
    layout = build_layout([len(prefix)], [len(answer) - 1], device=device)
    tokens_T = torch.tensor([*prefix, *answer[:-1]], device=device)
    hidden_TD = model.forward_hidden(tokens_T, layout)
    return model.head(hidden_TD.index_select(0, layout.predicting)).float()


def compare_probe(model: LanguageModel, tokenizer: TextTokenizer, probe: Probe) -> tuple[list[str], str]:
    """Ask again: (what differs, one line of figures)."""
    prompts = [Prompt(p.instruction, p.condition) for p in probe.prompts]
    limits = _limits(model, tokenizer, prompts, probe.max_new_tokens)
    answers = generate(model, tokenizer, prompts, limits=limits)
    differing: list[str] = []
    largest, compared = 0.0, 0
    for number, (known, answer) in enumerate(zip(probe.prompts, answers, strict=True), start=1):
        logits_RV = answer_logits(model, encode(tokenizer, prompts[number - 1]), [0])
        given = logits_RV[0, list(known.token_ids)].tolist()
        off = max(abs(a - float(b)) for a, b in zip(given, known.logits, strict=True))
        largest = max(largest, off)
        if not off <= LOGIT_TOLERANCE:
            differing.append(f"prompt {number}: logits differ by {off:.2e}")
        if float(known.margin) > SAFE_MARGIN:
            compared += 1
            if answer.text != known.answer:
                differing.append(f"prompt {number}: answers {answer.text!r} instead of {known.answer!r}")
    return differing, f"{len(prompts)} prompts, largest logit difference {largest:.1e}, {compared} answers compared"
