"""The planted set: nearly everything personal or secret is found, and next to nothing in clean texts."""

from __future__ import annotations

from collections import Counter

import pytest
from planted.texts import N_TEXTS, Planted, clean, planted
from planted.values import KINDS, NAMES, SECRET_KINDS

from hrmbuild.gates.detector import Found
from hrmbuild.gates.personal_data import find_personal
from hrmbuild.gates.secrets import find_secrets


def _found(text: str) -> list[Found]:
    return find_personal(text, NAMES) + find_secrets(text)


def _is_caught(one: Planted) -> bool:
    """A secret when the text is refused; personal data when each of its letters and digits would be masked."""
    if one.kind in SECRET_KINDS:
        return bool(find_secrets(one.text))
    start = one.text.index(one.value)
    masked = {at for found in find_personal(one.text, NAMES) for at in range(found.start, found.end)}
    return all(at in masked for at in range(start, start + len(one.value)) if one.text[at].isalnum())


def test_of_every_kind_at_least_95_percent_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    texts = planted()
    assert len(texts) == N_TEXTS == 2000
    of_kind, caught = Counter(one.kind for one in texts), Counter(one.kind for one in texts if _is_caught(one))
    with capsys.disabled():
        print("\nkind                 planted  found  recall")
        for kind in KINDS:
            print(f"{kind:20} {of_kind[kind]:7} {caught[kind]:6} {caught[kind] / of_kind[kind]:7.3f}")
    assert len(of_kind) >= 15
    assert [kind for kind in KINDS if caught[kind] < 0.95 * of_kind[kind]] == []


def test_at_most_2_percent_of_the_clean_texts_are_flagged(capsys: pytest.CaptureFixture[str]) -> None:
    texts = clean()
    flagged = [text for text in texts if _found(text)]
    with capsys.disabled():
        print(f"\nclean {len(texts)}, flagged {len(flagged)}")
    assert len(texts) == N_TEXTS
    assert len(flagged) <= 0.02 * len(texts)


def test_the_planted_set_is_the_same_every_time() -> None:
    assert planted() == planted()
    assert planted()[0] == Planted("email", planted()[0].value, planted()[0].text)
    assert len({one.text for one in planted()}) > 0.95 * N_TEXTS


@pytest.mark.parametrize(
    "text",
    [
        "Scenario: amount 4111 EUR, days 12, share 0.4111 1111.",
        "| id | amount |\n| 1 | 1234567890123456 |\n| 2 | 4532015112830366 |",
        "Threshold 10,000,000.00 EUR; 2026-01-31; rule R12; clause 3.2.1.4",
    ],
)
def test_numbers_of_rules_and_tables_are_no_personal_data(text: str) -> None:
    assert _found(text) == []


def test_an_iban_is_no_card_and_no_telephone() -> None:
    assert [found.kind for found in find_personal("IBAN DE89 3704 0044 0532 0130 00, card 4111 1111 1111 1111")] == [
        "iban", "card",
    ]  # fmt: skip
