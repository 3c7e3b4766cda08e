"""The tokenizer as other libraries take it: framed by itself, so that a plain call asks as the model was trained.

Owns the post-processor (condition `direct`, type id 1 on the whole prompt), `tokenizer_config.json` and the way back to
the frozen tokenizer's bytes. Type id 1 is what makes `transformers` apply the PrefixLM mask; without it the prompt is
causal, in silence. It must not train or change any vocabulary.

A plain call treats its text as trusted: `<|im_end|>` in it becomes the token. The chat template breaks such marks up.
"""

from __future__ import annotations

import json
from typing import Any

from tokenizers import Tokenizer, processors

from hrmbuild.tokens.control import CONDITION_TOKENS, CONTROL_IDS, CONTROL_TOKENS, END, PAD, PREFIX_END, START

PREFIX_TYPE = 1
"""Type id of prompt tokens: they see one another both ways."""


def package_tokenizer(frozen: bytes) -> bytes:
    """`tokenizer.json` of the package: the frozen one with the post-processor.

    Raises:
        ValueError: the frozen bytes could not be restored from the result, so no reader could check it.
    """
    tokenizer = Tokenizer.from_str(frozen.decode("utf-8"))
    frame = (START, CONDITION_TOKENS["direct"], "$A", PREFIX_END)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[f"{piece}:{PREFIX_TYPE}" for piece in frame],
        special_tokens=[(piece, CONTROL_IDS[piece]) for piece in frame if piece in CONTROL_IDS],
    )
    packaged = (tokenizer.to_str(pretty=True) + "\n").encode("utf-8")
    if frozen_tokenizer(packaged) != frozen:
        raise ValueError("the frozen tokenizer cannot be restored from the packaged one")
    return packaged


def frozen_tokenizer(packaged: bytes) -> bytes:
    """The bytes that freeze wrote: the package's tokenizer without its post-processor."""
    fields: dict[str, Any] = json.loads(packaged)
    fields["post_processor"] = None
    return (json.dumps(fields, ensure_ascii=False, indent=2) + "\n").encode("utf-8")


def is_framed(packaged: bytes) -> bool:
    """Whether a package's tokenizer puts exactly our frame around a prompt."""
    ours, found = (
        json.loads(one)["post_processor"] for one in (package_tokenizer(frozen_tokenizer(packaged)), packaged)
    )
    return ours == found


def tokenizer_config(context_tokens: int) -> dict[str, Any]:
    """`tokenizer_config.json`. Batches are padded on the left, where generation needs it."""
    return {
        "added_tokens_decoder": {str(CONTROL_IDS[token]): _added(token) for token in CONTROL_TOKENS},
        "additional_special_tokens": [START, PREFIX_END, *CONDITION_TOKENS.values()],
        "clean_up_tokenization_spaces": False,
        "eos_token": END,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "model_max_length": context_tokens,
        "pad_token": PAD,
        "padding_side": "left",
        "tokenizer_class": "PreTrainedTokenizerFast",
    }


def _added(token: str) -> dict[str, Any]:
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    return {"content": token, **flags}
