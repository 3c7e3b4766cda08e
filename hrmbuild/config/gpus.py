"""Types of GPU: matrix peak, memory, power, price; and which type a device's name means.

Owns the table that plans, shares of the matrix peak and costs are made of. It must not ask a device anything (the
caller knows the name that torch reports) and must not import torch. Peaks are the makers' figures for dense bf16
products with fp32 accumulation: half of the figure "with sparsity" that data sheets print. Memory is what a driver
reports, a little below the name on the box. Power is the board's limit. Prices are round figures for one GPU rented by
the hour, as published price lists of May 2026 had them (H100: the $2 of arXiv 2605.20613); they differ by a factor of
three between providers, so `hardware.usd_per_hour` in `hrmbuild.yaml` is the one to trust.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace

from hrmbuild.config.project import HardwareConfig
from hrmbuild.errors import UsageError

PRICES_OF = "2026-05"
"""Month of the published prices behind `usd_per_hour`."""


@dataclass(frozen=True)
class GpuType:
    """One row of the table; for a CPU everything that depends on the machine is unknown."""

    name: str
    """The word after `--gpu-type`."""
    peak_tflops: float | None
    """Dense bf16 matrix peak, 10^12 operations a second; None: unknown, so no share of a peak can be told."""
    memory_gib: float | None
    """What one device holds, as its driver reports it; None: unknown."""
    power_w: float | None
    """Power limit of the board."""
    usd_per_hour: float | None
    """Price of one device for an hour; None: unknown."""
    patterns: tuple[str, ...] = ()
    """Regular expressions over the name that torch reports, lower case."""

    @property
    def is_cpu(self) -> bool:
        """Whether this is the machine's processor."""
        return self.name == "CPU"


_TABLE = (
    GpuType("A100-40", 312, 39.4, 400, 1.0, (r"a100.*40gb", r"a100-pg509")),
    GpuType("A100-80", 312, 79.2, 400, 1.4, (r"a100", r"a800")),
    GpuType("A30", 165, 23.6, 165, 0.6, (r"\ba30\b",)),
    GpuType("A40", 149.7, 44.4, 300, 0.6, (r"\ba40\b",)),
    GpuType("A10", 125, 22.1, 150, 0.75, (r"\ba10\b",)),
    GpuType("A10G", 70, 22.1, 300, 1.0, (r"\ba10g\b",)),
    GpuType("L4", 121, 22.0, 72, 0.7, (r"\bl4\b",)),
    GpuType("L40S", 362, 44.4, 350, 1.0, (r"\bl40s\b",)),
    GpuType("L40", 181, 44.4, 300, 0.9, (r"\bl40\b",)),
    GpuType("H100-PCIe", 756, 79.2, 350, 2.0, (r"h100.*pcie",)),
    GpuType("H100-NVL", 835, 93.1, 400, 2.2, (r"h100.*nvl",)),
    GpuType("H100", 989.4, 79.2, 700, 2.0, (r"h100", r"h800")),
    GpuType("GH200", 989.4, 94.5, 900, 2.0, (r"gh200",)),
    GpuType("H200-NVL", 835, 139.8, 600, 3.3, (r"h200.*nvl",)),
    GpuType("H200", 989.4, 139.8, 700, 3.5, (r"h200",)),
    GpuType("GB200", 2500, 184.0, 1200, 6.0, (r"gb200",)),
    GpuType("B200", 2250, 178.4, 1000, 5.0, (r"b200",)),
    GpuType("B300", 2250, 268.0, 1400, 6.0, (r"b300",)),
    GpuType("RTX-6000-Ada", 364.2, 47.5, 300, 0.8, (r"rtx 6000 ada",)),
    GpuType("RTX-A6000", 154.8, 47.5, 300, 0.5, (r"rtx a6000",)),
    GpuType("RTX-3090", 71, 23.6, 350, 0.25, (r"rtx 3090",)),
    GpuType("RTX-4090", 165.2, 23.5, 450, 0.45, (r"rtx 4090",)),
    GpuType("RTX-5090", 209.5, 31.4, 575, 0.8, (r"rtx 5090",)),
    GpuType("CPU", None, None, None, None, (r"^cpu$",)),
)

GPU_TYPES: dict[str, GpuType] = {gpu.name: gpu for gpu in _TABLE}
"""By name. Where patterns overlap, the earlier row wins."""

_ALIASES = {"A100": "A100-80", "H100-SXM": "H100", "4090": "RTX-4090", "5090": "RTX-5090", "3090": "RTX-3090"}


def gpu_type(name: str) -> GpuType:
    """The row with this name, whatever its case.

    Raises:
        UsageError: `hardware.unknown_gpu`, naming the nearest.
    """
    wanted = name.strip().upper().replace(" ", "-").replace("_", "-")
    known = {key.upper(): value for key, value in GPU_TYPES.items()}
    known |= {alias: GPU_TYPES[key] for alias, key in _ALIASES.items()}
    if wanted in known:
        return known[wanted]
    nearest = difflib.get_close_matches(wanted, known, n=1)
    raise UsageError(
        "hardware.unknown_gpu",
        f"{name!r} is no GPU type of the table",
        fix=(f"did you mean {known[nearest[0]].name!r}? " if nearest else "")
        + f"The table has: {', '.join(GPU_TYPES)}; take the nearest and correct it under hardware in hrmbuild.yaml",
    )


def gpu_of_device(device_name: str) -> GpuType | None:
    """The type that torch's name of a device means (`NVIDIA H100 80GB HBM3`, `cpu`); None: not in the table.

    A MIG slice is no such device: what it can do depends on how the GPU was cut.
    """
    lowered = device_name.lower()
    if " mig " in lowered:
        return None
    return next((gpu for gpu in _TABLE if any(re.search(pattern, lowered) for pattern in gpu.patterns)), None)


def hardware_for(device_name: str | None, settings: HardwareConfig | None) -> GpuType:
    """What to compute peaks, watts and prices with: the named or found row, with the settings over it.

    Args:
        device_name: as torch reports it, or `cpu`; None: only the settings say what it is (H100 where they don't).
        settings: `hardware` of `hrmbuild.yaml`. Its `gpu` wins over the device's name, except that a CPU stays one.

    A device that neither names is a row of unknowns under its own name.
    """
    asked = gpu_type(settings.gpu) if settings is not None and settings.gpu is not None else None
    found = None if device_name is None else gpu_of_device(device_name)
    if found is not None and found.is_cpu:
        row = found
    else:
        unknown = GpuType(device_name, None, None, None, None) if device_name is not None else GPU_TYPES["H100"]
        row = asked or found or unknown
    applies = settings is not None and (asked is None or asked.name == row.name)
    return with_settings(row, settings) if applies else row


def with_settings(row: GpuType, settings: HardwareConfig | None) -> GpuType:
    """The row with what the settings say over it."""
    if settings is None:
        return row
    given = {
        "peak_tflops": settings.peak_tflops,
        "memory_gib": settings.memory_gib,
        "power_w": settings.power_w,
        "usd_per_hour": settings.usd_per_hour,
    }
    return replace(row, **{key: value for key, value in given.items() if value is not None})
