"""What encoder-decoders keep while they generate, against the reference library's own cache after real steps."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import weigh
from weigh.models.caches import KeyValue
from weigh.models.families import FAMILIES

BATCH, READ, WRITTEN = 2, 7, 3
SIDES = {
    "encoder_layers": 1, "decoder_layers": 3, "encoder_attention_heads": 2, "decoder_attention_heads": 4, "d_model": 24,
    "encoder_ffn_dim": 10, "decoder_ffn_dim": 20, "vocab_size": 30, "pad_token_id": 0, "decoder_start_token_id": 0,
}  # fmt: skip
TINY: dict[str, dict[str, Any]] = {
    "t5": {
        "d_model": 10, "d_kv": 6, "d_ff": 12, "num_layers": 1, "num_decoder_layers": 3, "num_heads": 5, "vocab_size": 30
    },
    "bart": SIDES | {"max_position_embeddings": 16},
    "whisper": SIDES | {"max_source_positions": READ, "max_target_positions": 16, "num_mel_bins": 5},
}  # fmt: skip


def counted(directory: Path, **fields: Any) -> weigh.Model:
    (directory / "config.json").write_text(json.dumps(fields))
    return weigh.params(directory)


@pytest.mark.parametrize("model_type", TINY)
def test_a_decoder_caches_its_own_tokens_and_the_encoders(model_type: str, tmp_path: Path) -> None:
    for architecture in FAMILIES[model_type].architectures:
        if architecture in ("T5EncoderModel", "BartForSequenceClassification"):
            continue
        fields = {"model_type": model_type, "architectures": [architecture], **TINY[model_type]}
        model = getattr(transformers, architecture)(transformers.AutoConfig.for_model(**fields)).eval()
        read = {"input_ids": torch.ones(BATCH, READ, dtype=torch.long)}
        if model_type == "whisper":  # one of its convolutions halves the length
            read = {"input_features": torch.zeros(BATCH, 5, 2 * READ)}
        with torch.no_grad():
            cache = model(
                **read, decoder_input_ids=torch.ones(BATCH, WRITTEN, dtype=torch.long), use_cache=True
            ).past_key_values
        assert isinstance(cache, transformers.EncoderDecoderCache)
        kept = [
            (layer.keys.shape, layer.values.shape)
            for pair in zip(cache.self_attention_cache.layers, cache.cross_attention_cache.layers, strict=True)
            for layer in pair
        ]
        said = []
        for layer in counted(tmp_path, **fields).caches:
            assert isinstance(layer, KeyValue) and layer.window is None
            tokens = READ if layer.cross else WRITTEN
            said.append(((BATCH, layer.heads, tokens, layer.key), (BATCH, layer.heads, tokens, layer.value)))
        assert said == kept


def test_an_encoder_keeps_nothing(tmp_path: Path) -> None:
    assert counted(tmp_path, model_type="t5", architectures=["T5EncoderModel"]).caches == []
    for model_type in set(FAMILIES) & {"bert", "roberta", "distilbert", "albert", "electra", "deberta-v2"}:
        assert counted(tmp_path, model_type=model_type).caches == []


def test_t5_1_1_has_the_head_of_its_own_that_its_checkpoints_hold(tmp_path: Path) -> None:
    torch.manual_seed(0)
    fields = {"model_type": "t5", **TINY["t5"], "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
    model = transformers.T5ForConditionalGeneration(transformers.AutoConfig.for_model(**fields))
    model.lm_head.weight = torch.nn.Parameter(torch.randn(30, 10))
    model.save_pretrained(tmp_path)
    loaded = transformers.T5ForConditionalGeneration.from_pretrained(tmp_path)
    parameters = sum(tensor.numel() for tensor in loaded.parameters())
    assert loaded.lm_head.weight is not loaded.shared.weight
    assert weigh.params(tmp_path).parameters == parameters, "the config as it was saved by now"
    assert counted(tmp_path, **fields).parameters == parameters, "the config as it was published"


def test_published_sizes_of_t5_1_1(tmp_path: Path) -> None:
    base = {"d_model": 768, "d_ff": 2048, "num_layers": 12, "num_heads": 12, "d_kv": 64, "vocab_size": 32128}
    flan = {"feed_forward_proj": "gated-gelu", "is_gated_act": True, "tie_word_embeddings": False}
    assert counted(tmp_path, model_type="t5", **base, **flan).parameters == 247_577_856
