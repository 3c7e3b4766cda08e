"""Gates as the manifest lists them: thresholds, and how many pairs each let through.

Owns which setting is whose threshold. It must not run a gate.
"""

from __future__ import annotations

from hrmbuild.config.permission import PermissionConfig, ProtectedAttribute
from hrmbuild.config.project import GatesConfig
from hrmbuild.gates.registry import GATES
from hrmbuild.records.manifest import Gate

_THRESHOLDS: dict[str, tuple[str, ...]] = {
    "length": ("max_instruction_bytes", "max_response_bytes"),
    "corpus_near_duplicate": ("near_duplicates",),
    "corpus_leak": ("leak_words", "leak_common"),
    "corpus_protected": ("protected_sets",),
    "language": ("languages",),
    "protected": ("protected",),
    "permission": ("permission",),
    "personal_data": ("personal_data", "personal_answer_share", "names"),
}
"""Settings that a gate reads, by the gate's name; every field of `GatesConfig` belongs to one."""


REVIEW_STEP = "review"
"""Pairs that a person refused, or wrote anew elsewhere; listed where there are any, before the other steps."""
_CORPUS_STEPS = ("corpus_contradiction", "corpus_protected", "corpus_near_duplicate", "corpus_leak", "corpus_cap")
"""Steps of the pass over the whole corpus, in their order; what passes the last one is kept."""


def gate_entries(
    config: GatesConfig, *, made: int, rejected: dict[str, int], held: dict[str, int], redacted: int = 0
) -> tuple[Gate, ...]:
    """The gates in their order: each sees what the one before let through.

    Args:
        held: pairs that wait for a decision, by the gate that holds them.
        redacted: occurrences that are kept with masks.
    """
    claimed = {field for fields in _THRESHOLDS.values() for field in fields}
    assert claimed | {"quarantine"} == set(GatesConfig.model_fields), "a threshold belongs to no gate"
    entries: list[Gate] = []
    remaining = made
    steps = [REVIEW_STEP] if REVIEW_STEP in rejected else []
    gates = [gate.name for gate in GATES if _is_on(config, gate.name) or gate.name in rejected]
    first = ["permission"] if config.permission is not None else []
    for name in (*first, *gates, *steps, *_CORPUS_STEPS):
        n_rejected, n_held = rejected.get(name, 0), held.get(name, 0)
        remaining -= n_rejected + n_held
        entries.append(
            Gate(name=name, thresholds=_thresholds(config, name), passed=remaining, rejected=n_rejected,
                 quarantined=n_held or None, redacted=(redacted or None) if name == "personal_data" else None)
        )  # fmt: skip
    return tuple(entries)


def _is_on(config: GatesConfig, name: str) -> bool:
    """Gates that do nothing without a setting are listed where there is one."""
    return name not in ("language", "protected") or bool(_thresholds(config, name))


def _thresholds(config: GatesConfig, name: str) -> dict[str, str]:
    """What a gate was told, as text: a list of names by their number, for a manifest must not name them."""
    told: dict[str, str] = {}
    for field in _THRESHOLDS.get(name, ()):
        value = getattr(config, field)
        if field == "names" and value is not None:
            told[field] = f"{len(value)} declared"
        elif isinstance(value, PermissionConfig):
            told |= {key: str(one) for key, one in value if one}
        elif field == "protected" and value is not None:
            told |= {name: _protected(one) for name, one in sorted(value.items())}
        elif isinstance(value, dict):
            told[field] = ", ".join(f"{kind} {verdict}" for kind, verdict in sorted(value.items()))
        elif value is not None:
            told[field] = str(value)
    return told


def _protected(one: ProtectedAttribute) -> str:
    proxies = f"proxies {', '.join(one.proxies)}; " if one.proxies else ""
    return proxies + (f"allowed: {one.allowed.basis} ({one.allowed.approver})" if one.allowed else "not allowed")
