"""The model card: `README.md` with the front matter that model hubs read.

Owns rendering `templates/package/card.md.j2` in a strict sandbox. What the owner must say and did not is an error, not
an empty section. It must not invent a number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import ValidationError

from hrmbuild.errors import ConfigError
from hrmbuild.packaging.card_facts import CardFacts, CardOwner
from hrmbuild.packaging.licenses import spdx_id

CARD_TEMPLATE = "card.md.j2"


def card_owner(fields: dict[str, Any] | None) -> CardOwner:
    """What `model:` of the settings says.

    Raises:
        ConfigError: `package.card_incomplete`: the block or some of its keys are missing or empty.
    """
    try:
        return CardOwner.model_validate(fields or {})
    except ValidationError as error:
        wanting = sorted({str(detail["loc"][0]) for detail in error.errors()})
        raise ConfigError(
            "package.card_incomplete",
            f"the model card needs {', '.join('model.' + key for key in wanting)}",
            where="hrmbuild.yaml: model",
            why="a package says who answers for it, what it is for and what it is not for",
            fix="add model: {name: …, version: …, contact: …, intended_use: …, excluded_use: …} to the settings",
        ) from error


def render_card(facts: CardFacts, templates: Path) -> bytes:
    """The card's bytes, UTF-8. `templates` is the folder `templates/package`."""
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["cell"] = _cell
    template = environment.from_string((templates / CARD_TEMPLATE).read_text("utf-8"))
    known = spdx_id(facts.owner.license)
    return template.render(facts=facts, baselines=_baselines(facts), spdx=known and known.lower()).encode("utf-8")


def _baselines(facts: CardFacts) -> list[str]:
    """Names of the baselines, in the order of the first row, then as they come."""
    return list(dict.fromkeys(name for score in facts.scores for name in score.baselines))


def _cell(value: object) -> str:
    """Text that stays inside one cell of a Markdown table."""
    return " ".join(str(value).split()).replace("|", "\\|")
