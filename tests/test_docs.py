"""The README and the guides name only what exists: commands, flags, make targets, files and folders."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hrmbuild.cli.main import app

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "hrmbuild/README.md", "docs/engineer.md", "docs/compliance.md", "docs/auditor.md", "Makefile")
COMMANDS = (
    *("init", "doctor", "build", "ingest", "freeze", "plan", "train", "status", "ledger", "package", "verify"),
    *("ask", "serve", "eval", "rules", "templates", "audit", "canaries", "keys", "explain"),
    *("approve", "reject", "release", "rejections", "review", "withdraw", "hold", "due"),
)
TOP = "hrmbuild|templates|schemas|examples|docs|tests|\\.ci"


@functools.cache
def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@functools.cache
def help_of(command: str) -> str:
    outcome = CliRunner().invoke(app, [*command.split(), "--help"], prog_name="hrmbuild", catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    shown = outcome.stdout
    verbs = re.findall(r"^  ([a-z]+) ", shown.partition("Commands:")[2], re.M) if command else []
    return shown + "".join(help_of(f"{command} {verb}") for verb in verbs)


def typed_lines(page: str) -> list[str]:
    """Each `hrmbuild …` that a page shows, in a block or between backquotes, without what follows the command."""
    blocks = re.findall(r"^\s+(?:cd \S+ && )?(?:hrmbuild|\$\(HRMBUILD\))( .*)?$", text_of(page), re.M)
    inline = re.findall(r"`hrmbuild( [^`]*)?`", text_of(page))
    return [line.partition(" #")[0].strip() for line in [*blocks, *inline] if line]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_says_what_its_flags_do(command: str) -> None:
    shown = help_of(command)
    assert "Usage: hrmbuild " + command in shown
    flags = re.findall(r"^\s+(?:\[?-{1,2}[a-z-]+.*)$", shown, re.M)
    assert flags and all(len(line.split()) > 1 for line in flags)


def test_the_commands_are_exactly_those() -> None:
    table = help_of("").partition("Commands:")[2]
    assert set(re.findall(r"^  ([a-z]+) ", table, re.M)) == set(COMMANDS)
    assert "..." not in table + help_of("keys").partition("Commands:")[2]  # every line is whole


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_flag_on_a_page_exists(page: str) -> None:
    for line in typed_lines(page):
        words = line.split()
        command = words[0] if words and not words[0].startswith("-") else ""
        assert command in ("", *COMMANDS), f"{page}: hrmbuild {line}"
        for flag in re.findall(r"(?<!\S)--[a-z-]+", re.sub(r'"[^"]*"', "", line)):
            assert flag in help_of(command), f"{page}: hrmbuild {line}"


@pytest.mark.parametrize("page", PAGES[:-1])
def test_every_make_target_on_a_page_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.M))
    assert set(re.findall(r"(?:`|^    )make ([a-z-]+)", text_of(page), re.M)) <= targets


@pytest.mark.parametrize("page", [*PAGES, "docs/measured.md"])
def test_every_file_and_folder_of_ours_on_a_page_exists(page: str) -> None:
    base = (ROOT / page).parent
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text_of(page))]
    assert [link for link in links if not (base / link).exists()] == []
    named = re.findall(rf"(?<![\w/.-])((?:{TOP})/[\w./-]*\w)", text_of(page))
    places = {name: (ROOT / name, ROOT / "hrmbuild" / name) for name in named}
    generated = re.compile(r"^hrmbuild/_assets")
    assert [n for n, found in places.items() if not any(p.exists() for p in found) and not generated.match(n)] == []


def test_the_map_names_every_room_and_no_other() -> None:
    on_the_map = set(re.findall(r"^\| `(\w+)/`", text_of("hrmbuild/README.md"), re.M))
    rooms = {path.parent.name for path in (ROOT / "hrmbuild").glob("*/__init__.py")}
    assert on_the_map == rooms


def test_ci_calls_what_the_readme_promises() -> None:
    called = re.findall(r"^make ([a-z]+)$", text_of(".ci/run"), re.M)
    promised = re.findall(r"^    make ([a-z]+) ", text_of("README.md"), re.M)
    assert set(promised) <= set(called)
