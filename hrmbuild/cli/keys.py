"""`keys new` and `keys show`: what people sign with."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from hrmbuild.cli.output import JsonFlag, emit

KeyOption = Annotated[
    Path | None, typer.Option("--key", metavar="K", help="Private key to sign with (hrmbuild keys new).")
]


def register(app: typer.Typer) -> None:
    """Add this group."""
    group = typer.Typer(help="Keys to sign with: new, show.", no_args_is_help=True, rich_markup_mode=None)
    group.command("new", short_help="Make a pair of keys (EC P-256).")(new)
    group.command("show", short_help="Show the fingerprint of a key.")(show)
    app.add_typer(group, name="keys")


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key: ada gives ada.private.pem, ada.public.pem.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for both files.")] = Path("keys"),
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Encrypt it; HRMBUILD_KEY_PASSPHRASE, else asked for.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make a key (EC P-256): the private half readable by you alone, the public half to hand out."""
    from hrmbuild.pipelines.keys import make_key

    report = make_key(name, out=out, encrypt=passphrase, ask=ask_secret)
    lines = [
        f"private       {report.files.private}" + (" (encrypted)" if report.files.encrypted else ""),
        f"public        {report.files.public}",
        f"fingerprint   {report.files.fingerprint}",
        "",
        "who verifies adds this to a trust.yaml of their own, after comparing the fingerprint with you:",
        "",
        *report.trust_entry.splitlines(),
    ]
    emit(report, lines, as_json=as_json)


def show(
    path: Annotated[Path, typer.Argument(metavar="KEY", help="A public or private key file.")],
    as_json: JsonFlag = False,
) -> None:
    """The fingerprint of a key, to be compared by another way than the one it came."""
    from hrmbuild.pipelines.keys import show_key

    report = show_key(path, ask=ask_secret)
    emit(report, [f"fingerprint   {report.key.fingerprint}", report.key.pem.decode().rstrip()], as_json=as_json)


def ask_secret(question: str) -> str | None:
    """Ask on the terminal, without showing what is typed; None where nobody sits there."""
    return getpass.getpass(question, stream=sys.stderr) if sys.stdin.isatty() else None
