"""Values to plant: drawn by counters, with the check digits that real ones have. Nothing here looks at a detector.

Every value is made up: digits, letters and words are drawn one by one.
"""

# ruff: noqa: E501 - a frame, or the forms of one kind, stand on a line

from __future__ import annotations

import base64
from collections.abc import Callable

from hrmbuild.fingerprint import draw_below

UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LOWER = UPPER.lower()
ALNUM = UPPER + LOWER + "0123456789"
GIVEN = ("anna", "jonas", "mei", "tariq", "lucia", "pavel", "olivia", "sven", "amara", "hugo", "nadia", "felix")
FAMILY = ("keller", "osei", "nowak", "bianchi", "larsen", "haddad", "moreau", "svensson", "okafor", "brandt", "ruiz")
HOSTS = ("northlake", "kanzlei-ost", "brightwell", "mail.univers", "posteo", "werk7", "st-anne", "a-plus-b")
TLDS = ("com", "de", "co.uk", "org", "fr", "io", "net", "it", "info")
NAMES = tuple(f"{g.capitalize()} {f.capitalize()}" for g, f in zip(GIVEN, FAMILY, strict=False))
"""The list that a project would declare."""


class Draw:
    """A stream of draws for one planted text."""

    def __init__(self, key: str) -> None:
        self._key, self._n = key, 0

    def below(self, limit: int) -> int:
        self._n += 1
        return draw_below(limit, "planted", 7, f"{self._key}/{self._n}")

    def of(self, options):
        return options[self.below(len(options))]

    def letters(self, n: int, alphabet: str = UPPER) -> str:
        return "".join(self.of(alphabet) for _ in range(n))

    def digits(self, n: int, *, first: str = "0123456789") -> str:
        return self.letters(1, first) + self.letters(n - 1, "0123456789") if n else ""


def email(d: Draw) -> str:
    given, family = d.of(GIVEN), d.of(FAMILY)
    local = d.of((f"{given}.{family}", f"{given[0]}{family}", f"{given}_{family}{d.below(90) + 10}", f"{given}+bills",
                  f"{family.capitalize()}.{given.capitalize()}", f"{given}-{family}"))  # fmt: skip
    return f"{local}@{d.of(HOSTS)}.{d.of(TLDS)}"


def phone(d: Draw) -> str:
    return d.of((
        f"+49 {d.of(('30', '171', '89', '221'))} {d.digits(7, first='23456789')}",
        f"+44 20 7{d.digits(3)} {d.digits(4)}",
        f"+1 {d.digits(3, first='23456789')} {d.digits(3, first='23456789')} {d.digits(4)}",
        f"({d.digits(3, first='23456789')}) {d.digits(3, first='23456789')}-{d.digits(4)}",
        f"{d.digits(3, first='23456789')}-{d.digits(3, first='23456789')}-{d.digits(4)}",
        f"0{d.of(('171', '30', '89', '40'))}/{d.digits(7, first='23456789')}",
        f"07{d.digits(3)} {d.digits(6)}",
        f"0{d.digits(1, first='123456')} " + " ".join(d.digits(2) for _ in range(4)),
        f"+33 6 {d.digits(2)} {d.digits(2)} {d.digits(2)} {d.digits(2)}",
        f"0048 {d.digits(3, first='56789')} {d.digits(3)} {d.digits(3)}",
        f"+41 (0)44 {d.digits(3, first='23456789')} {d.digits(2)} {d.digits(2)}",
    ))  # fmt: skip


def iban(d: Draw) -> str:
    country, length, letters = d.of(
        (("DE", 18, 0), ("FR", 23, 0), ("GB", 14, 4), ("NL", 10, 4), ("ES", 20, 0), ("AT", 16, 0))
    )
    body = d.letters(letters) + d.digits(length)
    if country == "NL":
        body = d.letters(4) + d.digits(10)
    number = "".join(str(int(one, 36)) for one in f"{body}{country}00")
    whole = f"{country}{98 - int(number) % 97:02d}{body}"
    return " ".join(whole[i : i + 4] for i in range(0, len(whole), 4)) if d.below(2) else whole


def _luhn(digits: str) -> str:
    total = 0
    for i, one in enumerate(reversed(digits)):
        value = int(one) * (2 if i % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)


def card(d: Draw) -> str:
    if d.below(5) == 0:
        plain = _luhn("37" + d.digits(12))
        return f"{plain[:4]} {plain[4:10]} {plain[10:]}"
    plain = _luhn(d.of(("4", "51", "55", "2221")) + d.digits(20))[:15]
    plain = _luhn(plain)
    return d.of(
        (plain, " ".join(plain[i : i + 4] for i in (0, 4, 8, 12)), "-".join(plain[i : i + 4] for i in (0, 4, 8, 12)))
    )


def _dni(d: Draw) -> str:
    digits = d.digits(8)
    return digits + "TRWAGMYFPDXBNJZSQVHLCKE"[int(digits) % 23]


