"""Numbers that a state gives to a person: their shapes, and their check digits (`python-stdnum`).

Owns which countries are known and which of their numbers need a word beside them: a number of nine to twelve bare
digits is somebody's identity once in a while by chance, so it counts only where the words before it say so.
Not found: numbers of other countries, and those without check digits and without such words.
"""

from __future__ import annotations

import importlib
import re

from hrmbuild.gates.detector import Detector, words_before

_WITH_CHECK = (
    ("it.codicefiscale", r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]"),
    ("es.dni", r"\d{8}-?[A-HJ-NP-TV-Z]"),
    ("es.nie", r"[XYZ]-?\d{7}-?[A-Z]"),
    ("ch.ssn", r"756\.\d{4}\.\d{4}\.\d{2}"),
    ("br.cpf", r"\d{3}\.\d{3}\.\d{3}-\d{2}"),
    ("fr.nir", r"[12] ?\d{2} ?(?:0[1-9]|1[0-2]|20) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}"),
    ("fi.hetu", r"\d{6}[-+A]\d{3}[0-9A-FHJ-NPR-Y]"),
    ("be.nn", r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}"),
    ("ie.pps", r"\d{7}[A-W][A-IW]?"),
    ("se.personnummer", r"(?:19|20)?\d{6}[-+]\d{4}"),
)
"""Shapes so particular that the check digits decide alone (module of stdnum, pattern)."""
_BARE = (
    "nl.bsn", "pl.pesel", "de.idnr", "dk.cpr", "in_.aadhaar", "be.nn", "no.fodselsnummer", "ca.sin", "br.cpf", "us.ssn",
    "se.personnummer", "fr.nir", "ch.ssn",
)  # fmt: skip
_WORDS = re.compile(
    r"\b(?:national id|identity number|id number|personal (?:id|identification|identity)|citizen|social (?:security|"
    r"insurance)|"
    r"insurance number|ssn|nino|nir|bsn|burgerservicenummer|pesel|cpr|aadhaar|aadhar|personnummer|fødselsnummer|"
    r"rijksregister"
    r"\w*|registre national|insz|niss|ahv\w*|avs|sozialversicherung\w*|rentenversicherung\w*|steuer-?id\w*|idnr|"
    r"codice fiscale|dni|nie|nif|cpf|sin|hetu|henkilötunnus|pps\w*|numéro de sécurité sociale|sécurité sociale|insee)"
    r"\b[^\n]{0,24}$"
)
_OTHER_NUMBER = re.compile(
    r"(?:\b(?:order|part|item|ref(?:erence)?|ticket|invoice|serial|article|sku|case|tracking|model|version|product|"
    r"batch|"
    r"lot|catalogue|catalog|contract|policy|claim|form|bestell\w*|artikel\w*|rechnung\w*|vat|ust\w*|gtin|ean|isbn|doi|"
    r"build|asset|parcel|shipment|container|voucher|code|release|record|docket|rule|clause|section|table)\b|#)"
    r"\s*(?:no|nr|num|number|nummer|code|id)?\.?\s*(?:[:#]|is|was)?\s*$"
)


def other_number(text: str, start: int) -> bool:
    """Whether the words before a number say that it counts things and names nobody: `order no.`, `SKU`."""
    return _OTHER_NUMBER.search(words_before(text, start, within=32)) is not None


def _checked(module: str, value: str) -> bool:
    return bool(importlib.import_module(f"stdnum.{module}").is_valid(value))


def _holds(module: str):
    def confirm(text: str, start: int, end: int) -> bool:
        return _checked(module, text[start:end]) and not other_number(text, start)

    return confirm


_NINO = re.compile(
    r"(?<![\w.-])(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D](?![\w-])"
)
"""The United Kingdom's has no check digits, but letters that few other codes have in these places."""


def _named(text: str, start: int, end: int) -> bool:
    return not other_number(text, start)


def _ssn(text: str, start: int, end: int) -> bool:
    """No check digits: refused where the words before say otherwise, or where the number can never be given."""
    return _checked("us.ssn", text[start:end]) and not other_number(text, start)


def _bare(text: str, start: int, end: int) -> bool:
    if not _WORDS.search(words_before(text, start, within=60)):
        return False
    return any(_checked(module, text[start:end]) for module in _BARE)


NATIONAL_IDS: tuple[Detector, ...] = (
    *(
        Detector("national_id", re.compile(rf"(?<![\w.-]){shape}(?![\w-])"), (), _holds(module), 7)
        for module, shape in _WITH_CHECK
    ),
    Detector("national_id", _NINO, (), _named, 6),
    Detector("national_id", re.compile(r"(?<![\w.-])\d{3}-\d{2}-\d{4}(?![\w-])"), (), _ssn, 9),
    Detector("national_id", re.compile(r"(?<![\w.-])\d[\d .\-/]{7,19}\d(?![\w-])"),
             ("id", "ssn", "nino", "nir", "bsn", "pesel", "cpr", "aadhaar", "person", "social", "number", "ahv", "avs",
              "sozial", "rentenv", "steuer", "sin", "hetu", "pps", "sécu", "insee", "dni", "nif", "registre", "niss"),
             _bare, 2),
)  # fmt: skip
