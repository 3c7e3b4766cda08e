"""Any local model folder that `transformers` loads, asked the same questions as ours.

Owns loading it (never from a network, never with code that the folder brings along) and its prompt: the instruction,
then one line that asks for the answer first, since scores read a response from its beginning. It must not score.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from hrmbuild.errors import InputError, UsageError
from hrmbuild.records.pair import Pair

BATCH_SIZE = 8
SPARE_TOKENS = 32
"""Room beyond the expected text: other models are wordier than ours."""
MOST_NEW_TOKENS = 256
ASK_BRIEFLY = "Begin with the answer itself, in as few words as possible."


class ForeignModel:
    """A causal language model with its tokenizer."""

    def __init__(self, folder: Path) -> None:
        """Load it in float32 on the CPU.

        Raises:
            UsageError: `eval.against_needs`: `transformers` is not installed.
            InputError: `eval.against_unreadable`.
        """
        try:
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError as error:
            raise UsageError("eval.against_needs", "another model's folder is loaded by transformers, which is missing",
                             where="--against", fix="pip install 'hrmbuild[against]'") from error  # fmt: skip
        _refuse_own_code(folder)
        try:
            options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, **options)
            self._model: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, **options
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            told = (str(error).strip() or repr(error)).splitlines()[0]
            raise InputError("eval.against_unreadable", f"transformers cannot load this: {told}", where=str(folder),
                             fix="give a folder with config, safetensors weights and tokenizer") from error  # fmt: skip
        self._model.eval()
        self._tokenizer.padding_side = "left"
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token or "<pad>"

    @property
    def parameters(self) -> int:
        """Trained weights."""
        return sum(tensor.numel() for tensor in self._model.parameters())

    def answer(self, pairs: Sequence[Pair], advance: Callable[[int], None]) -> list[str | None]:
        """Greedy responses in order; None where a prompt leaves no room in the model's context."""
        prompts = [self._prompt(pair) for pair in pairs]
        lengths = [len(self._ids(prompt)) for prompt in prompts]
        bounds = [self._room(pair) for pair in pairs]
        context = getattr(self._model.config, "max_position_embeddings", None) or 1 << 30
        fitting = [i for i, n in enumerate(lengths) if n + bounds[i] <= context]
        fitting.sort(key=lambda i: (lengths[i], i))
        said: list[str | None] = [None] * len(pairs)
        for start in range(0, len(fitting), BATCH_SIZE):
            group = fitting[start : start + BATCH_SIZE]
            texts = self._generate([prompts[i] for i in group], max(bounds[i] for i in group))
            for i, text in zip(group, texts, strict=True):
                said[i] = text
            advance(len(group))
        return said

    def _prompt(self, pair: Pair) -> str:
        choices = f" One of: {', '.join(pair.answer.choices)}." if pair.answer.choices else ""
        asked = f"{pair.instruction}\n\n{ASK_BRIEFLY}{choices}"
        if not getattr(self._tokenizer, "chat_template", None):
            return f"{asked}\nAnswer:"
        message = [{"role": "user", "content": asked}]
        return str(self._tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True))

    def _ids(self, prompt: str) -> list[int]:
        return list(self._tokenizer(prompt, add_special_tokens=self._adds_special)["input_ids"])

    @property
    def _adds_special(self) -> bool:
        """A chat template writes its own."""
        return not getattr(self._tokenizer, "chat_template", None)

    def _room(self, pair: Pair) -> int:
        expected = max([pair.response, *(pair.answer.choices or ())], key=len)
        return min(MOST_NEW_TOKENS, len(self._ids(expected)) + SPARE_TOKENS)

    @torch.inference_mode()
    def _generate(self, prompts: list[str], max_new_tokens: int) -> list[str]:
        batch = self._tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=self._adds_special)
        out = self._model.generate(
            **batch, max_new_tokens=max_new_tokens, do_sample=False, num_beams=1,
            pad_token_id=self._tokenizer.pad_token_id,
        )  # fmt: skip
        new = out[:, batch["input_ids"].shape[1] :]
        return [str(text).strip() for text in self._tokenizer.batch_decode(new, skip_special_tokens=True)]


def _refuse_own_code(folder: Path) -> None:
    """A folder that wants its own Python to run is refused by name, before anything of it is loaded."""
    for name in ("config.json", "tokenizer_config.json"):
        try:
            settings = json.loads((folder / name).read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(settings, dict) and settings.get("auto_map"):
            raise InputError("eval.against_code", f"{name} asks for Python code of its own to be run",
                             where=str(folder), why="a model that is compared is data, its code is never run",
                             fix="take a model whose architecture transformers itself knows")  # fmt: skip
