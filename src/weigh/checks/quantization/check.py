"""Checks of quantization: is the file smaller, are the weights still there, and are the answers still the same?"""

import os
from typing import Any

from weigh.checks.quantization.outputs import confidence_shift, failed_probes, flipped_answers, lost_accuracy
from weigh.checks.quantization.weights import (
    left_unquantized,
    lost_channels,
    quantized_weights,
    stored_bits,
    weight_error,
)
from weigh.checks.results import CheckReport, CheckResult
from weigh.checks.tables import subject
from weigh.errors import InvalidSetting

Path = str | os.PathLike[str]


def check_quantization(
    weights: tuple[Path, Path] | None = None,
    outputs: Any = None,
    *,
    before: str = "before",
    after: str = "after",
    label: str | None = None,
    before_confidence: str | None = None,
    after_confidence: str | None = None,
    probe: str | None = None,
    flips: float = 0.01,
) -> CheckReport:
    """All checks of a quantized model: of its weights against those before, of its outputs, or of both.

    Args:
        weights: The files or directories of the model before and after.
        outputs: A table with a row for each question that both were asked: a path or a frame, CSV, Parquet, Arrow,
            pandas, Polars, DuckDB.
        before: Its column of answers before: classes, tokens or texts.
        after: Its column of answers after.
        label: Its column of right answers. With it, accuracy is compared.
        before_confidence: Its column of the probability of the answer before. With it, `after_confidence` and `label`,
            calibration is compared.
        after_confidence: The same after.
        probe: Its column of answers that are required, empty in rows that are no probes.
        flips: The largest share of flipped answers that passes.

    Raises:
        InvalidSetting: If it is not clear what to compare.
        WeighError: What `quantized_weights` raises of files, and `InvalidTable` of a table.
    """
    results: list[CheckResult] = []
    confidences = [before_confidence, after_confidence]
    if outputs is None and (label or probe or any(confidences)):
        raise InvalidSetting("outputs", "columns are named and no table is given; name the table of outputs")
    if any(confidences) and not (all(confidences) and label):
        raise InvalidSetting(
            "confidence", "calibration needs both columns of confidences and the label; name all three"
        )
    if not 0 <= flips <= 1:
        raise InvalidSetting("flips", "is a share from 0 to 1")
    if weights is not None:
        compared = quantized_weights(*weights)
        results += [stored_bits(compared), left_unquantized(compared), weight_error(compared), lost_channels(compared)]
    if outputs is not None:
        results.append(flipped_answers(outputs, before, after, threshold=flips))
        if label:
            results.append(lost_accuracy(outputs, label, before, after))
        if label and before_confidence and after_confidence:
            results.append(confidence_shift(outputs, label, before_confidence, after_confidence, before, after))
        if probe:
            results.append(failed_probes(outputs, probe, before, after))
    if not results:
        raise InvalidSetting("quantization", "nothing to compare; give two models, a table of outputs, or both")
    subjects = [f"{weights[0]} → {weights[1]}"] if weights is not None else []
    subjects += [subject(outputs)] if outputs is not None else []
    return CheckReport("quantization", ", ".join(subjects), tuple(results))
