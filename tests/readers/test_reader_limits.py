"""Every limit on the reading of one file can be set, and a file above it is told which setting to raise."""

from __future__ import annotations

import io
import zipfile

import pytest
from office_files import docx, p
from pydantic import ValidationError

from hrmbuild import readers
from hrmbuild.config.limits import LimitsConfig
from hrmbuild.config.project import ProjectConfig, SourceConfig
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.readers.worker import ReaderWorker

SOURCE = SourceConfig(path="*", kind="rules")


def refusal(path, data, limits, *, guarded=False):
    """Why a file is refused under these limits, None where it is read."""
    path.write_bytes(data)
    format = readers.choose_format(path, data[:100], SOURCE)
    request = {"relative": path.name, "sha256": sha256_hex(data), "source": SOURCE, "format": format}
    worker = ReaderWorker(limits)
    try:
        worker.read(path, **request) if guarded else readers.read(path, limits=limits, **request)
    except InputError as error:
        return error.code, error.what
    finally:
        worker.close()
    return None


def a_pdf(n_pages):
    import pypdfium2 as pdfium

    document, written = pdfium.PdfDocument.new(), io.BytesIO()
    for _ in range(n_pages):
        document.new_page(100, 100)
    document.save(written)
    return written.getvalue()


def a_workbook(n_bytes):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>" + " " * n_bytes)
    return written.getvalue()


def test_a_file_above_a_size_names_the_setting_and_is_taken_when_it_is_raised(tmp_path):
    few, more = LimitsConfig(pages=2, unpacked_mib=1), LimitsConfig(pages=3, unpacked_mib=64)
    cases = (("a.pdf", a_pdf(3), "limits.pages"), ("a.xlsx", a_workbook(2 << 20), "limits.unpacked_mib"),
             ("a.docx", docx(p("Words. " * 200_000)), "limits.unpacked_mib"))  # fmt: skip
    for name, data, setting in cases:
        code, what = refusal(tmp_path / name, data, few)
        assert code == "read.too_large" and setting in what
        after = refusal(tmp_path / name, data, more)
        assert after is None or after[0] != "read.too_large", name


@pytest.mark.slow
def test_a_file_that_takes_too_long_or_too_much_memory_names_the_setting(tmp_path):
    long = docx("".join(p(f"Words {n}.", numbered=0) for n in range(150_000)))
    code, what = refusal(tmp_path / "a.docx", long, LimitsConfig(seconds_per_file=1.5), guarded=True)
    assert code == "read.too_slow" and "1.5 seconds (limits.seconds_per_file)" in what
    wide = docx("<w:p/>" * 6_000_000)
    code, what = refusal(tmp_path / "b.docx", wide, LimitsConfig(memory_mib=400), guarded=True)
    assert code == "read.too_large" and "400 MiB of memory (limits.memory_mib)" in what
    assert refusal(tmp_path / "b.docx", docx(p("Words.")), LimitsConfig(memory_mib=400), guarded=True) is None


def test_limits_are_bounded_and_absent_ones_are_no_part_of_the_settings():
    from hrmbuild.config.loading import canonical_settings

    config = ProjectConfig(name="a", sources=(SOURCE,))
    assert "limits" not in canonical_settings(config)
    assert "limits" in canonical_settings(config.model_copy(update={"limits": LimitsConfig()}))
    for wrong in ({"pages": 0}, {"memory_mib": 100}, {"seconds_per_file": 0}, {"unpacked_mib": -1}, {"page": 3}):
        with pytest.raises(ValidationError):
            LimitsConfig(**wrong)
