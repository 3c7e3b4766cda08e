"""Zip archives of office documents and the XML in them, opened with the suspicion that they deserve.

Owns the limits: the central directory is added up before anything is inflated, an entry never gives more than it
declared, entities are not resolved, nothing is fetched, XML nests at most 256 deep (libxml2's own limit). It must not
write: nothing is ever extracted to disk, so a name such as `../x` is only a name.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import lxml.etree as etree

from hrmbuild.readers.result import SourceFile

MAX_ENTRIES = 5000

BROKEN_ZIP = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError, struct.error,
)  # fmt: skip
"""All that Python's zipfile raises on damaged or unusual archives."""
_OLE = b"\xd0\xcf\x11\xe0"


@dataclass(frozen=True)
class Archive:
    """An archive whose sizes were checked; parts are inflated one at a time."""

    file: SourceFile
    _archive: zipfile.ZipFile

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all entries, sorted."""
        return tuple(sorted(set(self._archive.namelist())))

    def read(self, name: str) -> bytes | None:
        """The bytes of an entry, None where there is none.

        Raises:
            InputError: `read.broken_archive`, `read.encrypted`, `read.too_large`.
        """
        if name not in self._archive.NameToInfo:
            return None
        info = self._archive.getinfo(name)
        if info.file_size > (most := self.file.limits.part_bytes):
            raise self.file.error("read.too_large", f"{name} has {info.file_size:,} bytes unpacked; at most {most:,} "
                                  "are read (a quarter of limits.unpacked_mib)",
                                  fix="raise limits.unpacked_mib, or split the document")  # fmt: skip
        if info.flag_bits & 1:
            raise self.file.error("read.encrypted", f"{name} in it is encrypted", fix="save it without a password")
        try:
            return self._archive.read(info)
        except BROKEN_ZIP as error:
            raise self.file.error("read.broken_archive", f"{name} in it cannot be unpacked: {error}",
                                  fix="open it in the program that wrote it and save it again") from None  # fmt: skip

    def xml(self, name: str) -> etree._Element | None:
        """The root of an XML entry, None where there is no such entry.

        Raises:
            InputError: as `read`; `read.broken_xml`, `read.xml_entities`.
        """
        data = self.read(name)
        return None if data is None else parse_xml(self.file, data, name)


def open_archive(file: SourceFile) -> Archive:
    """The archive of a file, refused where it is none, or would unpack to more than is bearable.

    Raises:
        InputError: `read.encrypted`, `read.broken_archive`, `read.too_large`.
    """
    if file.data.startswith(_OLE):
        raise file.error("read.encrypted", "the document is protected by a password, or is an old binary one renamed",
                         fix="save it again without a password, in the present format")  # fmt: skip
    try:
        archive = zipfile.ZipFile(io.BytesIO(file.data))
    except BROKEN_ZIP as error:
        raise file.error("read.broken_archive", f"the file is no readable zip archive: {error}",
                         fix="open it in the program that wrote it and save it again") from None  # fmt: skip
    n_bytes, n_entries = sum(info.file_size for info in archive.infolist()), len(archive.infolist())
    most = file.limits.unpacked_bytes
    if n_bytes > most or n_entries > MAX_ENTRIES:
        raise file.error(
            "read.too_large",
            f"unpacked it would be {n_bytes:,} bytes in {n_entries:,} entries; at most {most:,} "
            f"(limits.unpacked_mib) in {MAX_ENTRIES:,} are read",
            fix="raise limits.unpacked_mib, leave it out, or split it",
        )
    return Archive(file, archive)


def parse_xml(file: SourceFile, data: bytes, name: str) -> etree._Element:
    """The root of some XML without entities, networks or DTDs.

    Raises:
        InputError: `read.broken_xml`, `read.xml_entities`.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False,
                             huge_tree=False, remove_comments=True, remove_pis=True)  # fmt: skip
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        if "unknown error" in str(error):  # libxml2's word for having got no memory
            raise MemoryError from None
        raise file.error("read.broken_xml", f"{name} in it is no XML that can be read: {error}",
                         fix="open it in the program that wrote it and save it again") from None  # fmt: skip
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and next(iter(dtd.iterentities()), None) is not None:
        raise file.error(
            "read.xml_entities",
            f"{name} in it declares entities, which no office program does",
            why="entities can grow without end, or read other files",
            fix="leave the file out",
        )
    return root


def local_name(element: etree._Element) -> str:
    """The name of an element without its namespace; empty for what is no element."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: etree._Element | None, name: str) -> str | None:
    """An attribute by its name without a namespace."""
    if element is None:
        return None
    for key, value in element.attrib.items():
        if str(key).rpartition("}")[2] == name:
            return str(value)
    return None


def child(element: etree._Element | None, *path: str) -> etree._Element | None:
    """The first descendant along a path of names without namespaces."""
    for name in path:
        element = next((one for one in children(element) if local_name(one) == name), None)
    return element


def children(element: etree._Element | None) -> Iterator[etree._Element]:
    """The child elements, none of nothing."""
    yield from () if element is None else (one for one in element if isinstance(one.tag, str))
