"""The planted set: 2,000 texts with one value each, and 2,000 clean ones that look like them.

The frames were written by hand before the detectors were run on them, as people write memos, mails, forms and policies.
"""

# ruff: noqa: E501 - a frame, or the forms of one kind, stand on a line

from __future__ import annotations

from typing import NamedTuple

from planted.values import KINDS, Draw

N_TEXTS = 2000


class Planted(NamedTuple):
    """A text and what stands in it."""

    kind: str
    value: str
    text: str


_AROUND = (
    "{}",
    "Memo to the claims desk. {} The file is due on 3 March 2026.",
    "{} Please confirm by Friday; amounts above 500 EUR need a second signature.",
    "As agreed in clause 4.2, here are the details.\n{}\nKind regards",
    "Question from the branch: {}",
)
"""What stands around a sentence."""

FRAMES: dict[str, tuple[str, ...]] = {
    "email": ("Write to {} for the form.", "Contact: {}", "{} has asked for a refund.", "From: Ines <{}>", "Send it to {}, please."),
    "phone": ("Call {} after nine.", "Phone: {}", "You can reach me at {} until five.", "Mobile {}, office closed on Mondays.",
              "Her telephone number is {}.", "Tel. {}"),
    "iban": ("Refund to {} within ten days.", "IBAN: {}", "The account {} belongs to the claimant.", "Please pay to IBAN {}, reference 17."),
    "card": ("The customer paid with card {}.", "Card number: {}", "Visa {} was charged twice.", "My credit card {} expires in May."),
    "national_id": ("National ID number: {}", "The applicant's social security number is {}.", "Insured under {}, identity number checked.",
                    "ID number {} was entered twice.") ,
    "tax_id": ("Tax ID: {}", "Her tax identification number is {}.", "Steuer-ID {} fehlt im Antrag.", "The taxpayer reference (UTR) {} was missing.",
               "Steuernummer: {}"),
    "passport": ("Passport no. {}", "He travels on passport {}.", "passport number: {} (expires 2029)", "Her passport {} was copied at the desk.",
                 "Reisepass Nr. {}", "Identity card number {} was shown."),
    "driving_licence": ("Driving licence no. {}", "Driver's license {} was suspended.", "driving licence number is {}", "Führerschein {} liegt vor."),
    "health_id": ("NHS number {}", "Patient ID: {}", "Health insurance number: {}", "Versichertennummer {}", "medical record number {}", "Member ID {}"),
    "bank_account": ("Account number {}", "Her bank account no. {} is closed.", "Kontonummer: {}", "Pay it into account {}."),
    "birth_date": ("Date of birth: {}", "She was born on {}.", "DOB {}", "geboren am {}", "The claimant (born {}) lives alone.", "birthday: {}"),
    "address": ("She lives at {}.", "Address: {}", "Deliver it to {} before noon.", "The insured moved to {} in May.", "Home visit at {}."),
    "ip_address": ("The login came from {}.", "IP address: {}", "Client {} was blocked after five tries.", "Last seen at {} on Monday."),
    "licence_plate": ("Licence plate {}", "The car with number plate {} was parked there.", "Vehicle registration {}.", "Kennzeichen: {}",
                      "license plate no. {} was noted"),
    "name": ("{} signed the form.", "The complaint of {} was rejected.", "Ask {} first.", "Decision by {}: approve."),
    "aws_access_key": ("aws_access_key_id = {}", "The key {} is still active.", "Use {} for the bucket."),
    "private_key": ("{}\nMIIEpAIBAAKCAQEA7v\n", "The file starts with {} and was mailed.", "key: |\n  {}"),
    "jwt": ("Authorization: Bearer {}", "The session token was {}.", "token={}"),
    "github_token": ("git clone https://{}@github.com/x/y", "export GITHUB_TOKEN={}", "My token is {}, use it until Friday."),
    "slack_token": ("SLACK={}", "Post it through {} please.", "The bot's token {} has leaked."),
    "password": ("password: {}", "The password is {}", "Login: desk4, pwd={}", "Passwort: {}", "the Wi-Fi password for guests is {}", "PASSWORD={}"),
    "connection_string": ("DATABASE_URL={}", "Connect with {} from the office.", "conn: {}"),
    "api_key": ("api_key = {}", "The API key is {}", "X-Api-Key: {}", "secret_key: \"{}\"", "client_secret={}"),
}  # fmt: skip

