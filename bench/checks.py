"""Do the checks of a split hold a million rows?

Writes tables of 10⁴, 10⁵ and 10⁶ rows of numbers, words and gaps, and of 10⁴ and 10⁵ texts of which one in ten is a
near copy of another. Each is checked in a process of its own, beside the plain way of the library underneath: a join of
Polars, and datasketch called for each shingle as its documentation shows. Start-up is taken off: what a process needs
for a table of 100 rows. Goals: time grows no faster than n log n, and memory stays below 2 GiB.

    python bench/checks.py
"""

import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

import weigh

RUNS = 3
SMALL = 100
KEYS = ["whole", "tenths", "word"]
WORDS = sorted(set(Path("models/quill/held-out.txt").read_text("utf-8").lower().split()))


def rows(n: int, path: Path) -> None:
    """Rows of which about one in a hundred has a twin by chance, for there are a hundred times as many to be had."""
    random = np.random.default_rng(0)
    words = random.choice([*WORDS[:99], None], n)
    numbers = {"whole": random.integers(0, n, n), "tenths": random.integers(0, 10, n) / 10}
    pl.DataFrame({**numbers, "word": words, "part": parts(n)}).write_parquet(path)


def texts(n: int, path: Path) -> None:
    """Texts of 60 words; every tenth is the one before it with one word changed."""
    random = np.random.default_rng(0)
    lines: list[str] = []
    for number in range(n):
        words = lines[-1].split() if number % 10 == 9 else list(random.choice(WORDS, 60))
        words[random.integers(60)] = "grain"
        lines.append(" ".join(words))
    pl.DataFrame({"text": lines, "part": parts(n)}).write_parquet(path)


def parts(n: int) -> list[str]:
    """Which part each row belongs to: every fifth is a test row."""
    return np.where(np.arange(n) % 5 == 4, "test", "train").tolist()


def exact(path: str) -> float:
    """`weigh check splits`."""
    return weigh.exact_duplicates(path, "part").figure.value


def join(path: str) -> float:
    """Polars alone."""
    frame = pl.read_parquet(path)
    test, train = (frame.filter(pl.col("part") == part) for part in ("test", "train"))
    return test.join(train, on=KEYS, how="semi", nulls_equal=True).height / test.height


def near(path: str) -> float:
    """`weigh check splits --text`."""
    return weigh.near_duplicates(path, "part", "text").figure.value


def minhash(path: str) -> float:
    """datasketch alone, shingle by shingle. What its index finds is not confirmed on the texts."""
    from datasketch import MinHash, MinHashLSH

    def signature(text: str) -> MinHash:
        made = MinHash(num_perm=128)
        for start in range(len(text) - 4):
            made.update(text[start : start + 5].encode())
        return made

    frame = pl.read_parquet(path)
    index = MinHashLSH(threshold=0.8, num_perm=128)
    for number, text in enumerate(frame.filter(pl.col("part") == "train")["text"]):
        index.insert(number, signature(text))
    found = [bool(index.query(signature(text))) for text in frame.filter(pl.col("part") == "test")["text"]]
    return sum(found) / len(found)


QUESTIONS: list[tuple[str, Callable[[int, Path], None], list[int], list[Callable[[str], float]]]] = [
    ("exact duplicates of rows", rows, [10**4, 10**5, 10**6], [exact, join]),
    ("near duplicates of texts", texts, [10**4, 10**5], [near, minhash]),
]


def measure(way: Callable[[str], float], path: Path, runs: int) -> tuple[float, int, float]:
    """Seconds (median) and peak memory in bytes (largest) of a fresh process, and the share that it finds."""
    done = []
    for _ in range(runs):
        command = [sys.executable, __file__, way.__name__, str(path)]
        done.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    return median(each["seconds"] for each in done), max(each["peak"] for each in done), done[0]["share"]


def answer(way: str, path: str) -> None:
    """What a process does that is measured."""
    start = time.perf_counter()
    share = globals()[way](path)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": seconds, "peak": peak, "share": share}))


def main() -> None:
    for question, write, sizes, ways in QUESTIONS:
        print(f"\n{question}\n")
        print("| rows | way | found | seconds | ÷ the plain way | × for ten times the rows | n log n | peak memory |")
        print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        before: dict[str, float] = {}
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "rows.parquet"
            write(SMALL, path)
            start = {way: measure(way, path, RUNS)[0] for way in ways}
            for n in sizes:
                write(n, path)
                runs = RUNS if n < sizes[-1] else 1
                measured = {way: measure(way, path, runs) for way in ways}
                plain = max(measured[ways[-1]][0] - start[ways[-1]], 1e-3)
                for way, (seconds, peak, share) in measured.items():
                    own = max(seconds - start[way], 1e-3)
                    growth = f"{own / before[way.__name__]:.1f}" if way.__name__ in before else "–"
                    bound = f"{10 * math.log(n) / math.log(n / 10):.1f}" if way.__name__ in before else "–"
                    before[way.__name__] = own
                    said = (way.__doc__ or "").partition(".")[0]
                    print(f"| {n:,} | {said} | {share:.2%} | {own:.2f} | {own / plain:.2f} | {growth} | {bound} | "
                          f"{weigh.format_bytes(peak, binary=True)} |")  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) == 3:
        answer(*sys.argv[1:])
    else:
        main()
