"""Executable rules: YAML with a key `ruleset` to a RuleSetFile, every problem with its line and column at once.

Owns reading and the messages. It must not parse expressions (`pairs` does), and it must not take other YAML for rules.
"""

from __future__ import annotations

from typing import Any

from hrmbuild.config.loading import validate_settings
from hrmbuild.config.yaml_lines import Path, Positioned
from hrmbuild.errors import ConfigError, HrmbuildError, InputError, raise_all
from hrmbuild.readers.decision_yaml import yaml_rules
from hrmbuild.readers.decoding import decode
from hrmbuild.readers.result import ReadResult, SourceFile, check_size
from hrmbuild.readers.spans import SourceText
from hrmbuild.readers.yaml_text import YamlText, YamlTextError, parse_yaml_text
from hrmbuild.records.document import RuleSetFile
from hrmbuild.records.ruleset import RuleSet

_MAX_BYTES = 1 << 20


def read_ruleset(file: SourceFile) -> ReadResult:
    """One RuleSetFile."""
    check_size(file, _MAX_BYTES)
    decoded = decode(file.data, where=file.relative)
    parsed = _parsed(file, decoded.text)
    if "decision_table" in parsed.value:
        return yaml_rules(file, parsed)
    positioned = Positioned(value=_typed(parsed.value), places=parsed.places)
    raise_all(_crossings(file, parsed))
    ruleset = _validated(file, positioned)
    source = SourceText(decoded.text)
    record = RuleSetFile(
        source_sha256=file.sha256,
        path=file.relative,
        ruleset=ruleset,
        locator=source.locator(*source.trimmed(0, len(source.text))),
    )
    return ReadResult([record], notes=decoded.notes)


def _parsed(file: SourceFile, text: str) -> YamlText:
    try:
        parsed = parse_yaml_text(text)
    except YamlTextError as error:
        where = f"{file.relative}:{error.line}:{error.column}"
        raise InputError(error.code, error.what, where=where, fix="mend the line named above") from None
    if not isinstance(parsed.value, dict) or not {"ruleset", "decision_table"} & set(parsed.value):
        raise file.error(
            "read.not_a_ruleset",
            "this YAML file holds no rule set: it has neither 'ruleset' nor 'decision_table' at its top",
            fix="begin it with 'ruleset: NAME' and list its facts and rules, or leave it out of the sources",
        )
    return parsed


def _typed(value: dict[str, Any]) -> dict[str, Any]:
    """Scalars are text; the format's number is the one that the model wants as an integer and will not convert."""
    return {**value, "format": 1} if value.get("format") == "1" else value


def _crossings(file: SourceFile, parsed: YamlText) -> list[InputError]:
    """What the model checks across keys, found here first because only here its place is known."""
    rules = parsed.value.get("rules")
    outcomes = parsed.value.get("outcomes") or []
    seen: dict[str, int] = {}
    problems: list[InputError] = []
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        if not isinstance(rule, dict):
            continue
        name, outcome = rule.get("id"), rule.get("then")
        if isinstance(name, str) and name in seen:
            what = f"the id {name!r} stands twice: rules {seen[name] + 1} and {index + 1}"
            problems.append(_problem(file, parsed, ("rules", index, "id"), what, "give each rule an id of its own"))
        if isinstance(name, str):
            seen.setdefault(name, index)
        if isinstance(outcomes, list) and outcomes and isinstance(outcome, str) and outcome not in outcomes:
            what = f"'then' is {outcome!r}, which is none of the outcomes"
            fix = f"the outcomes are: {', '.join(map(str, outcomes))}"
            problems.append(_problem(file, parsed, ("rules", index, "then"), what, fix))
    return problems


def _problem(file: SourceFile, parsed: YamlText, path: Path, what: str, fix: str) -> InputError:
    line, column = parsed.places[path]
    return InputError("read.bad_ruleset", what, where=f"{file.relative}:{line}:{column}", fix=fix)


def _validated(file: SourceFile, positioned: Positioned) -> RuleSet:
    try:
        return validate_settings(RuleSet, positioned, name=file.relative)
    except ConfigError as error:
        raise _as_input(error) from None


def _as_input(error: HrmbuildError) -> InputError:
    """A rule set is an input: same message, exit status and code of inputs."""
    code = "read.bad_ruleset" if error.code.startswith("config.") else error.code
    more = [_as_input(further) for further in error.more]
    return InputError(code, error.what, where=error.where, why=error.why, fix=error.fix, more=more)