CLEAN: tuple[str, ...] = (
    "Order no. {d16} left the warehouse.", "Invoice {d10} of 12 May 2026 is due.", "The total is 1 {d3} {d3}.{d2} EUR.",
    "Clause {n}.{n}.{n}.{n} applies.", "See section {n}.{n}.{n}.{n} of the policy.", "Version {n}.{n}.{b}.{n} fixes the fault.",
    "Effective from {date}, until further notice.", "The contract of {date} was renewed.", "Ticket #{d6} is closed.",
    "Part number {d3}-{d2}-{d4} is out of stock.", "SKU {d4}-{d4}-{d4}-{d4}", "Tracking code {d16}", "Serial no. {A2}{d7}",
    "Passwords must have at least 12 characters, with 1 digit.", "Password: at least twelve characters",
    "Never share your password; it is changed every 90 days.", "The password is required for form {n}.", "password: ********",
    "The token budget is {d5} tokens a step.", "api_key: <your-key-here>", "Set API_KEY=${{API_KEY}} before you start.",
    "The secret is to keep records for {n} years.", "A private key is kept by each approver.", "Bearer shares above {d4} EUR are refused.",
    "Passport applications rose to {d5} in 2025.", "A passport valid for {n} months is needed.", "Two passports and {n} visas were issued.",
    "Driving licence checks took {n} days.", "Call {n} customers a day.", "Phone costs of {d3} EUR are repaid.", "Fax machines: {n}",
    "Room {d3}, floor {n}, seats {d2}.", "Between {d3} and {d4} units at 3.50 @ 12 each.", "Follow @{w} for news on {n} changes.",
    "The ratio is {n}:{n}:{n}.", "Opening hours 08:30-17:45, Tel Aviv office 09:00.", "He was born to lead the {n} teams.",
    "The born-digital archive holds {d6} files.", "License plates cost {n} EUR.", "Vehicle registration takes {n} days.",
    "The plate of {n} mm is welded.", "Account {d4} of the ledger, cost centre {d4}.", "Accounts receivable: {d3},{d3} EUR",
    "Health insurance covers {n} visits.", "Patients wait {n} weeks.", "Member states: {n}", "The tax rate is {n} % from {date}.",
    "Tax return of 2025, form {d4}", "VAT ID DE{d9}", "HRB {d5}, Amtsgericht Köln", "ISBN 978-3-{d2}-{d6}-{n}", "DOI 10.{d4}/j.{d6}",
    "Commit {hex40} fixed it.", "SHA-256 {hex64}", "uuid {hex8}-{hex4}-{hex4}-{hex4}-{hex12}", "MAC layer {n}, port {d4}, host localhost",
    "Ping 127.0.0.1 first; the mask is 255.255.255.0.", "The 5 Working Days start on Monday.", "3 Way match of {d4} invoices.",
    "12 Months Notice is given.", "Drive {d3} km a day at 0.{d2} EUR.", "The road to {d4} employees took {n} years.",
    "Article {n} of Regulation (EU) 2016/{d3}", "Rule R{n}: above {d3} EUR a receipt is needed.", "{d3}-{d3} units, {d4} EUR, {n} days",
    "amount = {d6}; days = {n}; share = 0.{d4}", "Budget 2024-2026: {d6}, {d6}, {d6}", "Case {d2}/{d4}/{d3} was settled.",
    "Population {d2} {d3} {d3}, area {d5} km2", "Row {d4}: {d7} {d7} {d7}", "Batch {d8}-{d4}, lot {A2}{d5}", "Model {A2}-{d4}-{A1}",
    "https://intranet.example/docs/{d6}?page={n}", "git@{w}.example:team/{w}.git", "{w}@{n}.{n}.{n} is the pinned release.",
    "coordinates 52.{d4}, 13.{d4}", "Latitude {n}.{d6}, longitude {n}.{d6}", "GTIN {d13}", "The year 19{d2} saw {d3} claims.",
    "Bank holidays: {n}", "IBAN and BIC are needed for transfers.", "A card limit of {d4} EUR holds.", "Card payments above {d2} EUR need a PIN.",
    "Use two cards, {d4} points each.", "Card {d4} of the index", "Pay {d6} EUR by {date}.", "Policy number {A2}{d8}",
    "Contract {A2}-{d6}-{d2}", "Claim no. {d8}", "Reference {d3}-{d3}-{d4}", "Meter reading {d6}.{n} kWh", "Dose: {n} ml per {d2} kg",
    "ID column: {d9}", "ids {d4}, {d4} and {d4}", "time 12:{d2}:{d2}.{d6}", "key: the first column", "Session {n}: the key to success is rest.",
)  # fmt: skip
"""Sentences that nobody's data stand in."""

_SLOTS = {f"d{n}": n for n in range(1, 17)}


def planted() -> list[Planted]:
    """The texts with something in them, the kinds by turns."""
    found: list[Planted] = []
    kinds = list(KINDS)
    for number in range(N_TEXTS):
        kind = kinds[number % len(kinds)]
        draw = Draw(f"{kind}/{number}")
        value = KINDS[kind](draw)
        sentence = draw.of(FRAMES[kind]).format(value)
        found.append(Planted(kind, value, draw.of(_AROUND).format(sentence)))
    return found


def clean() -> list[str]:
    """The texts with nothing in them."""
    return [_clean(Draw(f"clean/{number}"), CLEAN[number % len(CLEAN)]) for number in range(N_TEXTS)]


def _clean(draw: Draw, frame: str) -> str:
    parts = frame.replace("{{", "\x01").replace("}}", "\x02").split("{")
    text = parts[0]
    for part in parts[1:]:
        slot, _, rest = part.partition("}")
        text += _filled(draw, slot) + rest
    return draw.of(_AROUND).format(text.replace("\x01", "{").replace("\x02", "}"))


def _filled(draw: Draw, slot: str) -> str:
    if slot in _SLOTS:
        return draw.digits(_SLOTS[slot], first="123456789")
    if slot.startswith("hex"):
        return draw.letters(int(slot[3:]), "0123456789abcdef")
    if slot.startswith("A"):
        return draw.letters(int(slot[1:]))
    if slot == "date":
        return f"{draw.below(28) + 1:02d}.{draw.below(12) + 1:02d}.20{draw.below(20) + 10}"
    if slot == "w":
        return draw.of(("widget", "core", "report", "claims"))
    return str(draw.below(250)) if slot == "b" else str(draw.below(19) + 1)
