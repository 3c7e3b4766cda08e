"""`python -m hrmbuild`: the same command as the installed script."""

from hrmbuild.cli.main import run

run()
