"""Settings of what the reading of one file may take: what is above them is quarantined, with the setting's name."""

from __future__ import annotations

from pydantic import Field

from hrmbuild.config.base import Settings


class LimitsConfig(Settings):
    """What one file may take. A damaged or purpose-made file must not hold up the others; a large honest one may need
    more than the defaults."""

    seconds_per_file: float = Field(default=60.0, ge=0.5, le=86400)
    """Time for reading it."""
    memory_mib: int = Field(default=2048, ge=256, le=1 << 20)
    """Memory of the process that reads it."""
    pages: int = Field(default=2000, ge=1, le=1_000_000)
    """Pages of a PDF."""
    unpacked_mib: int = Field(default=256, ge=1, le=1 << 20)
    """What a docx, odt, xlsx or ods may unpack to; one part of it may have a quarter of that."""

    @property
    def memory_bytes(self) -> int:
        """`memory_mib` in bytes."""
        return self.memory_mib << 20

    @property
    def unpacked_bytes(self) -> int:
        """`unpacked_mib` in bytes."""
        return self.unpacked_mib << 20

    @property
    def part_bytes(self) -> int:
        """Of one part of an archive: a tree of XML takes about ten times as much memory."""
        return self.unpacked_bytes // 4


DEFAULT_LIMITS = LimitsConfig()
READ_BEFORE = LimitsConfig(pages=1_000_000, unpacked_mib=1 << 20)
"""For a file that was read before, when its words are looked up: its sizes were bearable then. Time and memory bound it
still."""
