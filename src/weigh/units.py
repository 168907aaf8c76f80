"""Bytes for people: integers until they are printed, and two families of units that are never mixed.

A gigabyte (GB) is 10⁹ bytes and a gibibyte (GiB) is 2³⁰ bytes (IEC 80000-13). Disks, networks and file listings on a
hub count in GB; memory, and most tools that report it, counts in GiB, whatever they print. The gap is 7.4 %.
"""

import re
from fractions import Fraction

from weigh.errors import WeighError

kB, MB, GB, TB = 10**3, 10**6, 10**9, 10**12
KiB, MiB, GiB, TiB = 2**10, 2**20, 2**30, 2**40

_DECIMAL = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")
_BINARY = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def format_bytes(n: int, *, binary: bool = False) -> str:
    """A number of bytes as text, with four significant digits, in decimal units or in binary ones.

    Below one kilobyte (or kibibyte) the exact number of bytes is written.

    Args:
        n: A number of bytes, negative for a saving.
        binary: Use KiB, MiB, GiB (powers of 1,024) in place of kB, MB, GB (powers of 1,000).

    Raises:
        TypeError: If `n` is not an integer: a fraction of a byte is a mistake made earlier.

    Examples:
        >>> format_bytes(14_483_464_192), format_bytes(14_483_464_192, binary=True)
        ('14.48 GB', '13.49 GiB')
        >>> format_bytes(999), format_bytes(1_000)
        ('999 bytes', '1.000 kB')
    """
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"bytes are counted in whole numbers, not {n!r}")
    base, names = (1024, _BINARY) if binary else (1000, _DECIMAL)
    size, unit = abs(float(n)), 0
    while size >= base and unit < len(names) - 1:
        size, unit = size / base, unit + 1
    if unit == 0:
        return f"{n:,} {'byte' if abs(n) == 1 else 'bytes'}"
    text = _four_digits(size)
    if float(text.replace(",", "")) >= base and unit < len(names) - 1:  # 999,999 bytes are 1.000 MB, not 1,000 kB
        text, unit = _four_digits(1.0), unit + 1
    return f"{'-' if n < 0 else ''}{text} {names[unit]}"


def parse_bytes(text: str) -> int:
    """A number of bytes from text: `24GiB`, `80 GB`, `1.5 TB`, `512 bytes`.

    Args:
        text: A number and a unit. Both families of units are read, each as what it says.

    Raises:
        WeighError: If there is no unit, or one that does not say which family it is of, such as `G`, or if the size is
            not a whole number of bytes.

    Examples:
        >>> parse_bytes("24GiB"), parse_bytes("80 GB")
        (25769803776, 80000000000)
    """
    read = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text.replace(",", ""))
    powers = {name: base**i for base, names in ((1000, _DECIMAL), (1024, _BINARY)) for i, name in enumerate(names)}
    if not read or read[2] not in powers:
        raise WeighError(f"size {text!r:.40}", "needs a unit that says which, such as 24GiB or 80GB")
    size = Fraction(read[1]) * powers[read[2]]
    if size.denominator != 1:
        raise WeighError(f"size {text!r:.40}", "is not a whole number of bytes")
    return int(size)


def parse_rate(text: str) -> int:
    """A number of bytes a second from text: `3.35TB/s`, or `3.35TB`.

    Args:
        text: A size, as `parse_bytes` reads it, with or without `/s`.

    Raises:
        WeighError: If it is none, or nothing.

    Examples:
        >>> parse_rate("3.35TB/s") == parse_rate("3.35 TB")
        True
    """
    try:
        rate = parse_bytes(text.rstrip().removesuffix("/s"))
    except WeighError as error:
        raise WeighError(f"rate {text!r:.40}", error.problem) from None
    if not rate:
        raise WeighError(f"rate {text!r:.40}", "must be more than nothing")
    return rate


def positive(name: str, number: int) -> int:
    """A whole number from 1, as sizes and counts must be.

    Args:
        name: What to call it in an error.
        number: The number.

    Raises:
        WeighError: If it is not one.
    """
    if type(number) is not int or not 1 <= number < 2**63:
        raise WeighError(name, f"must be a whole number from 1, and below 2⁶³, not {number!r:.40}")
    return number


def _four_digits(size: float) -> str:
    whole = len(str(int(size)))
    return f"{size:,.{max(0, 4 - whole)}f}"
