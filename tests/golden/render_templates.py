"""Renders every wording of the text and table compilers once, with fixed values, into tests/golden/templates/.

Run it after a change of wording (`python tests/golden/render_templates.py`), then read the difference: a golden render
is what a person approved, so it is never rewritten by a test.
"""

from __future__ import annotations

from pathlib import Path

from hrmbuild.assets import asset_folder
from hrmbuild.pairs.environment import Templates

FOLDER = Path(__file__).resolve().parent / "templates"
FAMILIES = ("prompt/", "prose/", "memos/", "tables/", "texts/")

VALUES: dict[str, object] = {
    "passages": [{"title": "Travel", "text": "1. Rail first."}, {"title": None, "text": "2. Air needs consent."}],
    "case": "A flight of 700 km.",
    "question": "May I fly?",
    "topic": "air travel",
    "who": "the traveller",
    "whom": "the traveller",
    "action": "book rail",
    "condition": "if the journey is short",
    "rule": "The traveller must not fly",
    "gap": "A room may cost up to [...] a night.",
    "term": "Day trip",
    "clause": "Clause 4.3",
    "ordinal": "second",
    "what": "sign the contract",
    "when": "by 3 March 2025",
    "statement": "The archive moves",
    "title": "Travel",
    "facts": [
        {"entry": "amount: 20", "words": "amount 20 EUR", "clause": "amount is 20"},
        {"entry": "air", "words": "air", "clause": "air"},
    ],
    "table": "claims",
    "other": "policies",
    "column": "status",
    "key": "claim_id",
    "row": "L0007",
    "group": "cause",
    "value": "storm",
    "number": "estimate_eur",
    "low": "100.00",
    "high": "900.00",
    "limit": "500.00",
    "decimals": 2,
    "first": "L0001",
    "second": "L0002",
    "day": "reported",
    "word": "highest",
    "year": 2025,
    "valid_from": "2020-01-01",
    "valid_until": "2024-12-31",
    "sentence": "The desk keeps the keys.",
    "short": "EFI",
}


def renders() -> dict[str, str]:
    """File name -> content: one file a kind, one paragraph a wording."""
    templates = Templates([asset_folder("templates")])
    files: dict[str, list[str]] = {}
    for name in templates.names():
        if name.startswith(FAMILIES):
            kind, _, wording = name.rpartition("/")
            files.setdefault(kind.replace("/", ".") + ".txt", []).append(
                f"[{wording.removesuffix('.j2')}]\n{templates.render(name, **VALUES)}\n"
            )
    return {name: "\n".join(parts) for name, parts in files.items()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.txt"):
        old.unlink()
    for name, content in renders().items():
        (FOLDER / name).write_text(content, encoding="utf-8")
