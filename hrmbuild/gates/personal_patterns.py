"""The forms of personal data: how an address, a card, a passport's number are written.

Owns the patterns and the words that must stand beside those that have no form of their own. It must not judge what
follows from a find. Names in running text are not found: no pattern tells a name from another word.
"""

from __future__ import annotations

import ipaddress
import re

from hrmbuild.gates.detector import Detector, words_before
from hrmbuild.gates.national_ids import NATIONAL_IDS, other_number

_LINK = (
    r"(?:[\s,]*(?:\bno\b|\bnr\b|\bnum\b|\bnumber\b|\bnummer\b|\bnuméro\b|\bnumero\b|n[°º]|\bid\b|\bis\b|\bwas\b|"
    r"\bist\b|"
    r"\bcard\b|\bdocument\b|\bholder\b|\bthe\b|\bnew\b|\bold\b|\breads\b|\bunder\b|\bon\b|\bat\b|\bto\b|\bam\b|\bhis\b|"
    r"\bher\b|\bmy\b|\bbook\b|\best\b|\ble\b|\bel\b|\bwith\b|\bof\b|\bend(?:s|ing)\b|\bor\b|[:#=()]|"
    r"-\s)[.:#]?){0,6}[\s]*"
)
"""What may stand between a word and its number: `passport no.: `, `reach me on `."""
_MONTHS = (
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mai|okt|dez|janv|févr|mars|avr|juin|juil|août|déc|ene|abr|"
    r"ago|dic)[a-zéäû]*\.?"
)
_DATE = (
    rf"(?:\d{{1,2}}[./\- ]\d{{1,2}}[./\- ]\d{{2,4}}|\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|"
    rf"\d{{1,2}}(?:st|nd|rd|th|er)?\.? (?:of |de )?{_MONTHS},? (?:de )?\d{{2,4}}|{_MONTHS} \d{{1,2}}(?:st|nd|rd|"
    rf"th)?,? \d{{4}})"
)


def _coded(context: str, value: str, *, flags: int = re.I) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{context})(?!\w){_LINK}(?P<v>{value})(?!\w)", flags)


def _digits(text: str, start: int, end: int) -> int:
    return sum(one.isdigit() for one in text[start:end])


def _iban(text: str, start: int, end: int) -> bool:
    from stdnum import iban

    return iban.is_valid(text[start:end], check_country=False) or "iban" in words_before(text, start, within=24)


_CARD_PREFIX = re.compile(r"4|5[1-5]|2[2-7]|3[4-7]|30|6011|64[4-9]|65|62|50|5[6-8]|60|67")
_CARD_WORDS = re.compile(
    r"card|visa|master|amex|american express|maestro|credit|debit|payment|paid|pay\b|charge|karte|carte|tarjeta|"
    r"\bpan\b|"
    r"cvv|cvc|diners|discover"
)


def _card(text: str, start: int, end: int) -> bool:
    """Luhn's sum and a scheme's prefix, and either four groups as on the card or a word that says what it is."""
    from stdnum import luhn

    value = text[start:end]
    plain = re.sub(r"\D", "", value)
    if not luhn.is_valid(plain) or len(set(plain)) < 2 or other_number(text, start):
        return False
    known = _CARD_PREFIX.match(plain) is not None
    said = _CARD_WORDS.search(words_before(text, start, within=60)) is not None
    grouped = re.fullmatch(r"\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{4}|\d{4}[ -]\d{6}[ -]\d{5}", value) is not None
    return known and (said or grouped)


def _phone(text: str, start: int, end: int) -> bool:
    """No part of an address on the web (`/20050301/http:`), and no number of things."""
    value = text[start:end]
    if text[end : end + 1] == "/" and text[end + 1 : end + 2].isalpha():
        return False
    return 7 <= _digits(text, start, end) <= 15 and "00000" not in value and not other_number(text, start)


def _phone_beside_mail(text: str, start: int, end: int) -> bool:
    """As in a signature: nothing but a number before an address of mail, on one line."""
    return 8 <= _digits(text, start, end) <= 11


def _spoken_phone(text: str, start: int, end: int) -> bool:
    return 6 <= _digits(text, start, end) <= 15 and not re.fullmatch(
        r"\d{4}-\d\d-\d\d|\d{1,3}(?:[ .]000)+", text[start:end]
    )


_NO_ADDRESS = re.compile(
    r"(?:version|v\.?|release|section|sections|clause|clauses|chapter|article|paragraph|para|rule|§|annex|appendix|"
    r"item|"
    r"part|figure|table|step|build|firmware|netmask|mask|see|under|and|,)\s*$"
)


