"""What must be known of a workbook before a parser unpacks it: real sizes, no entities, no giant grids, hidden
things.

Owns the one pass over the zip archive and its sheets (XML through expat, which neither fetches nor recurses). Every
entry is inflated against a limit, so a zip bomb ends here; a sheet with a cell in its last corner would make a dense
parser allocate billions of cells, so extents are measured first. It must not read values. Source: ECMA-376 for the
names.
"""

from __future__ import annotations

import io
import posixpath
import re
import xml.parsers.expat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field

from hrmbuild.readers.archive import BROKEN_ZIP
from hrmbuild.readers.result import SourceFile

OLE_MAGIC = b"\xd0\xcf\x11\xe0"
"""First bytes of Microsoft's older container: an .xls, or any workbook under a password."""

MAX_ENTRIES = 5000
MAX_CELLS = 5_000_000
"""Of a sheet's rectangle, empty cells included."""


_CELL = re.compile(r"([A-Z]{1,3})(\d{1,7})$")


@dataclass(frozen=True)
class SheetFacts:
    """What a value parser does not tell of a sheet."""

    uncomputed: tuple[str, ...] = ()
    """Cells with a formula and no value."""
    hidden_rows: int = 0
    hidden_columns: int = 0


@dataclass(frozen=True)
class WorkbookFacts:
    """What stands in a workbook besides its cells."""

    sheets: dict[str, SheetFacts]
    """By name of the sheet."""
    unread: tuple[str, ...]
    """Sorts of things that are there and not read: `comments`, `charts` …"""


def inspect_workbook(file: SourceFile) -> WorkbookFacts:
    """Check a workbook's archive and look over its sheets.

    Raises:
        InputError: `read.encrypted`, `read.not_a_workbook`, `read.too_large`, `read.xml_entities`.
    """
    entries = unpacked_entries(file)
    try:
        names = _sheet_entries(entries)
        sheets = {name: _look_over(file, name, entries[entry]) for name, entry in names.items() if entry in entries}
    except xml.parsers.expat.ExpatError as error:
        raise file.error("read.not_a_workbook", f"the workbook's XML is broken: {error}",
                         fix="open it in a spreadsheet program and save it again") from None  # fmt: skip
    return WorkbookFacts(sheets, _unread(entries))


def unpacked_entries(file: SourceFile, *, keep: tuple[str, ...] = (".xml", ".rels", ".vml")) -> dict[str, bytes]:
    """The parts of a workbook's archive whose names end as `keep` says; the others are inflated, measured and empty.

    Raises:
        InputError: `read.encrypted`, `read.not_a_workbook`, `read.too_large`, `read.xml_entities`.
    """
    if file.data.startswith(OLE_MAGIC):
        raise file.error("read.encrypted", "the workbook is protected by a password, or is an old .xls renamed",
                         fix="save it without a password, or give it its own suffix")  # fmt: skip
    try:
        with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
            return _unpacked(file, archive, keep)
    except BROKEN_ZIP as error:
        raise file.error("read.not_a_workbook", f"the file is no readable archive of a workbook: {error}",
                         fix="open it in a spreadsheet program and save it again") from None  # fmt: skip


def _unpacked(file: SourceFile, archive: zipfile.ZipFile, keep: tuple[str, ...]) -> dict[str, bytes]:
    """All XML entries, inflated; others are inflated and dropped, for their size is what matters."""
    entries: dict[str, bytes] = {}
    total, most = 0, file.limits.unpacked_bytes
    infos = archive.infolist()
    if len(infos) > MAX_ENTRIES:
        raise file.error("read.too_large", f"the workbook holds {len(infos):,} parts", fix="leave it out")
    for info in infos:
        with archive.open(info) as entry:
            data = entry.read(most - total + 1)
        total += len(data)
        if total > most:
            raise file.error("read.too_large", f"the workbook unpacks to more than {most:,} bytes "
                             "(limits.unpacked_mib)",
                             why="a small file that unpacks to a huge one is made to exhaust memory",
                             fix="raise limits.unpacked_mib, or export its sheets as CSV")  # fmt: skip
        if info.filename.lower().endswith(keep):
            if not info.filename.lower().endswith(".bin"):
                _refuse_entities(file, info.filename, data)
            entries[info.filename.replace("\\", "/").lstrip("/")] = data
        else:
            entries[info.filename.lstrip("/")] = b""
    return entries


def _refuse_entities(file: SourceFile, name: str, data: bytes) -> None:
    """No spreadsheet program writes a document type; entities in one are an attack. UTF-16 would hide the words."""
    plain = data.replace(b"\0", b"")
    if b"<!DOCTYPE" in plain or b"<!ENTITY" in plain:
        raise file.error("read.xml_entities", f"{name} declares a document type or entities",
                         why="entities can expand without end or fetch other files", fix="leave it out")  # fmt: skip


