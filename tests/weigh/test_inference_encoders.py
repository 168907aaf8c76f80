"""The memory to serve an encoder that guesses masked words, against the tensors of a real forward pass."""

from pathlib import Path

import pytest
import torch
import transformers

import weigh

from .test_caches import counted
from .test_inference import Alive

ENCODER = {
    "vocab_size": 2000, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128,
    "max_position_embeddings": 256, "pad_token_id": 0, "dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 128,
}  # fmt: skip
GUESSING = [
    ("bert", "BertForMaskedLM"), ("bert", "BertForPreTraining"), ("roberta", "RobertaForMaskedLM"),
    ("distilbert", "DistilBertForMaskedLM"), ("albert", "AlbertForMaskedLM"), ("electra", "ElectraForMaskedLM"),
    ("deberta-v2", "DebertaV2ForMaskedLM"),
]  # fmt: skip


@pytest.mark.parametrize(("model_type", "architecture"), GUESSING)
def test_what_guesses_masked_words_scores_all_positions(model_type: str, architecture: str, tmp_path: Path) -> None:
    """Nothing in it is the last position, which a decoder scores alone."""
    known = transformers.AutoConfig.for_model(model_type).to_dict()
    fields = {name: value for name, value in ENCODER.items() if name in known}
    torch.set_num_threads(1)
    model = getattr(transformers, architecture)(transformers.AutoConfig.for_model(model_type, **fields)).eval()
    ids = torch.ones(1, 200, dtype=torch.long)
    with torch.no_grad(), Alive(ids, *model.parameters(), *model.buffers()) as alive:
        scores = next(iter(model(ids).values()))
    found = weigh.inference(
        counted(tmp_path, model_type=model_type, architectures=[architecture], **fields), "float32", 200
    )
    assert scores.shape == (1, 200, 2000)
    assert found.activation_bytes > scores.nbytes
    assert found.activation_bytes == pytest.approx(alive.peak, rel=0.15)
    assert "the vocabulary is scored at every position" in found.assumptions


def test_an_encoder_without_a_vocabulary_has_no_scores() -> None:
    found = weigh.inference(weigh.params("models/bert-base"), "float32", 512)
    assert found.activation_bytes == 512 * (2 * 768 + 3072 + 3072) * 4