def _ip(text: str, start: int, end: int) -> bool:
    """An address of a machine out there: no loopback, no mask, no number of a clause or version."""
    try:
        address = ipaddress.ip_address(text[start:end])
    except ValueError:
        return False
    if address.is_loopback or address.is_unspecified or address.is_multicast or text[start:end].startswith("255."):
        return False
    if address.version == 4 and _NO_ADDRESS.search(words_before(text, start, within=16)):
        return "ip" in words_before(text, start, within=24).split()
    return address.version == 6 or any(int(part) > 30 for part in text[start:end].split("."))


def _has_letter_and_digits(text: str, start: int, end: int) -> bool:
    value = text[start:end]
    return any(one.isalpha() for one in value) and any(one.isdigit() for one in value)


def _numbered(least: int):
    def confirm(text: str, start: int, end: int) -> bool:
        return _digits(text, start, end) >= least

    return confirm


def _email(text: str, start: int, end: int) -> bool:
    """`git@host:path` names a repository, `x@1.2.3` a release."""
    return not (text.startswith("git@", start) or (text[end : end + 1] == ":" and text[end + 1 : end + 2].isalpha()))


_PLACE = (
    r"(?:,?\s+(?:[A-Z]{1,2}-)?\d{4,6}(?:\s+[A-ZÄÖÜ][\w'’.-]+){1,2}|"
    r",\s+[A-Z][\w'’ .-]{2,30},?\s+(?:[A-Z]{2}\s+\d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}))?"
)
"""A town behind a street."""
_STREETS = (
    r"Street|St\.?|Avenue|Ave\.?|Road|Rd\.?|Lane|Ln\.?|Drive|Dr\.?|Boulevard|Blvd\.?|Court|Ct\.?|Square|Sq\.?|Terrace|"
    r"Close|Crescent|Gardens|Parkway|Pkwy\.?|Highway|Hwy\.?|Place|Pl\.?|Way|Row|Mews|Grove|Walk|Hill|Quay"
)
_ADDRESSES = (
    re.compile(
        rf"(?<![\w./-])\d{{1,5}}[A-Za-z]?,?[ \n](?:(?:[NSEW]\.?|North|South|East|"
        rf"West) )?(?:(?!EUR|USD|GBP|CHF|Working|Calendar)[A-Z](?:[\w'’-]*|\.)[ \n]){{1,3}}(?:{_STREETS})(?![\w])"
        rf"(?:,? (?:NW|NE|SW|SE|N|S|E|W)\b\.?)?(?:,? (?:Apt|Suite|Ste|Unit|Flat|Floor|Room|#)\.? ?[\w-]+)?{_PLACE}"
    ),
    re.compile(
        r"(?<!\w)(?:[A-ZÄÖÜ][\wäöüß-]*(?:straße|strasse|straat|str\.|weg|platz|allee|gasse|damm|ufer|laan|plein|"
        r"gracht|vej|gatan)"
        r"|(?:Alte[rn]?|Neue[rn]?|[A-ZÄÖÜ][\wäöüß]+er)[ -](?:Straße|Str\.|Weg|Platz|Allee|Ring))"
        r"\s\d{1,4}\s?[a-z]?(?![\w%]|[.,]\d)(?:,?\s+(?:[A-Z]{1,2}-)?\d{4,5}(?: ?[A-Z]{2})?\s+[A-ZÄÖÜ][\w-]+)?"
    ),
    re.compile(
        r"(?<!\w)\d{1,4}(?: ?(?:bis|ter))?,? (?:rue|avenue|boulevard|bd|place|chemin|allée|impasse|quai|route|cours)"
        r" (?:(?:de|du|des|la|le|les|l['’]|"
        r"d['’])\s?)*[A-ZÉÈ][\w'’éèàçôî-]+(?: [A-ZÉÈ][\w'’éèàçôî-]+){0,3}(?:,? \d{5} [A-ZÉÈ][\w'’-]+)?"
    ),
    re.compile(
        r"(?<!\w)(?:Via|Viale|Piazza|Corso|Calle|Avenida|Avda\.|Plaza|Paseo|Rua|Ulica|ul\.) (?:(?:de|del|della|di|"
        r"la|las|los|da|do) )*"
        r"[A-ZÁÉÍÓÚŁŚ][\w'’áéíóúñłść-]+(?: [A-ZÁÉÍÓÚŁŚ][\w'’áéíóúñłść-]+){0,2},? "
        r"(?:n[.°º] ?)?\d{1,4}(?![\w%])(?:,? \d{2}-?\d{3} [A-ZÁÉÍÓÚ][\w-]+)?"
    ),
    re.compile(
        r"(?<!\w)(?:P\.? ?O\.? ?Box|Postfach|Post Office Box|"
        r"Casella Postale) \d{1,6}(?:,\s+[A-Z][\w .-]{2,30},?\s+[A-Z]{2}\s+\d{5})?"
    ),
)
_STREET_HINTS = (
    ("street", "st", "avenue", "ave", "road", "rd", "lane", "ln", "drive", "dr", "boulevard", "blvd", "court", "ct",
     "square", "sq", "terrace", "close", "crescent", "gardens", "parkway", "pkwy", "highway", "hwy", "place", "pl",
     "way", "row", "mews", "grove", "walk", "hill", "quay"),
    ("straße", "strasse", "straat", "str.", "weg", "platz", "allee", "gasse", "damm", "ufer", "laan", "plein", "gracht",
     "vej", "gatan"),
    ("rue ", "avenue ", "boulevard ", "bd ", "place ", "chemin ", "allée ", "impasse ", "quai ", "route ", "cours "),
    ("via ", "viale ", "piazza ", "corso ", "calle ", "avenida ", "avda.", "plaza ", "paseo ", "rua ",
     "ulica ", "ul. "),
    ("box ", "postfach ", "casella postale "),
)  # fmt: skip

