"""The table of GPU types: names as torch reports them, and what the settings say over it."""

from __future__ import annotations

import pytest

from hrmbuild.config.gpus import GPU_TYPES, gpu_of_device, gpu_type, hardware_for
from hrmbuild.config.project import HardwareConfig
from hrmbuild.errors import UsageError

REPORTED = {
    "NVIDIA A100-SXM4-40GB": "A100-40",
    "NVIDIA A100-PCIE-40GB": "A100-40",
    "NVIDIA A100-SXM4-80GB": "A100-80",
    "NVIDIA A100 80GB PCIe": "A100-80",
    "NVIDIA A10": "A10",
    "NVIDIA A10G": "A10G",
    "NVIDIA L4": "L4",
    "NVIDIA L40": "L40",
    "NVIDIA L40S": "L40S",
    "NVIDIA H100 80GB HBM3": "H100",
    "NVIDIA H100 PCIe": "H100-PCIe",
    "NVIDIA H100 NVL": "H100-NVL",
    "NVIDIA GH200 480GB": "GH200",
    "NVIDIA H200": "H200",
    "NVIDIA H200 NVL": "H200-NVL",
    "NVIDIA B200": "B200",
    "NVIDIA GB200": "GB200",
    "NVIDIA GeForce RTX 4090": "RTX-4090",
    "NVIDIA GeForce RTX 5090": "RTX-5090",
    "NVIDIA RTX 6000 Ada Generation": "RTX-6000-Ada",
    "cpu": "CPU",
}


@pytest.mark.parametrize("reported", sorted(REPORTED))
def test_a_device_is_known_by_the_name_that_torch_reports(reported: str) -> None:
    found = gpu_of_device(reported)
    assert found is not None
    assert found.name == REPORTED[reported]


@pytest.mark.parametrize("reported", ["NVIDIA GeForce GTX 1080", "NVIDIA A100-SXM4-80GB MIG 3g.40gb"])
def test_a_device_outside_the_table_is_not_guessed(reported: str) -> None:
    assert gpu_of_device(reported) is None
    unknown = hardware_for(reported, None)
    assert (unknown.name, unknown.peak_tflops, unknown.usd_per_hour) == (reported, None, None)


def test_every_gpu_has_all_figures_and_a_name_of_its_own() -> None:
    for gpu in GPU_TYPES.values():
        figures = (gpu.peak_tflops, gpu.memory_gib, gpu.power_w, gpu.usd_per_hour)
        assert all(figure is None for figure in figures) if gpu.is_cpu else all(figure for figure in figures)


SPELLINGS = {"h100": "H100", "a100": "A100-80", "rtx 4090": "RTX-4090", "4090": "RTX-4090"}


@pytest.mark.parametrize(("typed", "name"), SPELLINGS.items())
def test_a_type_is_found_in_any_spelling(typed: str, name: str) -> None:
    assert gpu_type(typed).name == name


def test_a_misspelt_type_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        gpu_type("H1000")
    assert caught.value.code == "hardware.unknown_gpu"
    assert "'H100'" in (caught.value.fix or "")


def test_a_misspelt_type_in_the_settings_is_refused_where_it_stands() -> None:
    with pytest.raises(ValueError, match="did you mean 'L40S'"):
        HardwareConfig(gpu="L4OS")


def test_settings_stand_over_the_table() -> None:
    settings = HardwareConfig(usd_per_hour=1.5, peak_tflops=800, power_w=650, memory_gib=70)
    row = hardware_for("NVIDIA H100 80GB HBM3", settings)
    assert (row.name, row.usd_per_hour, row.peak_tflops, row.power_w, row.memory_gib) == ("H100", 1.5, 800, 650, 70)


def test_the_price_of_a_gpu_is_not_that_of_a_run_on_the_cpu() -> None:
    assert hardware_for("cpu", HardwareConfig(gpu="H100", usd_per_hour=2.0)).usd_per_hour is None
    assert hardware_for("cpu", HardwareConfig(usd_per_hour=0.3)).usd_per_hour == 0.3
    assert hardware_for("cpu", HardwareConfig(gpu="CPU", usd_per_hour=0.3)).usd_per_hour == 0.3


def test_without_a_device_and_settings_the_papers_gpu_is_meant() -> None:
    assert hardware_for(None, None).name == "H100"
    assert hardware_for(None, HardwareConfig(gpu="L40S")).name == "L40S"
