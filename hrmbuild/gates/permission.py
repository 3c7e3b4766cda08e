"""Whether a file may be used at all: its owner, its licence and its label, as the settings declare them.

Owns the refusals that are certain before a file is opened. What `freeze` wants beside them (an owner and a licence for
everything it signs, `max_label`) stays there. It must not read a file, and it knows no licence's text.
"""

from __future__ import annotations

from collections.abc import Sequence

from hrmbuild.config.permission import PermissionConfig
from hrmbuild.config.project import SourceConfig

Refusal = tuple[str, str]
"""Code and sentence."""


def refusal(source: SourceConfig, rules: PermissionConfig | None, labels: Sequence[str]) -> Refusal | None:
    """`permission.no_owner`, `permission.no_licence`, `permission.licence`, `permission.label`; None: it may be used.

    Args:
        labels: declared labels, lowest first.
    """
    if rules is None:
        return None
    if rules.owner and not source.owner:
        return "permission.no_owner", "nobody is declared as its owner, and the settings ask for one"
    if rules.licenses is not None and not source.license:
        return "permission.no_licence", "no licence is declared for it, and the settings ask for one"
    if rules.licenses is not None and not any(_fits(source.license or "", one) for one in rules.licenses):
        return "permission.licence", f"its licence {source.license} is none of {', '.join(rules.licenses)}"
    if rules.max_label is not None and labels.index(source.label) > labels.index(rules.max_label):
        return "permission.label", f"its label {source.label} is above {rules.max_label}"
    return None


def _fits(license: str, allowed: str) -> bool:
    """Whole, in any case; `contract:*` stands for every contract."""
    if allowed.endswith("*"):
        return license.casefold().startswith(allowed[:-1].casefold())
    return license.casefold() == allowed.casefold()
