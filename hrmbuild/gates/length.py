"""Length in UTF-8 bytes of NFC text: nothing before freeze depends on a tokenizer.

Owns both ends: an empty text never passes, a long one is refused whole and never cut.
"""

from __future__ import annotations

import unicodedata

from hrmbuild.config.project import GatesConfig
from hrmbuild.gates.finding import Finding, texts_of
from hrmbuild.records.pair import CompiledPair

NAME = "length"


def check(pair: CompiledPair, config: GatesConfig) -> Finding | None:
    """`gate.empty_instruction`, `gate.empty_response`, `gate.instruction_too_long`, `gate.response_too_long`."""
    limits = {"instruction": config.max_instruction_bytes, "response": config.max_response_bytes}
    for name, text in texts_of(pair):
        if not text.strip():
            return Finding(f"gate.empty_{name}", f"the {name} holds no words")
        n_bytes = len(unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass"))
        if n_bytes > limits[name]:
            return Finding(
                f"gate.{name}_too_long", f"the {name} has {n_bytes} bytes, at most {limits[name]} are allowed"
            )
    return None
