"""`weigh diff` against torch's own arithmetic on the tensors that were saved."""

import json
import math
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import weigh
from weigh.cli import main
from weigh.files.comparing import KINDS


def pair(tmp_path: Path, before: dict[str, Any], after: dict[str, Any]) -> weigh.Difference:
    torch.save(before, tmp_path / "before.pt")
    torch.save(after, tmp_path / "after.pt")
    return weigh.diff(tmp_path / "before.pt", tmp_path / "after.pt")


def test_every_kind_of_change(tmp_path: Path) -> None:
    same = torch.randn(3)
    found = pair(
        tmp_path,
        {"same": same, "gone": same + 1, "shape": torch.zeros(2, 3), "dtype": torch.ones(4), "value": torch.ones(2, 2)},
        {"same": same, "new": same + 2, "shape": torch.zeros(3, 2), "dtype": torch.ones(4).half(),
         "value": torch.tensor([[1.0, 1.0], [4.0, -3.0]])},
    )  # fmt: skip
    assert found.counts == dict.fromkeys(KINDS, 1) and found.equal == 1 and not found.same
    by_name = {change.name: change for change in found.changes}
    assert {name: change.kind for name, change in by_name.items()} == {
        "gone": "removed", "new": "added", "shape": "reshaped", "dtype": "retyped", "value": "changed",
    }  # fmt: skip
    assert by_name["dtype"].norm == 0
    value = by_name["value"]
    assert (value.norm, value.relative, value.largest, value.elements) == (5.0, 2.5, 4.0, 2)


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from(["float32", "bfloat16", "float64", "float16"]), st.data()
)
def test_the_norm_is_torchs(rows: int, columns: int, dtype: str, data: st.DataObject) -> None:
    import tempfile

    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**32)))
    before, after = (torch.randn(rows, columns, generator=generator).to(getattr(torch, dtype)) for _ in range(2))
    if data.draw(st.booleans()):
        before = before.t().contiguous().t()  # saved with strides
    with tempfile.TemporaryDirectory() as directory:
        (change,) = pair(Path(directory), {"w": before}, {"w": after}).changes
    gap = after.double() - before.double()
    assert change.norm == pytest.approx(float(gap.norm()))
    assert change.relative == pytest.approx(float(gap.norm() / before.double().norm()))
    assert change.largest == float(gap.abs().max())
    assert change.elements == int((gap != 0).sum())


def test_the_same_nan_is_no_change_and_a_new_one_is(tmp_path: Path) -> None:
    before, after = torch.tensor([math.nan, 1.0]), torch.tensor([math.nan, math.nan])
    assert pair(tmp_path, {"w": before}, {"w": before.clone()}).same
    (change,) = pair(tmp_path, {"w": before}, {"w": after}).changes
    assert change.elements == 1 and math.isnan(change.largest or 0)
    assert json.loads(json.dumps(pair(tmp_path, {"w": before}, {"w": after}).as_dict(), allow_nan=False))


def test_formats_of_fewer_bits_are_compared_by_their_bytes(tmp_path: Path) -> None:
    files = []
    for name, fill in (("a", 0), ("b", 0), ("c", 1)):
        path = tmp_path / f"{name}.safetensors"
        header = json.dumps({"w": {"dtype": "F4", "shape": [4], "data_offsets": [0, 2]}}).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + bytes([fill, fill]))
        files.append(path)
    assert weigh.diff(files[0], files[1]).same
    (change,) = weigh.diff(files[0], files[2]).changes
    assert (change.kind, change.norm) == ("changed", None)


def test_a_checkpoint_is_compared_with_the_model_that_came_of_it(tmp_path: Path) -> None:
    layer = torch.nn.Linear(3, 3)
    torch.save({"model": {f"module.{k}": v for k, v in layer.state_dict().items()}, "epoch": 3}, tmp_path / "last.pt")
    save_file(layer.state_dict(), tmp_path / "model.safetensors")
    found = weigh.diff(tmp_path / "last.pt", tmp_path / "model.safetensors")
    assert (found.equal, found.changes, found.metadata) == (2, (), {"epoch": (3, None)})
    assert "'model.module.'" in found.notes[0]


def test_a_tied_name_on_one_side_is_no_change(tmp_path: Path) -> None:
    shared = torch.randn(4, 2)
    found = pair(tmp_path, {"in": shared, "out": shared}, {"in": shared.clone()})
    assert found.same and "out is another name of in" in found.notes[0]


def test_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return open, ("executed", "w")

    monkeypatch.chdir(tmp_path)
    torch.save({"w": torch.ones(2), "x": Hostile()}, "a.pt")
    torch.save({"w": torch.zeros(2), "x": Hostile()}, "b.pt")
    assert weigh.diff("a.pt", "b.pt").counts["changed"] == 1
    assert not Path("executed").exists()
    pickle.loads(pickle.dumps(Hostile())).close()
    assert Path("executed").exists(), "the attack itself must work, or this test shows nothing"


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"model": {"w": torch.ones(2)}, "step": 1}, tmp_path / "a.pt")
    torch.save({"model": {"w": torch.zeros(2)}, "step": 2}, tmp_path / "b.pt")
    for arguments, code in ((["a.pt", "a.pt"], 0), (["a.pt", "b.pt"], 1), (["a.pt", "none.pt"], 2)):
        with pytest.raises(SystemExit) as exit:
            main(["diff", *(str(tmp_path / name) for name in arguments)])
        assert exit.value.code == code
        output = capsys.readouterr()
        assert "Traceback" not in output.err
        if code == 1:
            assert "1 changed" in output.out and "step: 1 → 2" in output.out
    with pytest.raises(SystemExit):
        main(["diff", str(tmp_path / "a.pt"), str(tmp_path / "b.pt"), "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert facts["changed"] == 1 and facts["changes"][0]["relative"] == 1.0
