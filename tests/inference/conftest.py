"""A tiny model with drawn weights and a tokenizer of its own."""

from __future__ import annotations

import pytest

from hrmbuild.config.model import ModelConfig
from hrmbuild.model import build_model
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.tokens.tokenizer import TextTokenizer, train_tokenizer

TEXTS = [
    "A claim above 500 EUR needs a receipt.",
    "Is the claim approved, referred or rejected? The claim is 620 EUR, no receipt.",
    "rejected. Rule R2: above 500 EUR a receipt is needed.",
    "Große Beträge über 10.000 € prüft die Leitung.",
] * 20


@pytest.fixture(scope="session")
def tokenizer() -> TextTokenizer:
    return TextTokenizer(train_tokenizer(TEXTS, vocab_size=400))


@pytest.fixture(scope="session")
def model() -> LanguageModel:
    config = ModelConfig(vocab_size=512, hidden_size=32, n_heads=2, head_dim=16, layers_per_stack=1, context_tokens=96)
    built = build_model(config).eval().requires_grad_(False)
    built.init_weights(3)
    return built
