from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import weigh
from weigh import GB, TB, GiB, MiB, WeighError, errors, format_bytes
from weigh.units import parse_rate

POWERS = {
    False: {"bytes": 1, "byte": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15, "EB": 10**18},
    True: {"bytes": 1, "byte": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50, "EiB": 2**60},
}


@pytest.mark.parametrize(
    ("n", "decimal", "binary"),
    [
        (0, "0 bytes", "0 bytes"),
        (1, "1 byte", "1 byte"),
        (999, "999 bytes", "999 bytes"),
        (1_000, "1.000 kB", "1,000 bytes"),
        (999_999, "1.000 MB", "976.6 KiB"),
        (90_868_376, "90.87 MB", "86.66 MiB"),
        (2 * 6_738_415_616, "13.48 GB", "12.55 GiB"),
        (80 * GB, "80.00 GB", "74.51 GiB"),
        (80 * GiB, "85.90 GB", "80.00 GiB"),
        (-1_500_000, "-1.500 MB", "-1.431 MiB"),
    ],
)
def test_a_size_in_both_families_of_units(n: int, decimal: str, binary: str) -> None:
    assert format_bytes(n) == decimal
    assert format_bytes(n, binary=True) == binary


@given(st.integers(0, 10**21), st.booleans())
def test_what_is_printed_is_the_size_to_four_digits(n: int, binary: bool) -> None:
    number, unit = format_bytes(n, binary=binary).split()
    assert float(number.replace(",", "")) * POWERS[binary][unit] == pytest.approx(n, rel=5.01e-4)


@pytest.mark.parametrize("n", [1.5, True, "12"])
def test_a_fraction_of_a_byte_is_refused(n: object) -> None:
    with pytest.raises(TypeError):
        format_bytes(n)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "rate"),
    [("3.35TB/s", 3_350 * GB), ("3.35 TB", 3_350 * GB), (" 900 MiB /s ", 900 * MiB), ("1TB/s", TB)],
)
def test_a_rate_may_say_that_it_is_one(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["5", "5G/s", "5Gb/s", "5GB/h", "5GB/s/s", "/s", "", "0GB/s", "-1GB/s", "0.5 bytes/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(WeighError, match="rate"):
        parse_rate(text)


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "1", 2**63, 10**400])
def test_a_count_is_a_whole_number_that_a_file_could_have(number: Any) -> None:
    with pytest.raises(WeighError, match="batch: must be a whole number from 1, and below 2⁶³"):
        weigh.inference(weigh.params("models/quill"), batch=number)


def test_a_path_with_a_null_character_is_not_found() -> None:
    with pytest.raises(errors.NotFound, match="null character"):
        weigh.inspect("model\0.safetensors")
