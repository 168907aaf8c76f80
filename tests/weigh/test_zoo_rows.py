"""The measurements that the page on optimizers shows, against what weigh says now. Whether they still hold is measured
in test_optimizers.py."""

import pytest
import torch

import weigh
from handbook.zoo.rows import DTYPES, read, write
from weigh.memory.optimizers import find
from weigh.tensors import Tensor

KEPT = read()


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_are_what_weigh_predicts(dtype: str, mixed_tensors: list[Tensor]) -> None:
    """To the byte, of each weight and of what they share."""
    wrong = {}
    for (name, row_dtype), row in KEPT.rows.items():
        if row_dtype == dtype:
            chosen = find(name)
            predicted = {tensor.name: size(chosen.of(tensor, dtype)) for tensor in mixed_tensors}
            total = size(chosen.kept(mixed_tensors, dtype, row.groups))
            if (predicted, total) != (row.of, row.total):
                wrong[name] = predicted, total, row
    assert not wrong


def test_every_optimizer_has_its_rows() -> None:
    """In both formats, of the versions that the entries say; else `make zoo`."""
    assert {(find(name).optimizer.key, dtype) for name, dtype in KEPT.rows} == {
        (key, dtype) for key in weigh.OPTIMIZERS for dtype in DTYPES
    }
    assert {find(name).optimizer.source for name, _ in KEPT.rows} <= {" ".join(each) for each in KEPT.versions.items()}


def test_rows_are_kept_as_they_are_written(tmp_path) -> None:
    write(KEPT, tmp_path / "rows.jsonl")
    assert read(tmp_path / "rows.jsonl") == KEPT


def size(kept) -> int:
    return sum(int(torch.Size(shape).numel() * weigh.DTYPES[dtype].bits / 8) for _, shape, dtype in kept)
