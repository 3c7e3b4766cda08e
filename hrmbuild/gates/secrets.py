"""Keys, tokens and passwords: a pair that shows one is refused, and not a letter of it is kept.

Owns the refusal. What was found is named by its kind only: neither message nor log repeats it. It must not mask: a pair
with a hole where its secret was still says where secrets are kept.
"""

from __future__ import annotations

from hrmbuild.config.project import GatesConfig
from hrmbuild.gates.detector import Found, find_all
from hrmbuild.gates.finding import Finding, shown_text
from hrmbuild.gates.secret_patterns import SECRETS
from hrmbuild.records.pair import CompiledPair

NAME = "secrets"
CODE = "gate.secret"


def find_secrets(text: str) -> list[Found]:
    """Every secret of a text, by place."""
    return find_all(text, SECRETS)


def check(pair: CompiledPair, config: GatesConfig) -> Finding | None:
    """`gate.secret`."""
    kinds = sorted({found.kind for found in find_secrets(shown_text(pair))})
    return (
        Finding(CODE, f"it shows a secret ({', '.join(kinds)}); its text is not kept", keeps_text=False)
        if kinds
        else None
    )
