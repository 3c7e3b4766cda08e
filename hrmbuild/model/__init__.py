"""The HRM-Text core: every equation of the model, in torch alone; `build_model` is the way in.

Owns the networks, attention and its kernels, the loss and the layouts of the weights. It must not do ranks, optimizers,
tokenizers or logging.
"""

from __future__ import annotations

from hrmbuild.config.model import ModelConfig
from hrmbuild.model.baselines import build_rins, build_transformer, build_trm, build_ut
from hrmbuild.model.hrm import HrmText
from hrmbuild.model.language_model import LanguageModel

_BUILDERS = {"hrm": HrmText, "trm": build_trm, "transformer": build_transformer, "ut": build_ut, "rins": build_rins}


def build_model(config: ModelConfig) -> LanguageModel:
    """The network of `config.arch`, weights not yet drawn (`init_weights`) nor loaded."""
    return _BUILDERS[config.arch](config)