def _cpf(d: Draw) -> str:
    digits = d.digits(9)
    for _ in range(2):
        total = sum(int(one) * weight for one, weight in zip(digits, range(len(digits) + 1, 1, -1), strict=True))
        digits += str(-total % 11 % 10)
    return f"{digits[:3]}.{digits[3:6]}.{digits[6:9]}-{digits[9:]}"


def _nir(d: Draw) -> str:
    digits = d.of("12") + f"{d.below(100):02d}{d.below(12) + 1:02d}{d.below(89) + 1:02d}" + d.digits(6)
    key = f"{97 - int(digits) % 97:02d}"
    parts = (digits[0], digits[1:3], digits[3:5], digits[5:7], digits[7:10], digits[10:], key)
    return " ".join(parts) if d.below(2) else "".join(parts)


def _ahv(d: Draw) -> str:
    digits = "756" + d.digits(9)
    total = sum(int(one) * (3 if i % 2 else 1) for i, one in enumerate(digits))
    digits += str(-total % 10)
    return f"{digits[:3]}.{digits[3:7]}.{digits[7:11]}.{digits[11:]}"


def _pesel(d: Draw) -> str:
    digits = f"{d.below(40) + 55:02d}{d.below(12) + 1:02d}{d.below(28) + 1:02d}{d.digits(4)}"
    total = sum(int(one) * weight for one, weight in zip(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3), strict=True))
    return f"{digits}{-total % 10}"


def _nino(d: Draw) -> str:
    return f"{d.of(('AB', 'CE', 'JK', 'PT', 'SX'))} {d.digits(2)} {d.digits(2)} {d.digits(2)} {d.of('ABCD')}"


def _ssn(d: Draw) -> str:
    return f"{d.of(('212', '403', '511', '618', '329'))}-{d.below(89) + 10}-{d.below(8999) + 1000}"


def national_id(d: Draw) -> str:
    return d.of((_dni, _cpf, _nir, _ahv, _pesel, _nino, _ssn))(d)


def tax_id(d: Draw) -> str:
    return d.of((f"{d.digits(2, first='123456789')} {d.digits(3)} {d.digits(3)} {d.digits(3)}",
                 d.digits(11, first="123456789"), f"{d.digits(2)}/{d.digits(3)}/{d.digits(5)}",
                 f"9{d.digits(2)}-7{d.digits(1)}-{d.digits(4)}", d.digits(10, first="123456789")))  # fmt: skip


def passport(d: Draw) -> str:
    return d.of((f"C{d.digits(2)}X{d.digits(2)}T{d.digits(2)}", d.digits(9, first="123456789"), f"{d.letters(2)}{d.digits(7)}",
                 f"{d.letters(1)}{d.digits(8)}", f"{d.digits(2)}{d.letters(2)}{d.digits(5)}"))  # fmt: skip


def driving_licence(d: Draw) -> str:
    return d.of((f"{d.letters(5)}{d.digits(6)}{d.letters(2)}{d.digits(1)}{d.letters(2)}", f"{d.letters(1)}{d.digits(7)}",
                 f"{d.letters(1)}{d.digits(3)}-{d.digits(4)}-{d.digits(4)}", f"{d.letters(1)}{d.digits(2)}{d.letters(3)}{d.digits(3)}{d.digits(2)}"))  # fmt: skip


def health_id(d: Draw) -> str:
    return d.of((f"{d.digits(3, first='4567')} {d.digits(3)} {d.digits(4)}", f"{d.letters(1)}{d.digits(9)}", d.digits(8, first="123456789"),
                 f"1{d.letters(1)}{d.digits(1)}{d.digits(1)}-{d.letters(2)}{d.digits(1)}-{d.letters(2)}{d.digits(2)}"))  # fmt: skip


def bank_account(d: Draw) -> str:
    return d.of(
        (
            d.digits(8, first="123456789"),
            d.digits(10, first="123456789"),
            f"{d.digits(2)}-{d.digits(2)}-{d.digits(2)} {d.digits(8)}",
        )
    )


def birth_date(d: Draw) -> str:
    day, month, year = d.below(28) + 1, d.below(12) + 1, 1935 + d.below(70)
    name = d.of(("January", "March", "May", "June", "August", "October", "December", "Feb", "Sept", "Nov"))
    return d.of((f"{day:02d}.{month:02d}.{year}", f"{year}-{month:02d}-{day:02d}", f"{month}/{day}/{year}", f"{day} {name} {year}",
                 f"{name} {day}, {year}", f"{day:02d}/{month:02d}/{year % 100:02d}"))  # fmt: skip


