"""One golden render for each template of rules; `python tests/pairs/test_rules_templates.py` writes them anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruleset_support import templates

from hrmbuild.assets import asset_folder

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "templates"
REGISTERS = {"form", "mail", "policy"}
KINDS = ("outcome", "excerpt", "missing_fact", "condition", "which_rule", "threshold", "change", "facts", "sole_change")
VALUES: dict[str, object] = {
    "title": "Travel",
    "question": "Is the trip approved?",
    "facts": [
        {
            "label": "fare",
            "value": "45 EUR",
            "entry": "fare: 45 EUR",
            "words": "fare 45 EUR",
            "clause": "fare is 45 EUR",
        },
        {"label": "client", "value": "yes", "entry": "client pays", "words": "client pays", "clause": "client pays"},
    ],
    "outcomes": ["approve", "refuse"],
    "outcome": "refuse",
    "rule": "3",
    "because": "fare 45 over 40",
    "citation": "TRV-2.3",
    "fired": ["3"],
    "checks": [{"id": "1", "holds": False}, {"id": "3", "holds": True}],
    "refusal": "cannot be decided without fare",
    "answer": "yes",
    "others": ["approve", "board"],
    "asked": "fare above which a trip is refused",
    "value": "40",
    "unit": "EUR",
    "fact": "fare",
    "preamble": "The first rule that holds decides.",
    "declared": [
        {"name": "fare", "label": "fare", "form": "number in EUR"},
        {"name": "client", "label": "payer", "form": "true (client pays) | false (we pay)"},
    ],
    "rules": [{"id": "1", "text": "If fare over 40: refuse."}, {"id": "2", "text": "Else: approve."}],
}
NAMES = [name for name in templates().names() if name.startswith("rules/")]


def render(name: str) -> str:
    return templates().render(name, **VALUES)


@pytest.mark.parametrize("name", NAMES)
def test_a_template_renders_as_its_golden_file_says(name: str) -> None:
    assert render(name) == (GOLDEN / name).with_suffix(".txt").read_text(encoding="utf-8")


def test_no_golden_file_is_left_without_its_template() -> None:
    found = {path.relative_to(GOLDEN).with_suffix(".j2").as_posix() for path in (GOLDEN / "rules").rglob("*.txt")}
    assert found == set(NAMES)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_eight_wordings_in_three_registers_all_different(kind: str) -> None:
    names = templates().wordings(f"rules.{kind}")
    assert len(names) >= 8
    assert {Path(name).name.split("_")[0] for name in names} == REGISTERS
    assert len({render(name) for name in names}) == len(names)


def test_templates_hold_no_logic_beyond_loops_and_ifs() -> None:
    for name in NAMES:
        text = (asset_folder("templates") / name).read_text(encoding="utf-8")
        words = {part.split()[0] for part in text.replace("{%-", "{%").split("{%")[1:]}
        assert words <= {"for", "endfor", "if", "else", "endif"}


if __name__ == "__main__":
    for each in NAMES:
        path = (GOLDEN / each).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(each), encoding="utf-8")