_PHONE_WORDS = (
    r"tel|tel\.|telephone|telefon|téléphone|teléfono|phone|phones|mobile|cell|cellphone|mobil|handy|fax|call|called|"
    r"dial|ring|"
    r"text|whatsapp|signal|sms|hotline|extension|reach (?:me|him|her|us|them)|phone number|contact number|durchwahl|"
    r"portable"
)

PERSONAL: tuple[Detector, ...] = (
    Detector("email", re.compile(
        r"(?<![\w.+-])[^\W_][\w.+%'-]{0,63}@(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W\d_]{2,24}(?![\w@])"), ("@",), _email),
    Detector("email", re.compile(
        r"(?<![\w.+-])[\w.+-]{1,64} ?[\[({] ?at ?[\])}] ?[\w-]+(?:(?: ?[\[({] ?dot ?[\])}] ?|\.)[\w-]+){1,4}", re.I),
        ("(at)", "[at]", "{at}", "( at )", "[ at ]")),
    Detector("email", re.compile(
        r"(?<![\w.+-])[\w.+-]{1,64}(?:\([^()\n]{1,40}\)@(?:\([^()\n]{1,40}\))?|@\([^()\n]{1,40}\))"
        r"(?:[\w-]+\.)+[^\W\d_]{2,24}"), (")@", "@(")),
    Detector("iban", re.compile(
        r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:(?:[ ]?[A-Z0-9]{4}){2,7}(?:[ ]?[A-Z0-9]{1,3})?)(?![A-Za-z0-9])"), (), _iban,
        2),
    Detector("iban", re.compile(
        r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:(?:[ -]?\d{4}){3,7}(?:[ -]?\d{1,3})?)(?!\d)"), (), _iban, 14),
    Detector("card", re.compile(r"(?<![\w.,-])\d(?:[ -]?\d){12,18}(?![\w-]|[.,]\d)"), (), _card, 13),
    *NATIONAL_IDS,
    Detector("tax_id", _coded(
        r"tax(?:payer)?(?: (?:id|identification|reference|file))?|tin|itin|utr|tfn|steuer-?nummer|steuer-?id\w*|"
        r"steuerliche identifikationsnummer|steuer-?identifikationsnummer|idnr\.?|nif|numéro fiscal|codice fiscale",
        r"(?=(?:[^\d\n]{0,2}\d){7})[A-Z0-9](?:[ /\-]?[A-Z0-9]){7,15}"),
        ("tax", "tin", "utr", "tfn", "steuer", "idnr", "nif", "fiscal"), _numbered(7), 7),
    Detector("passport", _coded(
        r"passports?|reisepass(?:nummer)?|passnummer|passeport|pasaporte|passaporto|paspoort|"
        r"personalausweis(?:nummer)?|"
        r"ausweisnummer|identity card|id card|carte d['’]identité|travel document|residence permit|aufenthaltstitel",
        r"(?=[A-Z]{0,3}\d*[A-Z]?\d)(?=\w*\d\w*\d\w*\d)[A-Z0-9]{6,12}", flags=re.I),
        ("passport", "pass", "pasaporte", "ausweis", "identity card", "id card", "identité", "travel document",
         "residence permit", "aufenthaltstitel", "paspoort"), _numbered(4), 4),
    Detector("driving_licence", _coded(
        r"(?:driving|driver'?s?|drivers|driver’s) licen[cs]es?|dl|führerschein(?:nummer)?|permis de conduire|"
        r"permiso de conducir|rijbewijs",
        r"(?=\w*\d\w*[ -]?\w*\d)[A-Z0-9](?:[ -]?[A-Z0-9]){5,19}"),
        ("licen", "dl", "führerschein", "permis", "rijbewijs"), _numbered(4), 4),
    Detector("health_id", _coded(
        r"nhs|medicare|medicaid|health (?:insurance|card|plan)|patient|medical record|mrn|insured person|"
        r"versicherten-?nummer|"
        r"krankenversicherten-?nummer|kvnr|gesundheitskarte|insurance member|member|carte vitale|ehic",
        r"(?=(?:[A-Z0-9][ -]?)*\d)[A-Z0-9](?:[ -]?[A-Z0-9]){5,17}"),
        ("nhs", "medic", "health", "patient", "mrn", "insured", "versicherten", "kvnr", "gesundheit",
         "member", "vitale",
         "ehic"), _numbered(6), 6),
    Detector("bank_account", _coded(
        r"(?:bank |giro |savings |current |checking |salary )?(?:account|acct|a/c)|kontonummer|konto-?nr\.?|"
        r"numéro de compte|kto\.?",
        r"\d(?:[ -]?\d){6,16}"), ("account", "acct", "a/c", "konto", "compte", "kto"), _numbered(7), 7),
    Detector("birth_date", _coded(
        r"date of birth|d\.?o\.?b\.?|born|birth ?dates?|birthdays?|geboren|geb\.|geburtsdatum|geburtstag|née?|"
        r"date de naissance|"
        r"fecha de nacimiento|nacid[oa]|nat[oa] il|data di nascita|geboortedatum", _DATE),
        ("birth", "dob", "d.o.b", "born", "gebor", "geb.", "geburt", "né ", "née", "naissance", "nacimi",
         "nacid", "nascita",
         "nato", "nata", "geboorte"), digits=3),
    Detector("licence_plate", _coded(
        r"(?:licen[cs]e|number|registration|vehicle) plates?|plates?|(?:vehicle|car|van|truck|motorcycle|"
        r"vehicle's) (?:registration|reg)"
        r"(?: mark)?|kennzeichen|immatriculation|plaque(?: d['’]immatriculation)?|matrícula|targa|kenteken|"
        r"rejestracyjny",
        r"(?-i:[A-ZÄÖÜ0-9]{1,8}(?:[ -]{1,2}[A-Z0-9]{1,4}){0,3})"),
        ("plate", "registration", "reg", "kennzeichen", "immatriculation", "plaque", "matrícula", "targa", "kenteken",
         "rejestracyjny"), _has_letter_and_digits, 1),
    Detector("phone", re.compile(
        r"(?<![\w+.,-])(?:\+|"
        r"00(?=[1-9]\d))[1-9]\d{0,2}(?:[ .\-/]{0,2}\(0\))?(?:[ .\-/()]{0,2}\d){6,12}(?![\w])"), (), _phone, 7),
    Detector("phone", re.compile(r"(?<![\w.,-])(?:1[-. ])?\(?[2-9]\d{2}\)?[-. ] ?[2-9]\d{2}[-.]\d{4}(?![\w-]|"
                                 r"\.\d)"), (), _phone, 7),
    Detector("phone", re.compile(
        r"(?<![\w.,+-])(?:\(0\d{2,4}\) ?|0\d{2,5} ?[/-] ?|0\d{3,4} (?=\d{6,7}(?!\d))|07\d{3} (?=\d{3} ?\d{3}(?!\d))|"
        r"0\d{2} (?=\d{4} \d{4}(?!\d)))"
        r"\d(?:[ -]?\d){4,8}(?![\w-]|[.,]\d)|(?<![\w.,+-])0[1-9](?:[ .]\d{2}){4}(?!\w)"), (), _phone, 7),
    Detector("phone", re.compile(r"^(?P<v>\d{2,4}(?: \d{2,4}){2,4})(?=[ |,;-]{1,6}[\w.+-]{1,64}@)", re.M), ("@",),
             _phone_beside_mail, 8),
    Detector("phone", _coded(_PHONE_WORDS, r"\(?\+?\d(?:[ .\-/()]{0,2}\d){5,14}"),
             ("tel", "phone", "tél", "mobil", "cell", "handy", "fax", "call", "dial", "ring", "text",
              "whatsapp", "signal",
              "sms", "hotline", "extension", "reach", "contact", "durchwahl", "portable"), _spoken_phone, 6),
    Detector("ip_address", re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)"), (), _ip, 4),
    Detector("ip_address", re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{1,4}:){2,7}(?::?[0-9a-fA-F]{1,4}|"
                                      r":)(?:[0-9a-fA-F:]*)(?![\w:])"),
             ("::", ":"), _ip),
    *(Detector("address", pattern, hints, digits=1) for pattern, hints in zip(_ADDRESSES, _STREET_HINTS, strict=True)),
)  # fmt: skip
"""The most particular first: an IBAN's digits are no card number, a card's no telephone number."""

PERSONAL_KINDS: tuple[str, ...] = tuple(sorted({*(detector.kind for detector in PERSONAL), "name"}))
