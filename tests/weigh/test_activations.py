"""Predicted activations against the tensors that real forward passes save for their backward passes."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers.activations import ACT2FN

import weigh
from weigh.memory.activations import Activations, activations, korthikanti
from weigh.models.alike import ALIKE
from weigh.models.families import FAMILIES
from weigh.models.saved import KEPT_BY_ACTIVATION

B, T, V = 2, 96, 512

COMMON = {
    "vocab_size": V, "hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 8, "intermediate_size": 352,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 256, "d_model": 128, "encoder_layers": 2,
    "decoder_layers": 3, "encoder_attention_heads": 8, "decoder_attention_heads": 8, "encoder_ffn_dim": 352,
    "decoder_ffn_dim": 288, "pad_token_id": 0, "decoder_start_token_id": 0, "num_experts_per_tok": 2,
    "moe_intermediate_size": 48,
}  # fmt: skip
LATENT = {
    "num_key_value_heads": 8, "q_lora_rank": 40, "kv_lora_rank": 24, "qk_rope_head_dim": 8, "qk_nope_head_dim": 12,
    "v_head_dim": 20, "n_routed_experts": 8, "first_k_dense_replace": 1, "n_group": 2, "topk_group": 1, "head_dim": 8,
}  # fmt: skip
OWN: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 128, "n_layer": 3, "n_head": 8, "n_positions": 256},
    "gpt_neo": {"num_layers": 3, "num_heads": 8, "attention_types": [[["global", "local", "global"], 1]]},
    "gptj": {"n_embd": 128, "n_layer": 3, "n_head": 8, "n_positions": 256, "rotary_dim": 8},
    "opt": {"ffn_dim": 512, "word_embed_proj_dim": 128},
    "bloom": {"n_layer": 3, "n_head": 8},
    "falcon": {"ffn_hidden_size": 352},
    "mixtral": {"num_local_experts": 4},
    "qwen2_moe": {"num_experts": 6, "shared_expert_intermediate_size": 80},
    "gpt_oss": {"num_local_experts": 4},
    "deepseek_v2": LATENT,
    "deepseek_v3": LATENT,
    "bert": {"architectures": ["BertForMaskedLM"]},
    "roberta": {"architectures": ["RobertaForMaskedLM"]},
    "distilbert": {
        "architectures": ["DistilBertForMaskedLM"], "dim": 128, "n_layers": 3, "n_heads": 8, "hidden_dim": 352,
    },
    "albert": {"architectures": ["AlbertForMaskedLM"], "embedding_size": 64},
    "electra": {"architectures": ["ElectraForMaskedLM"], "embedding_size": 64},
    "deberta-v2": {"architectures": ["DebertaV2ForMaskedLM"]},
    "whisper": {"max_source_positions": 150, "num_mel_bins": 20, "bos_token_id": 0, "eos_token_id": 0},
    "vit": {"architectures": ["ViTForImageClassification"], "image_size": 64, "patch_size": 8, "num_labels": 2},
    "clip": {
        "text_config": {
            "vocab_size": V, "hidden_size": 128, "num_attention_heads": 8, "intermediate_size": 352,
            "num_hidden_layers": 3, "max_position_embeddings": 256, "eos_token_id": 1,
        },
        "vision_config": {
            "hidden_size": 96, "num_attention_heads": 6, "intermediate_size": 288, "num_hidden_layers": 2,
            "image_size": 64, "patch_size": 8,
        },
    },
    "t5": {"d_kv": 16, "d_ff": 352, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 8},
}  # fmt: skip
COUNTED = [name for name, family in FAMILIES.items() if family.saves]
NO_SCORE_DROPOUT = {
    "gpt2": {"attn_pdrop": 0.0}, "distilbert": {"attention_dropout": 0.0},
    **{name: {"attention_probs_dropout_prob": 0.0} for name in ("bert", "roberta", "electra")},
}  # fmt: skip
# The settings that change what a layer saves, one by one.
OTHERWISE: list[tuple[str, dict[str, Any]]] = [
    ("opt", {"do_layer_norm_before": False, "word_embed_proj_dim": 64}), ("opt", {"attention_dropout": 0.1}),
    ("gpt2", {"activation_function": "gelu_pytorch_tanh", "attn_pdrop": 0.0}),
    ("gpt_neo", {"attention_dropout": 0.1, "resid_dropout": 0.1, "embed_dropout": 0.1}),
    ("gpt_neox", {"use_parallel_residual": False}), ("gpt_neox", {"hidden_dropout": 0.1}),
    ("gptj", {"attn_pdrop": 0.1, "resid_pdrop": 0.1, "embd_pdrop": 0.1}),
    ("bloom", {"hidden_dropout": 0.1, "attention_dropout": 0.1}),
    ("falcon", {"multi_query": False}), ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    ("falcon", {"multi_query": False, "alibi": True, "parallel_attn": False, "hidden_dropout": 0.1}),
    ("phi", {"qk_layernorm": True}), ("phi", {"resid_pdrop": 0.1, "embd_pdrop": 0.1}), ("phi3", {"resid_pdrop": 0.1}),
    ("llama", {"attention_dropout": 0.1, "hidden_act": "relu"}),
    ("gemma2", {"attn_logit_softcapping": None, "final_logit_softcapping": None}),
    ("cohere", {"use_qk_norm": True}), ("starcoder2", {"residual_dropout": 0.1, "embedding_dropout": 0.1}),
    ("stablelm", {"use_parallel_residual": True, "qk_layernorm": True}), ("stablelm", {"hidden_dropout": 0.1}),
    ("olmo", {"clip_qkv": 8.0}), ("qwen2_moe", {"decoder_sparse_step": 2}), ("qwen3_moe", {"mlp_only_layers": [1]}),
    ("deepseek_v3", {"q_lora_rank": None}), ("electra", {"embedding_size": 128}),
    ("albert", {"hidden_dropout_prob": 0.1, "inner_group_num": 2}),
    ("deberta-v2", {"relative_attention": True, "position_buckets": 16, "pos_att_type": "p2c|c2p"}),
    ("deberta-v2", {"relative_attention": True, "max_position_embeddings": 128, "pos_att_type": "c2p"}),
    ("deberta-v2", {"legacy": False}),
    ("vit", {"head_dim": 24, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}),
    ("whisper", {"dropout": 0.1, "attention_dropout": 0.1, "activation_dropout": 0.1}),
    ("t5", {"feed_forward_proj": "gated-gelu", "dropout_rate": 0.0}), ("bart", {"activation_dropout": 0.1}),
]  # fmt: skip


def fields(model_type: str, **changes: Any) -> dict[str, Any]:
    known = {*transformers.AutoConfig.for_model(model_type).to_dict(), "decoder_start_token_id"}
    small = {name: value for name, value in COMMON.items() if name in known} | OWN.get(model_type, {})
    return {"model_type": model_type, **small, **changes}


def predicted(config: dict[str, Any], folder: Path, **options: Any) -> Activations:
    (folder / "config.json").write_text(json.dumps(config))
    return activations(weigh.params(folder), batch=B, sequence=T, **options)


@pytest.fixture(autouse=True)
def masks_of_one_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU a dropout keeps a mask of one byte for each number. On a CPU it would keep the scaled mask as floats."""

    def dropout(x: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
        return torch.native_dropout(x, p, training)[0] if training and p else x

    monkeypatch.setattr(torch.nn.functional, "dropout", dropout)
    monkeypatch.setattr(torch.nn.Dropout, "forward", lambda self, x: dropout(x, self.p, self.training))


def inputs(model_type: str, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    ids = torch.randint(0, V, (B, T))
    match model_type:
        case "vit":
            return {"pixel_values": torch.rand(B, 3, 64, 64, dtype=dtype), "labels": torch.zeros(B, dtype=torch.long)}
        case "clip":
            images = torch.rand(B, 3, 64, 64, dtype=dtype)
            return {"input_ids": ids, "pixel_values": images, "return_loss": torch.tensor(True)}
        case "whisper":
            return {"input_features": torch.rand(B, 20, 300, dtype=dtype), "labels": ids}
        case _:
            return {"input_ids": ids, "labels": ids}


def measured(config: dict[str, Any], attention: str, dtype: str = "bfloat16", checkpointing: bool = False) -> int:
    """The bytes of the storages, each once, that a forward pass with its loss saves and that are not the model's."""
    torch.manual_seed(0)
    settings = transformers.AutoConfig.for_model(**config)
    settings.use_cache = False
    named = config.get("architectures") or FAMILIES[config["model_type"]].architectures
    make = getattr(transformers, named[0])
    model = make._from_config(settings, attn_implementation=attention).to(getattr(torch, dtype)).train()
    if checkpointing:
        model.activation_checkpointing_enable()
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    reads = inputs(config["model_type"], getattr(torch, dtype))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(**reads)
    return sum(storage.nbytes() for storage in kept.values())


def fused_on_a_cpu(config: dict[str, Any]) -> bool:
    """Whether PyTorch's fused attention computes it on a CPU: no dropped scores, and as many keys as queries or groups.

    The other models of transformers have attention that stores its scores, or kernels for GPUs alone.
    """
    model = getattr(transformers, FAMILIES[config["model_type"]].architectures[0])
    settings = transformers.AutoConfig.for_model(**config)
    rates = ("attn_pdrop", "attention_dropout", "attention_probs_dropout_prob")
    one_key = config["model_type"] == "falcon" and settings.multi_query and not settings.new_decoder_architecture
    alibi, learned_bias = getattr(settings, "alibi", False), config["model_type"] == "t5"
    dropped = any(getattr(settings, rate, 0) for rate in rates)
    return model._supports_sdpa and not (dropped or one_key or alibi or learned_bias)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(
    ("model_type", "changes"), [*((name, NO_SCORE_DROPOUT.get(name, {})) for name in COUNTED), *OTHERWISE]
)
def test_every_family(model_type: str, changes: dict[str, Any], attention: str, dtype: str, tmp_path: Path) -> None:
    """Within one percent. The rest: token ids, rotary angles, routing, and statistics of norms, smaller on a CPU."""
    config = fields(model_type, **changes)
    if attention == "sdpa" and not fused_on_a_cpu(config):
        pytest.skip("no fused attention on a CPU")
    estimate = predicted(config, tmp_path, dtype=dtype, fused_attention=attention == "sdpa")
    assert estimate.kept_bytes == pytest.approx(measured(config, attention, dtype), rel=0.01)


@pytest.mark.parametrize(("model_type", "attention"), [*((name, "sdpa") for name in ALIKE), ("granite", "eager")])
def test_types_that_are_like_a_family(model_type: str, attention: str, tmp_path: Path) -> None:
    no_dropout = {name: 0.0 for name in ("attention_dropout", "attention_probs_dropout_prob")}
    known = transformers.AutoConfig.for_model(model_type).to_dict()
    config = fields(model_type, **{name: rate for name, rate in no_dropout.items() if name in known})
    (tmp_path / "config.json").write_text(json.dumps(config))
    config["architectures"] = [weigh.params(tmp_path).architecture]
    estimate = predicted(config, tmp_path, fused_attention=attention == "sdpa")
    assert estimate.kept_bytes == pytest.approx(measured(config, attention), rel=0.01)
    assert ALIKE[model_type] in estimate.assumptions[0]


VIEWS = [("gpt_neox", {}), ("falcon", {}), ("falcon", {"multi_query": False}), ("deepseek_v2", {}), ("phi3", {})]


@pytest.mark.parametrize(("model_type", "changes"), [*VIEWS, ("phi3", {"num_key_value_heads": 8})])
def test_one_sequence_alone(
    model_type: str, changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its values can be a view where those of several are copied."""
    monkeypatch.setitem(globals(), "B", 1)
    config = fields(model_type, **changes)
    estimate = predicted(config, tmp_path, fused_attention=False)
    assert estimate.kept_bytes == pytest.approx(measured(config, "eager"), rel=0.01)


@pytest.mark.parametrize("model_type", NO_SCORE_DROPOUT)
def test_dropped_scores(model_type: str, tmp_path: Path) -> None:
    config = fields(model_type)
    estimate = predicted(config, tmp_path, fused_attention=False)
    assert estimate.kept_bytes == pytest.approx(measured(config, "eager"), rel=0.01)


def test_what_fuses_no_attention_says_so(tmp_path: Path) -> None:
    fused, stored = (predicted(fields("bloom"), tmp_path, fused_attention=fused) for fused in (True, False))
    assert fused == stored
    assert any("bloom is given to no flash kernel" in said for said in fused.assumptions)


@pytest.mark.parametrize(("name", "tokens"), [("vit-base", 197), ("clip-vit-base-patch32", 50), ("whisper-tiny", 1500)])
def test_what_reads_no_text_says_how_much_it_reads(name: str, tokens: int) -> None:
    estimate = activations(weigh.params(f"models/{name}"), batch=1, sequence=16)
    assert any(f"layers that read {tokens:,} patches or frames" in said for said in estimate.assumptions)


def test_a_window_shorter_than_the_sequence_is_said(tmp_path: Path) -> None:
    for window, said in ((T, False), (T - 1, True)):
        estimate = predicted(fields("mistral", sliding_window=window), tmp_path)
        assert any(f"the window of {window} tokens" in line for line in estimate.assumptions) == said


def test_the_largest_layer_is_computed_again(tmp_path: Path) -> None:
    """Layers of BART's encoder have no attention across to it; those of its decoder are the larger ones."""
    config = fields("bart", encoder_ffn_dim=288)
    whole, again = predicted(config, tmp_path), predicted(config, tmp_path, recompute="full")
    assert again.moment is not None
    layers = sum(part.value for part in whole.kept if part.formula.startswith("L"))
    assert layers / 5 < again.moment.value < layers / 3


@pytest.mark.parametrize("name", KEPT_BY_ACTIVATION)
def test_what_an_activation_function_saves(name: str) -> None:
    """With the matrix that follows it."""
    x, kept = torch.randn(3, 8, requires_grad=True), {}
    weight = torch.randn(5, 8)

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        torch.nn.functional.linear(ACT2FN[name](x.clone()), weight.requires_grad_())
    kept.pop(weight.untyped_storage().data_ptr())
    assert sum(storage.nbytes() for storage in kept.values()) == KEPT_BY_ACTIVATION[name] * x.nbytes


def test_an_unknown_activation_function_is_refused(tmp_path: Path) -> None:
    with pytest.raises(weigh.WeighError, match="softexp"):
        predicted(fields("llama", hidden_act="softexp"), tmp_path)


def test_recomputation_keeps_the_inputs_of_the_layers(tmp_path: Path) -> None:
    """Within 3 %. The rest: the state of the random numbers, 5 kB for each layer however small it is."""
    for model_type in ("gpt2", "llama"):
        config = fields(model_type)
        estimate = predicted(config, tmp_path, recompute="full")
        assert estimate.kept_bytes == pytest.approx(measured(config, "sdpa", checkpointing=True), rel=0.03)
        assert estimate.total_bytes < predicted(config, tmp_path).total_bytes


def test_selective_recomputation_drops_the_scores_alone(tmp_path: Path) -> None:
    config = fields("gpt2")
    stored = predicted(config, tmp_path, fused_attention=False)
    scores = sum(part.value for part in stored.kept if part.name == "attention scores")
    selective = predicted(config, tmp_path, fused_attention=False, recompute="selective")
    statistics = 3 * T * B * 4 * 8  # of each row of scores, from which they are made again
    assert stored.kept_bytes - scores == selective.kept_bytes - statistics


# As they come closest to a published formula: GELU in one operation, dropout everywhere, 16 bits.
GPT = {"activation_function": "gelu_pytorch_tanh"}


def test_a_gpt_keeps_what_korthikanti_et_al_published(tmp_path: Path) -> None:
    """34 · s · b · h + 5 · a · s² · b in each layer, and statistics of the norms that they leave out."""
    stored = predicted(fields("gpt2", **GPT), tmp_path, fused_attention=False)
    inside = sum(part.value for part in stored.kept if part.formula.startswith("L"))
    statistics = 3 * 2 * T * B * 8
    assert inside - statistics == korthikanti(s=T, b=B, h=128, a=8, L=3)


def test_the_formulas_of_korthikanti_et_al() -> None:
    """Table 2 for GPT-3: h = 12,288, a = 96, s = 2,048, where 5 · a · s / h = 80; table 4's 530B: 64."""
    shape = {"s": 2048, "b": 1, "h": 12288, "a": 96, "L": 1}
    sbh = 2048 * 12288
    assert korthikanti(**shape) == (34 + 80) * sbh
    assert korthikanti(**shape, t=8) == (10 + (24 + 80) / 8) * sbh
    assert korthikanti(**shape, t=8, parallel_norms=True) == (34 + 80) * sbh / 8
    assert korthikanti(**shape, t=8, parallel_norms=True, recompute="selective") == 34 * sbh / 8
    assert korthikanti(**shape, recompute="full") == 2 * sbh


def test_gelu_new_in_separate_operations_costs_24_bytes_a_number(tmp_path: Path) -> None:
    fused = predicted(fields("gpt2", **GPT), tmp_path).kept_bytes
    assert predicted(fields("gpt2"), tmp_path).kept_bytes - fused == 24 * T * B * 128 * 3


@pytest.mark.parametrize("name", ["resnet-50", "convnext-tiny", "mamba-130m"])
def test_what_is_no_transformer_is_refused(name: str) -> None:
    with pytest.raises(weigh.WeighError, match="has no list of what its layers save"):
        activations(weigh.params(f"models/{name}"), batch=1, sequence=16)


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"sequence": 0}, {"recompute": "some"}])
def test_impossible_numbers_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(weigh.WeighError):
        activations(weigh.params("models/gpt2"), **{"batch": 1, "sequence": 8, **wrong})
