"""What goes between Python and Arrow by its buffers comes out as it went in, in slices and without pandas."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa

from hrmbuild.records.arrays import arrow_numbers, arrow_texts, arrow_truths, numbers_of, truths_of


def test_numbers_and_truths_go_both_ways() -> None:
    numbers = np.arange(30, dtype=np.int64)[::3]
    truths = numbers % 2 == 0
    arrays = arrow_numbers(numbers), arrow_truths(truths)
    assert [array.to_pylist() for array in arrays] == [numbers.tolist(), truths.tolist()]
    chunks = [pa.chunked_array([array[:3], array[3:3], array[3:]]) for array in arrays]
    assert (numbers_of(chunks[0]) == numbers).all() and (truths_of(chunks[1]) == truths).all()
    assert numbers_of(arrays[0][4:7]).tolist() == numbers[4:7].tolist()
    assert truths_of(arrays[1][3:10]).tolist() == truths[3:10].tolist()


def test_nothing_is_nothing() -> None:
    assert arrow_texts([]).to_pylist() == [] and arrow_texts(["a", "", "né"]).to_pylist() == ["a", "", "né"]
    assert len(numbers_of(pa.chunked_array([], pa.int64()))) == len(truths_of(pa.chunked_array([], pa.bool_()))) == 0
    assert len(numbers_of(arrow_numbers(np.zeros(0, dtype=np.int64)))) == 0


def test_pandas_is_not_loaded() -> None:
    code = (
        "import sys, numpy as np, hrmbuild.records.arrays as a; a.numbers_of(a.arrow_numbers(np.arange(3))); "
        "a.truths_of(a.arrow_truths(np.ones(3, dtype=bool))); a.arrow_texts(['a']); assert 'pandas' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
