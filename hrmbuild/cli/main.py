"""The `hrmbuild` command: its table of subcommands, and the one place where errors become messages and exit statuses.

Owns dispatch and reporting of failures. It must not import torch, duckdb or polars: commands do that inside.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from hrmbuild import __version__
from hrmbuild.cli import (
    ask,
    audit,
    corpus,
    decisions,
    evaluate,
    explain,
    keys,
    model,
    plan,
    project,
    review,
    rules,
    serve,
    status,
    withdraw,
)
from hrmbuild.cli.output import print_json, write_every_letter
from hrmbuild.errors import HrmbuildError, InputError, UsageError

BUG_STATUS = 70
_UNUSABLE = frozenset({
    errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOSPC, errno.ENOTDIR,
    errno.EPERM, errno.EROFS,
})  # fmt: skip
_UNNAMED = {errno.ENOENT: "the folder that you are in", errno.ENOSPC: "stdout"}

app = typer.Typer(
    name="hrmbuild",
    help="Rules, memos and tables in; a verified HRM-Text model, trained from scratch, out.",
    no_args_is_help=False,
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
project.register(app)
corpus.register(app)
audit.register(app)
decisions.register(app)
withdraw.register(app)
keys.register(app)
model.register(app)
ask.register(app)
serve.register(app)
evaluate.register(app)
plan.register(app)
review.register(app)
status.register(app)
rules.register(app)
explain.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def overview(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Without a command: shows each stage of the project as fresh, stale or missing, and the next command."""
    if context.invoked_subcommand is None:
        project.show_stages(as_json=as_json)
    elif as_json:
        raise UsageError("usage.arguments", "--json stands before the command", where="hrmbuild --json",
                         fix=f"write it after the command: hrmbuild {context.invoked_subcommand} --json")  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run one command line and return its exit status; never raises for a user's mistake."""
    as_json = "--json" in arguments
    try:
        status = app(args=arguments, standalone_mode=False, prog_name="hrmbuild", obj=list(arguments))
    except HrmbuildError as error:
        if not error.quiet:
            _report(error.as_dict(), text=str(error), as_json=as_json)
        return error.exit_status
    except TyperException as error:
        return _usage_error(error, as_json=as_json)
    except KeyboardInterrupt:
        interrupted = "interrupted; what was reported done is kept, run the same command again to go on"
        _report({"code": "interrupted", "what": interrupted}, text=interrupted, as_json=as_json)
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`| head`): that is its right, and stdout must not complain at exit.
        sys.stdout = sys.stderr
        return 1
    except (OSError, RuntimeError) as error:
        return _unusable_path(error, as_json=as_json) or _report_bug(as_json=as_json)
    except Exception:  # noqa: BLE001 - the contract: any other error is our bug, reported as such with status 70
        return _report_bug(as_json=as_json)
    return int(status or 0)


def _unusable_path(error: OSError | RuntimeError, *, as_json: bool) -> int | None:
    """The exit status where the system refuses a path for what it is, wherever that was met; None for other errors."""
    number = error.errno if isinstance(error, OSError) else errno.ELOOP if "Symlink loop" in str(error) else None
    is_gone = isinstance(error, FileNotFoundError) and error.filename is None
    if number is None or not (number in _UNUSABLE or is_gone):
        return None
    where = str(getattr(error, "filename", None) or _UNNAMED.get(number, "a path"))
    told = InputError("path.unusable", f"the system refuses this path: {os.strerror(number)}", where=where[:300],
                      fix="check the path, its permissions and the room behind it, or name another")  # fmt: skip
    try:
        _report(told.as_dict(), text=str(told), as_json=as_json)
    except OSError:  # it was stdout itself: what is left in it must not complain at exit
        sys.stdout = sys.stderr
    return told.exit_status


def _usage_error(error: TyperException, *, as_json: bool) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "hrmbuild"
    what = error.format_message()
    fix = f"see: {command} --help"
    _report({"code": "usage.arguments", "what": what, "where": command, "fix": fix},
            text=f"{command}: {what}\n  {fix}", as_json=as_json)  # fmt: skip
    return 2


def _report_bug(*, as_json: bool) -> int:
    from hrmbuild.pipelines.masking import without_secrets

    trace = without_secrets(traceback.format_exc())
    with tempfile.NamedTemporaryFile("w", prefix="hrmbuild-bug-", suffix=".log", delete=False, encoding="utf-8") as log:
        log.write(trace)
    last = trace.strip().splitlines()[-1]
    fix = f"please report it with {Path(log.name)}"
    _report({"code": "internal.bug", "what": last, "where": log.name, "fix": fix},
            text=f"{trace}\nThis is a fault of hrmbuild, not yours: {fix}", as_json=as_json)  # fmt: skip
    return BUG_STATUS


def _report(error: dict[str, object], *, text: str, as_json: bool) -> None:
    """Whatever a message quotes (a line of a file, what was typed), no secret is repeated."""
    from hrmbuild.pipelines.masking import without_secrets

    if as_json:
        full = {"code": None, "what": None, "where": None, "why": None, "fix": None, "more": []} | error
        print_json({"error": _each_text(full, without_secrets)})
    print(f"error: {without_secrets(text)}", file=sys.stderr)


def _each_text(value: object, change: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _each_text(one, change) for key, one in value.items()}
    return [_each_text(one, change) for one in value] if isinstance(value, list) else value


def run() -> None:
    """Entry point of the installed script."""
    write_every_letter()
    sys.exit(main(sys.argv[1:]))