def parse_xml(
    data: bytes,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None] | None = None,
    words: Callable[[str], None] | None = None,
) -> None:
    """Run handlers over XML, names without their namespace's prefix."""
    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: start(name.rpartition(":")[2], attributes)
    if end is not None:
        parser.EndElementHandler = lambda name: end(name.rpartition(":")[2])
    if words is not None:
        parser.CharacterDataHandler = words
    try:
        parser.Parse(data, True)
    except LookupError as error:  # an encoding that nobody knows
        raise xml.parsers.expat.ExpatError(f"{error}") from None


def _sheet_entries(entries: dict[str, bytes]) -> dict[str, str]:
    """Name of each sheet -> its entry in the archive."""
    root = next((name for name in sorted(entries) if re.fullmatch(r"(?i)xl/workbook\d*\.xml", name)), None)
    if root is None:
        return {}
    sheets: dict[str, str] = {}
    targets: dict[str, str] = {}

    def on_sheet(name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            ids = [value for key, value in attributes.items() if key.rpartition(":")[2] == "id" and ":" in key]
            sheets[attributes.get("name", "")] = ids[0] if ids else ""

    def on_relation(name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship":
            targets[attributes.get("Id", "")] = attributes.get("Target", "")

    parse_xml(entries[root], on_sheet)
    folder, base = posixpath.split(root)
    parse_xml(entries.get(f"{folder}/_rels/{base}.rels", b"<none/>"), on_relation)
    return {name: _joined(folder, targets.get(identifier, "")) for name, identifier in sheets.items()}


def _joined(folder: str, target: str) -> str:
    return target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))


@dataclass
class _SheetScan:
    """Handlers of one sheet: positions follow `r`, or count on where it is absent."""

    row: int = 0
    column: int = 0
    last_row: int = 0
    last_column: int = 0
    first_row: int = 1 << 30
    first_column: int = 1 << 30
    has_formula: bool = False
    in_value: bool = False
    has_value: bool = False
    uncomputed: list[str] = field(default_factory=list)
    hidden_rows: int = 0
    hidden_columns: int = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        if name == "c":
            self._cell(attributes)
        elif name == "row":
            reference = attributes.get("r", "")
            self.row = int(reference) if reference.isdecimal() and len(reference) < 8 else self.row + 1
            self.column = 0
            self.hidden_rows += attributes.get("hidden") in ("1", "true")
        elif name == "col":
            self.hidden_columns += attributes.get("hidden") in ("1", "true")
        elif name == "f":
            self.has_formula = True
        elif name in ("v", "is"):
            self.in_value = True

    def _cell(self, attributes: dict[str, str]) -> None:
        reference = _CELL.match(attributes.get("r", ""))
        self.column = column_number(reference.group(1)) if reference else self.column + 1
        self.row = int(reference.group(2)) if reference else self.row
        self.has_formula = self.in_value = False
        self.has_value = attributes.get("t") == "str"  # a formula whose text is empty was computed all the same
        self.last_row, self.last_column = max(self.last_row, self.row), max(self.last_column, self.column)
        self.first_row, self.first_column = min(self.first_row, self.row), min(self.first_column, self.column)

    def end(self, name: str) -> None:
        """An element ends."""
        if name in ("v", "is"):
            self.in_value = False
        elif name == "c" and self.has_formula and not self.has_value:
            self.uncomputed.append(f"{column_letters(self.column)}{self.row}")

    def words(self, text: str) -> None:
        """Text stands in an element."""
        self.has_value = self.has_value or self.in_value


def _look_over(file: SourceFile, name: str, data: bytes) -> SheetFacts:
    scan = _SheetScan()
    parse_xml(data, scan.start, scan.end, scan.words)
    check_extent(file, name, scan.last_row, scan.last_column)
    return SheetFacts(tuple(scan.uncomputed), scan.hidden_rows, scan.hidden_columns)


def check_extent(file: SourceFile, sheet: str, n_rows: int, n_columns: int) -> None:
    """Refuse a sheet whose rectangle a dense parser could not hold.

    Raises:
        InputError: `read.too_large`.
    """
    if n_rows * n_columns > MAX_CELLS:
        raise file.error(
            "read.too_large",
            f"sheet {sheet!r} reaches to row {n_rows:,} and column {n_columns:,}",
            why=f"that is a rectangle of {n_rows * n_columns:,} cells; at most {MAX_CELLS:,} are read",
            fix="delete the stray cells at its end, or export the sheet as CSV",
        )


_UNREAD = (
    ("comments", r"(?i)xl/(threaded)?comments"),
    ("charts", r"(?i)xl/charts/chart"),
    ("pictures", r"(?i)xl/media/"),
    ("macros", r"(?i)xl/vbaproject\.bin"),
    ("embedded files", r"(?i)xl/embeddings/"),
)


def _unread(entries: dict[str, bytes]) -> tuple[str, ...]:
    return tuple(sort for sort, pattern in _UNREAD if any(re.match(pattern, name) for name in entries))


def column_number(letters: str) -> int:
    """`A` -> 1, `AA` -> 27."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def column_letters(number: int) -> str:
    """1 -> `A`, 27 -> `AA`."""
    letters = ""
    while number > 0:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
