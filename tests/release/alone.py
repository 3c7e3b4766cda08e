"""Loads a package with torch and transformers alone, and compares it with what was recorded; prints one JSON object.

    python alone.py PACKAGE RECORDED

RECORDED is a folder with `prompts.json`, a list of texts, and `logits.safetensors`, one vector a prompt: the logits
that predict the answer's first token, by the trained EMA weights. Nothing of hrmbuild is imported: that is the point.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file


def main(package: str, recorded: str) -> None:
    """Load, answer, compare."""
    assert importlib.util.find_spec("hrmbuild") is None
    torch.set_num_threads(1)
    model, info = transformers.AutoModelForCausalLM.from_pretrained(package, output_loading_info=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(package)
    prompts = json.loads((Path(recorded) / "prompts.json").read_text(encoding="utf-8"))
    logits = load_file(Path(recorded) / "logits.safetensors")
    largest, answers, chat_answers = 0.0, [], []
    for number, prompt in enumerate(prompts):
        batch = tokenizer(prompt, return_tensors="pt")
        with torch.inference_mode():
            off = (model(**batch).logits[0, -1].float() - logits[f"{number:03}"]).abs().max().item()
            tokens = model.generate(**batch, max_new_tokens=24)
        largest = max(largest, off)
        answers.append(tokenizer.decode(tokens[0, batch["input_ids"].shape[1] :], skip_special_tokens=True))
        chat_answers.append(answer_of_chat(model, tokenizer, prompt))
    keys = {name: sorted(map(str, found)) for name, found in info.items() if found}
    print(json.dumps({"transformers": transformers.__version__, "keys": keys, "dtype": str(model.dtype),
                      "largest_difference": largest, "answers": answers, "chat_answers": chat_answers}))  # fmt: skip


@torch.inference_mode()
def answer_of_chat(model: torch.nn.Module, tokenizer: transformers.PreTrainedTokenizerBase, prompt: str) -> str:
    """The greedy answer to one user message; the chat template and the tokenizer do all the framing."""
    chat = [{"role": "user", "content": prompt}]
    batch = tokenizer.apply_chat_template(chat, return_tensors="pt", return_dict=True)
    tokens = model.generate(**batch, max_new_tokens=24)
    return tokenizer.decode(tokens[0, batch["input_ids"].shape[1] :], skip_special_tokens=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
