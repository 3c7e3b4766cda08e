"""The forms of keys, tokens and passwords.

Owns the patterns. A password is told from the words of a password policy by its letters: digits or signs among them; a
password that is a plain word is not found. It must not judge what follows from a find.
"""

from __future__ import annotations

import re

from hrmbuild.gates.detector import Detector

_PLACEHOLDER = re.compile(
    r"[*x.…•_-]+|<.*>|\{.*\}|\$\{?\w+\}?|%\w+%|\[.*\]|(?:your|my|the|example|changeme|placeholder)[\w-]*", re.I
)


def _is_password(text: str, start: int, end: int) -> bool:
    """Not a word of a policy and no placeholder: digits or signs stand among letters."""
    value = text[start:end].rstrip(".,;:!?)\"'")
    if len(value) < 6 or _PLACEHOLDER.fullmatch(value):
        return False
    digits = sum(one.isdigit() for one in value)
    signs = sum(not one.isalnum() and one not in "-'’/." for one in value)
    letters = sum(one.isalpha() for one in value)
    mixed = re.search(r"[a-z][A-Z]", value) is not None
    return letters >= 2 and (digits >= 1 or signs >= 1 or mixed) and not re.fullmatch(r"\d+\w{0,3}", value)


def _is_bare_password(text: str, start: int, end: int) -> bool:
    """Right behind the word, without a sign between them, only what looks drawn: digits, and signs or both cases."""
    value = text[start:end].rstrip(".,;:!?)\"'")
    signs = any(not one.isalnum() and one not in "-'’/." for one in value)
    both = value != value.lower() and value != value.upper()
    return _is_password(text, start, end) and any(one.isdigit() for one in value) and (signs or both)


def _is_random(text: str, start: int, end: int) -> bool:
    """Letters and digits without the shape of words: what a machine drew."""
    value = text[start:end]
    digits = sum(one.isdigit() for one in value)
    return digits >= 2 and sum(one.isalpha() for one in value) >= 4 and not _PLACEHOLDER.fullmatch(value)


SECRETS: tuple[Detector, ...] = (
    Detector("private_key", re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"), ("private key",)),
    Detector("jwt", re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"), ("eyj",)),
    Detector("aws_access_key", re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Za-z0-9])"),
             ("akia", "asia", "abia", "acca")),
    Detector("aws_secret_key", re.compile(
        r"aws.{0,20}?(?:secret|sk).{0,20}?[\s:=\"']+(?P<v>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])", re.I), ("aws",)),
    Detector("github_token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{22,})"),
             ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_")),
    Detector("gitlab_token", re.compile(r"\bglpat-[\w-]{20,}"), ("glpat-",)),
    Detector("slack_token", re.compile(
        r"\bxox[abeoprs]-[\w-]{10,}|\bxapp-\d-[\w-]{10,}|hooks\.slack\.com/services/T\w+/B\w+/\w+"),
             ("xox", "xapp-", "hooks.slack.com")),
    Detector("stripe_key", re.compile(r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}"), ("k_live_", "k_test_")),
    Detector("google_key", re.compile(r"\bAIza[\w-]{35}"), ("aiza",)),
    Detector("other_token", re.compile(
        r"\bnpm_[A-Za-z0-9]{36}|\bSG\.[\w-]{16,}\.[\w-]{16,}|\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{20,}|\bhf_[A-Za-z]{30,}|"
        r"\bpypi-[\w-]{40,}|\bAccountKey=[A-Za-z0-9+/=]{40,}|\bdop_v1_[0-9a-f]{64}"),
             ("npm_", "sg.", "sk-", "hf_", "pypi-", "accountkey", "dop_v1_")),
    Detector("connection_string", re.compile(
        r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{1,64}:(?P<v>[^\s/@<>{}$*]{3,128})@[\w.-]+", re.I), ("://",)),
    Detector("connection_string", re.compile(
        r"\b(?:server|data source|host|user id|uid)=[^;\n]{1,80};(?:[^;\n]{1,80};){0,6}?\s*(?:password|pwd)="
        r"(?P<v>[^;\s]{3,})", re.I), ("password=", "pwd=")),
    Detector("bearer_token", re.compile(r"\bbearer\s+(?P<v>[A-Za-z0-9._~+/-]{20,}=*)", re.I), ("bearer",), _is_random),
    Detector("api_key", re.compile(
        r"\b(?:api|secret|access|auth|client|signing|encryption|service|app|shared|private|license)?[ _-]?"
        r"(?:key|secret|token|credentials?)(?:[ _-]id)?\b[\"']?\s*(?::|=|=>|\bis\b|->)\s*[\"'`]?"
        r"(?P<v>[A-Za-z0-9+/_\-.~]{16,}={0,2})", re.I), ("key", "secret", "token", "credential"), _is_random),
    Detector("password", re.compile(
        r"\b(?:\w*pass(?:word|wd|phrase|code)|passwort|kennwort|pwd|pass|mot de passe|contraseña|wachtwoord|pin code)"
        r"\b[\"']?(?:\s+(?:for|of|to)\s+[\w .@/-]{1,30}?)?\s*(?::|=>?|->|\bis\b(?: now)?|\bist\b|\blautet\b|\best\b)\s*"
        r"[\"'`“„]?(?P<v>[^\s\"'`”“]{6,64})", re.I),
        ("pass", "kennwort", "pwd", "contrase", "wachtwoord", "pin code"), _is_password),
    Detector("password", re.compile(
        r"\b(?:password|passphrase|passwort|kennwort|pwd)\s+[\"'`]?(?P<v>[^\s\"'`]{6,64})", re.I),
        ("pass", "kennwort", "pwd"), _is_bare_password),
)  # fmt: skip
"""The most particular first."""

SECRET_KINDS: tuple[str, ...] = tuple(sorted({detector.kind for detector in SECRETS}))
