"""The card repeats why a model was trained on a corpus that cannot carry it, and is silent where nobody had to say."""

from __future__ import annotations

from pathlib import Path

from hrmbuild.packaging.card import render_card
from hrmbuild.packaging.write import PackageContents

WORDS = "a trial of the cluster | with a bar (0.3 tokens a parameter)"


def test_the_reason_stands_on_the_card(contents: PackageContents, package_templates: Path) -> None:
    training = contents.facts.training.model_copy(update={"accepted_insufficient": WORDS})
    card = render_card(contents.facts.model_copy(update={"training": training}), package_templates).decode()
    assert "| corpus too small for this size | accepted: a trial of the cluster \\| with a bar" in card
    assert "too small" not in render_card(contents.facts, package_templates).decode()
