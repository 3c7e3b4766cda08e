"""The sandbox in which templates become text: strict, without autoescape, blind to all but the values it is given.

Owns finding, rendering and hashing templates. It must not decide which template is used (the compilers draw that) and
must never compile text that came from a document: documents are values, templates are files of the project.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from jinja2 import BaseLoader, StrictUndefined, Template, TemplateError, TemplateNotFound
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hrmbuild.errors import ConfigError, raise_all
from hrmbuild.fingerprint import hash_value, sha256_hex

_SUFFIX = ".j2"


class _FolderText(BaseLoader):
    """Hands Jinja2 the texts that `Templates` found, so that no template can name a file outside its folders."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def get_source(self, environment: object, template: str) -> tuple[str, str | None, None]:
        if template not in self._texts:
            raise TemplateNotFound(template)
        return self._texts[template], None, None


class Templates:
    """All templates of some folders, by name (`tables/sum/mail_1.j2`).

    Args:
        folders: the project's own folder first, then the built-in one: the first that has a name wins. Everything is
            read here, once, so that a file changed during a run changes nothing and every hash is of what was used.
    """

    def __init__(self, folders: list[Path]) -> None:
        self._prepare(_read_folders(folders))

    def _prepare(self, texts: dict[str, str]) -> None:
        self._texts = texts
        self._sha256 = {name: sha256_hex(text.encode()) for name, text in self._texts.items()}
        # Asked for at every pair: a search through all names took a tenth of an ingest.
        self._wordings: dict[str, list[str]] = {}
        for name in sorted(self._texts):
            self._wordings.setdefault(name.rpartition("/")[0], []).append(name)
        self._environment = ImmutableSandboxedEnvironment(
            loader=_FolderText(self._texts), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._compiled: dict[str, Template] = {}

    def __getstate__(self) -> dict[str, str]:
        return self._texts  # another process compiles them again

    def __setstate__(self, texts: dict[str, str]) -> None:
        self._prepare(texts)

    def render(self, name: str, **values: object) -> str:
        """The text of one template. The last newline of its file does not count.

        Raises:
            ConfigError: no such template (`templates.missing`), a value that the template asks for is missing or the
                sandbox refuses what it does (`templates.refused`), or it cannot be parsed (`templates.syntax`).
        """
        template = self._template(name)
        try:
            return template.render(**values)
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise ConfigError(
                "templates.refused",
                f"the template cannot be rendered: {error}",
                where=f"templates/{name}{_line_of(error)}",
                fix=f"use only the values it is given: {', '.join(sorted(values))}",
            ) from error

    def _template(self, name: str) -> Template:
        if name not in self._texts:
            raise ConfigError(
                "templates.missing",
                f"there is no template {name}",
                where=f"templates/{name}",
                fix="add the file, or correct the name of the kind of question",
            )
        if name not in self._compiled:
            self._compiled[name] = self._compile(name)
        return self._compiled[name]

    def _compile(self, name: str) -> Template:
        try:
            return self._environment.get_template(name)
        except TemplateError as error:
            line = getattr(error, "lineno", None)
            raise ConfigError(
                "templates.syntax",
                f"the template cannot be parsed: {error.message}",
                where=f"templates/{name}" + (f":{line}" if line else ""),
                fix="correct the Jinja2 syntax",
            ) from error

    def parse(self, names: Iterable[str]) -> None:
        """Look whether templates can be parsed.

        Raises:
            ConfigError: `templates.syntax`, all of them at once.
        """
        problems: list[ConfigError] = []
        for name in names:
            try:
                self._template(name)
            except ConfigError as error:
                problems.append(error)
        raise_all(problems)

    def sha256(self, name: str) -> str:
        """SHA-256 of the template's bytes.

        Raises:
            ConfigError: no such template.
        """
        self._template(name)
        return self._sha256[name]

    def wordings(self, kind: str) -> list[str]:
        """Names of the wordings of a kind (`tables/sum` or `tables.sum`), sorted; empty when it has none."""
        return list(self._wordings.get(kind.replace(".", "/"), ()))

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._texts)

    def tree_sha256(self) -> str:
        """One hash over all names and texts: it changes when any template does."""
        return hash_value([[name, self._sha256[name]] for name in self.names()])


def _line_of(error: BaseException) -> str:
    """`:3` where the traceback has a line of the template; Jinja2 calls a template without a file by this name."""
    found, trace = "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            found = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _read_folders(folders: list[Path]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*" + _SUFFIX)):
            texts.setdefault(path.relative_to(folder).as_posix(), _read_template(path, folder))
    return texts


def _read_template(path: Path, folder: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ConfigError(
            "templates.encoding",
            "the template is not UTF-8",
            where=f"templates/{path.relative_to(folder).as_posix()}",
            fix="save it as UTF-8",
        ) from error