def address(d: Draw) -> str:
    n, zip5 = d.below(180) + 1, d.digits(5, first="123456789")
    return d.of((
        f"{n} {d.of(('Oak', 'Station', 'King', 'Mill Pond', 'Church', 'Elm Park'))} {d.of(('Street', 'Road', 'Lane', 'Avenue', 'Drive', 'Close'))}",
        f"{n} {d.of(('Harbour', 'West', 'Victoria'))} Street, {d.of(('Leeds', 'Bath', 'York'))} LS{d.below(9) + 1} {d.digits(1)}AB",
        f"{n} {d.of(('Maple', 'Lincoln', 'Cedar'))} Ave., Apt {d.below(30) + 1}, {d.of(('Dayton', 'Salem'))}, {d.of(('OH', 'OR'))} {zip5}",
        f"{d.of(('Gartenstraße', 'Hauptstr.', 'Lindenweg', 'Marktplatz', 'Schillerallee'))} {n}, {zip5} {d.of(('Köln', 'Jena', 'Ulm'))}",
        f"{n} rue {d.of(('de la Paix', 'Victor Hugo', 'des Lilas'))}, {zip5} {d.of(('Lyon', 'Nantes'))}",
        f"Via {d.of(('Garibaldi', 'Dante'))} {n}", f"Calle de {d.of(('Alcalá', 'Toledo'))} {n}", f"P.O. Box {d.below(9000) + 100}",
        f"{d.of(('Kerkstraat', 'Dorpsstraat'))} {n}",
    ))  # fmt: skip


def ip_address(d: Draw) -> str:
    if d.below(4) == 0:
        return f"2001:db8:{d.letters(4, '0123456789abcdef')}::{d.letters(3, '123456789abcdef')}"
    return f"{d.of((81, 93, 185, 203, 46))}.{d.below(256)}.{d.below(256)}.{d.below(254) + 1}"


def licence_plate(d: Draw) -> str:
    return d.of((f"{d.of(('B', 'M', 'HH', 'KA'))}-{d.letters(2)} {d.digits(4, first='123456789')}", f"{d.letters(2)}{d.digits(2)} {d.letters(3)}",
                 f"{d.letters(2)}-{d.digits(3)}-{d.letters(2)}", f"{d.digits(1, first='123456789')}{d.letters(3)}{d.digits(3)}",
                 f"{d.letters(3)} {d.digits(4)}"))  # fmt: skip


def name(d: Draw) -> str:
    return d.of(NAMES)


def _mixed(d: Draw, n: int) -> str:
    return d.letters(n - 4, ALNUM) + d.digits(2) + d.letters(1, LOWER) + d.letters(1)


def aws_access_key(d: Draw) -> str:
    return d.of(("AKIA", "ASIA")) + d.letters(16, UPPER + "234567")


def private_key(d: Draw) -> str:
    kind = d.of(("RSA ", "EC ", "", "OPENSSH "))
    return f"-----BEGIN {kind}PRIVATE KEY-----"


def jwt(d: Draw) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
    body = base64.urlsafe_b64encode(f'{{"sub":"{d.digits(10)}"}}'.encode()).decode().rstrip("=")
    return f"{head}.{body}.{d.letters(43, ALNUM + '-_')}"


def github_token(d: Draw) -> str:
    return d.of(
        (
            f"ghp_{d.letters(36, ALNUM)}",
            f"gho_{d.letters(36, ALNUM)}",
            f"github_pat_{d.letters(22, ALNUM)}_{d.letters(59, ALNUM)}",
        )
    )


def slack_token(d: Draw) -> str:
    return d.of((f"xoxb-{d.digits(12)}-{d.digits(12)}-{d.letters(24, ALNUM)}", f"xoxp-{d.digits(11)}-{d.letters(30, ALNUM)}",
                 f"https://hooks.slack.com/services/T{d.letters(8)}/B{d.letters(8)}/{d.letters(24, ALNUM)}"))  # fmt: skip


def password(d: Draw) -> str:
    word = d.of(("Sommer", "tiger", "Falcon", "mixer", "Quartz"))
    return d.of(
        (
            f"{word}{d.digits(4)}",
            f"{word}!{d.digits(2)}",
            _mixed(d, 10),
            f"{word[:3]}$-{d.letters(4, ALNUM)}{d.digits(1)}x",
        )
    )


def connection_string(d: Draw) -> str:
    user, secret = d.of(("app", "svc_report", "root")), _mixed(d, 12)
    return d.of((f"postgres://{user}:{secret}@db{d.below(9)}.intern.example/payroll", f"mongodb+srv://{user}:{secret}@cluster.example.net",
                 f"Server=db{d.below(9)};Database=hr;User Id={user};Password={secret};", f"amqp://{user}:{secret}@10.2.0.{d.below(200)}:5672"))  # fmt: skip


def api_key(d: Draw) -> str:
    return d.of(
        (
            _mixed(d, 32),
            d.letters(40, "0123456789abcdef") + "7a",
            f"sk_live_{_mixed(d, 24)}",
            f"AIza{d.letters(33, ALNUM)}9x",
        )
    )


KINDS: dict[str, Callable[[Draw], str]] = {
    maker.__name__: maker
    for maker in (email, phone, iban, card, national_id, tax_id, passport, driving_licence, health_id, bank_account,
                  birth_date, address, ip_address, licence_plate, name, aws_access_key, private_key, jwt, github_token,
                  slack_token, password, connection_string, api_key)
}  # fmt: skip
SECRET_KINDS = (
    "aws_access_key",
    "private_key",
    "jwt",
    "github_token",
    "slack_token",
    "password",
    "connection_string",
    "api_key",
)
