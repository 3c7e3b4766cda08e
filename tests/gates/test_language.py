"""Languages that nobody asked for are refused; what is short, code or a number never is."""

from __future__ import annotations

import pytest

from hrmbuild import gates
from hrmbuild.config.project import GatesConfig
from hrmbuild.errors import ConfigError

GERMAN = "Der Antrag muss innerhalb von vierzehn Tagen nach dem Eingang der Rechnung bearbeitet und beantwortet werden."
ENGLISH = "The claim must be answered within fourteen days after the desk has received the invoice of the hotel."
FRENCH = "La demande doit être traitée dans les quatorze jours qui suivent la réception de la facture de l'hôtel."


TEXTS = (
    (GERMAN, None),
    (ENGLISH, None),
    (FRENCH, "gate.language"),
    ("Oui.", None),
    ("SELECT nom, prénom FROM employés WHERE département = 'comptabilité générale et analytique des ventes'", None),
    ("12 345,67 EUR; 2026-01-31; 4711; R12", None),
)


def test_only_long_texts_of_another_language_are_refused(pair):
    """One test for all texts: the detector takes seconds to load in each worker."""
    for text, code in TEXTS:
        one = pair(instruction=text, response="ok", derivation="imported")
        finding = gates.run(one, GatesConfig(languages=("de", "en")))
        assert (finding.code if finding else None) == code, text
        assert gates.run(one, GatesConfig()) is None


def test_a_code_that_is_no_language_is_a_mistake_in_the_settings(pair):
    with pytest.raises(ConfigError, match="qq"):
        gates.run(pair(instruction=ENGLISH), GatesConfig(languages=("en", "qq")))
