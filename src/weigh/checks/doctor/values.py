"""Whether the numbers in the tensors can be those of a trained model: NaN, infinite, constant, far out."""

import re
from collections import defaultdict
from statistics import median

from weigh.checks.doctor.directory import ModelDirectory
from weigh.checks.doctor.examination import Fault, counted
from weigh.checks.doctor.numbers import BLOCK, Numbers
from weigh.checks.results import CheckResult

FAR = 1000.0
"""How many times the typical size of its tensor an element may have. The largest of a healthy transformer have some
hundred times the typical size, and deciding ones lie there (Yu et al. 2024, arXiv 2411.07191); a flipped bit of the
exponent multiplies by 256 at least wherever it shows."""
UNLIKE = 32.0
"""How many times the size of its like in the other layers a matrix may have, or a share of it."""

_ADDS_ONE = ("gemma", "recurrent_gemma", "nemotron", "qwen3_next", "qwen3_5")
"""Families whose norms multiply by 1 + weight, so that a weight of 0 changes nothing."""


def not_a_number(home: ModelDirectory) -> CheckResult:
    """Not a number: tensors with a NaN or an infinite element, which spreads to every token."""
    found = home.numbers
    faults = [
        Fault(each.tensor.storage, name, f"{each.nan:,} NaN, {each.infinite:,} infinite", "finite")
        for name, each in found.items()
        if each.nan or each.infinite
    ]
    return counted(
        "tensors with NaN or infinite elements",
        faults,
        "one is enough to make every logit NaN; take an earlier checkpoint, or cast from a wider format",
        cost={"elements": sum(each.tensor.numel for each in found.values())},
    )


def constant_tensors(home: ModelDirectory) -> CheckResult:
    """Constant tensors: matrices of one value or with a hole of zeros, and norms that multiply by zero.

    Norms begin at one and biases at zero, so that a constant vector is no fault but there. Rows of zeros in an
    embedding belong to no token. Scales of quantized matrices may be equal.
    """
    scales = {name for group in home.contents.groups for names in group.side.values() for name in names}
    found = {name: each for name, each in home.numbers.items() if name not in scales}
    kind = str(home.config.get("model_type")) if home.holds("config.json") else ""
    faults = []
    for name, each in found.items():
        one_value = each.tensor.numel > 1 and each.lowest == each.highest
        is_norm = re.fullmatch(r".*(norm|ln)[^.]*\.weight", name, re.IGNORECASE)
        if one_value and each.is_matrix:
            faults.append(Fault(each.tensor.storage, name, f"{each.lowest:g} in all elements", "trained"))
        elif one_value and is_norm and not each.lowest and not kind.startswith(_ADDS_ONE):
            faults.append(Fault(each.tensor.storage, name, "0 in all elements", "about 1"))
        elif each.holes and each.is_matrix and not re.search(r"embed|wte|wpe|shared|head|token", name):
            what = f"{each.holes:,} blocks of {BLOCK:,} zeros in a row"
            faults.append(Fault(each.tensor.storage, name, what, "trained"))
    return counted(
        "tensors that are constant, or have holes",
        faults,
        "nothing passes through a matrix of zeros: it was never trained, never loaded, or never downloaded; fetch it "
        "again, or train it",
        cost={"tensors": len(found)},
    )


def outliers(home: ModelDirectory) -> CheckResult:
    """Outliers: elements far beyond the rest of their tensor, and matrices unlike the same one in other layers."""
    found = home.numbers
    faults = [
        Fault(
            each.tensor.storage,
            name,
            f"an element of {each.largest:.4g}, {each.largest / each.typical:.3g} times the typical",
            f"at most {FAR:,.0f} times",
        )
        for name, each in found.items()
        if each.typical and each.largest > FAR * each.typical
    ]
    like: dict[tuple[str, tuple[int, ...]], dict[str, Numbers]] = defaultdict(dict)
    for name, each in found.items():
        if each.is_matrix and each.typical and not each.nan:
            like[re.sub(r"\d+", "#", name), each.tensor.shape][name] = each
    for group in like.values():
        if len(group) < 3:
            continue
        for name, each in group.items():
            usual = median(other.typical for other in group.values() if other is not each)
            if not usual / UNLIKE < each.typical < usual * UNLIKE:
                size = f"of typical size {each.typical:.3g}"
                faults.append(Fault(each.tensor.storage, name, size, f"about {usual:.3g}, as in the other layers"))
    return counted(
        "tensors with outliers",
        faults,
        "a flipped bit, a wrong scale or a failed cast; compare the file's digest with the publisher's",
        cost={"tensors": len(found)},
    )
