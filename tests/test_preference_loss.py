"""The preference loss of the page on stages, against that of trl, on the same models and pairs."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from datasets import Dataset
from transformers import AutoTokenizer, LlamaForCausalLM

from quill.model import Quill

PROGRAM = Path("snippets/models/types/stages_of_a_language_model.py")
PAIRS = [
    {"prompt": "MACBETH.\nIs this", "chosen": " a dagger which I see?", "rejected": " a dagger, which, alas, I see?"},
    {"prompt": "ROSS.\nGod save", "chosen": " the King!", "rejected": " the King, and thee, my lord!"},
    {"prompt": "BANQUO.\nHow far", "chosen": " is it to Forres?", "rejected": " is it, sir, to Forres?"},
]


def section(name: str) -> dict[str, Any]:
    """The names that a section of the program defines, without the rest of it."""
    text = PROGRAM.read_text(encoding="utf-8")
    found = re.search(rf"# --8<-- \[start:{name}\]\n(.*?)# --8<-- \[end:{name}\]", text, re.DOTALL)
    assert found, f"{PROGRAM} has no section {name}"
    names: dict[str, Any] = {}
    exec(compile(found[1], f"{PROGRAM}:{name}", "exec"), names)
    return names


@pytest.mark.parametrize("beta", [0.1, 0.5])
def test_the_loss_is_that_of_trl(beta: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    policy, reference = (LlamaForCausalLM.from_pretrained("models/quill-draft", dtype=torch.float32) for _ in range(2))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in policy.parameters():
            weight += 0.02 * torch.randn(weight.shape, generator=generator)
    words = AutoTokenizer.from_pretrained("models/quill-draft")
    words.pad_token = words.eos_token
    settings = trl.DPOConfig(
        output_dir=str(tmp_path), beta=beta, max_length=None, per_device_train_batch_size=len(PAIRS), report_to="none",
        bf16=False, use_cpu=True, gradient_checkpointing=False, disable_dropout=True,
    )  # fmt: skip
    trainer = trl.DPOTrainer(
        policy, reference, settings, train_dataset=Dataset.from_list(PAIRS), processing_class=words
    )
    inputs = next(iter(trainer.get_train_dataloader()))
    theirs = trainer.compute_loss(policy, inputs)

    page = section("loss")
    texts, answer = inputs["input_ids"], inputs["completion_mask"].bool()
    found = []
    for model in (policy, reference):
        quill = Quill.read("models/quill-draft")
        quill.load_state_dict({name: weight for name, weight in model.state_dict().items() if name != "lm_head.weight"})
        found.append(page["log_probability"](quill, texts, answer).view(2, -1))
    ours = page["preference_loss"](*found, beta)

    assert ours.item() == pytest.approx(theirs.item(), rel=1e-4)
    assert abs(theirs.item() - 0.6931) > 0.01, "policy and reference differ"
    same = page["preference_loss"](found[1], found[1], beta)
    assert same.item() == pytest.approx(0.6931, abs=1e-4)
