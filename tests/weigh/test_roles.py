"""The roles of constructed parameters: by rule as they are written by hand, and as transformers has them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import weigh
from weigh.memory.lora import Lora
from weigh.memory.storage_formats import stored
from weigh.models import constructors
from weigh.models.layers import OTHER_ROLES, SUBLAYERS
from weigh.models.matrices import is_hidden_matrix
from weigh.models.parts import parts
from weigh.models.roles import weights

CONFIGS = {
    json.loads(path.read_text(encoding="utf-8"))["model_type"]: path for path in Path("models").glob("*/config.json")
}
"""A config of every family that there is one of."""

VARIED = (
    "smollm3", "granite", "olmo3", "qwen3_next", "qwen3_5", "bamba", "falcon_h1", "lfm2", "jamba", "recurrent_gemma",
    "rwkv", "glm4_moe", "llama4_text", "granitemoeshared", "ernie4_5_moe", "longcat_flash", "jetmoe", "phimoe",
    "xlm-roberta", "modernbert", "flaubert", "longformer", "funnel", "mobilebert", "t5gemma", "switch_transformers",
    "pegasus", "dinov2", "siglip", "swin", "segformer", "regnet", "sam", "yolos", "wav2vec2", "encodec", "parakeet_ctc",
    "llava", "qwen2_5_vl", "gemma3", "blip-2", "qwen2_audio", "kosmos-2",
)  # fmt: skip
"""Types of every kind: decoders, hybrids, mixtures, encoders, encoder-decoders, vision, sound, several at once."""

PARTS: dict[str, dict[str, tuple[str, ...]]] = {
    "llava": {
        "text": ("model.language_model", "lm_head"),
        "vision": ("model.vision_tower",),
        "projector": ("model.multi_modal_projector",),
    },
    "qwen2_5_vl": {"text": ("model.language_model", "lm_head"), "vision": ("model.visual",),
                   "projector": ("model.visual.merger",)},
    "gemma3": {"text": ("model.language_model", "lm_head"), "vision": ("model.vision_tower",),
               "projector": ("model.multi_modal_projector",)},
    "internvl": {"text": ("model.language_model", "lm_head"), "vision": ("model.vision_tower",),
                 "projector": ("model.multi_modal_projector",)},
    "blip-2": {"text": ("language_model",), "vision": ("vision_model",),
               "projector": ("qformer", "language_projection"), "other": ("query_tokens",)},
    "qwen2_audio": {"text": ("model.language_model", "lm_head"), "audio": ("model.audio_tower",),
                    "projector": ("model.multi_modal_projector",)},
    "whisper": {"text": ("model.decoder", "proj_out"), "audio": ("model.encoder",)},
}  # fmt: skip
"""The modules of the reference that make up each part; what is in the one that is named later is none of the first."""

TINY: dict[str, dict[str, Any]] = {
    "qwen3_next": {
        "num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16,
        "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
        "head_dim": 16,
    },
    "llama4_text": {"num_local_experts": 6, "num_experts_per_tok": 1, "intermediate_size_mlp": 32, "head_dim": 16},
    "glm4_moe": {"n_routed_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "n_group": 1,
                 "topk_group": 1, "first_k_dense_replace": 1, "head_dim": 16},
    "ernie4_5_moe": {"moe_num_experts": 8, "moe_k": 4, "moe_intermediate_size": 16},
    "granitemoeshared": {"num_local_experts": 6, "num_experts_per_tok": 2, "shared_intermediate_size": 16},
}  # fmt: skip


def counted(tmp_path: Path, **fields: Any) -> weigh.Model:
    """What a config with those fields describes."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(fields), encoding="utf-8")
    return weigh.params(path, fallback=False)


@pytest.mark.parametrize("model_type", CONFIGS)
def test_roles_by_rule_are_those_that_are_written_by_hand(model_type: str) -> None:
    path = CONFIGS[model_type]
    by_hand = weigh.params(path).named
    by_rule = weights(constructors.construct(json.loads(path.read_text(encoding="utf-8"))))
    assert {(one.name, one.role, one.layer, one.transposed, one.experts) for one in by_rule} == {
        (one.name, one.role, one.layer, one.transposed, one.experts) for one in by_hand
    }


@pytest.mark.parametrize("model_type", ["smollm3", "qwen3_next", "modernbert", "t5gemma", "wav2vec2", "siglip", "lfm2"])
def test_what_lora_adapts_are_the_linear_layers_of_the_reference(model_type: str, tmp_path: Path) -> None:
    model = counted(tmp_path, model_type=model_type)
    with torch.device("meta"):
        built = getattr(transformers, model.architecture)(transformers.AutoConfig.for_model(model_type))
    linear = {
        f"{name}.weight"
        for name, module in built.named_modules()
        if isinstance(module, torch.nn.Linear) and re.search(r"\.\d+\.", name) and not name.endswith("_expert_gate")
    }
    assert {tensor.name for tensor in model.distinct if is_hidden_matrix(tensor)} == linear
    assert {tensor.name for tensor in Lora(8).adapted(model)} == linear


@pytest.mark.parametrize("model_type", TINY)
def test_a_token_passes_through_the_experts_that_its_gradient_reaches(model_type: str, tmp_path: Path) -> None:
    fields = {
        "model_type": model_type, "vocab_size": 48, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 4,
        "num_attention_heads": 2, "num_key_value_heads": 2, "pad_token_id": 0, **TINY[model_type],
    }  # fmt: skip
    counts = counted(tmp_path, **fields)
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(**fields)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    model(torch.tensor([[5]]), use_cache=False).logits.square().sum().backward()
    idle = 0
    for module in model.modules():
        if type(module).__name__.endswith("Experts"):
            for stack in module.parameters(recurse=False):
                assert stack.grad is not None
                unused = ~stack.grad.flatten(1).any(dim=1)
                idle += int(unused.sum()) * stack[0].numel()
    assert counts.parameters == sum(p.numel() for p in model.parameters())
    assert counts.active_parameters == counts.parameters - idle < counts.parameters


@pytest.mark.parametrize(
    ("model_type", "total", "active"),
    [
        ("phimoe", "41.9", "6.6"), ("jamba", "52", "12"), ("llama4", "108", "18"), ("qwen3_next", "80", "4"),
        ("minimax_m2", "229", "11"), ("mimo_v2_flash", "309", "15"), ("solar_open", "103", "12"),
        ("kimi_linear", "49.1", "3.5"),
    ],
)  # fmt: skip
def test_active_parameters_are_about_those_that_are_published(
    model_type: str, total: str, active: str, tmp_path: Path
) -> None:
    """Such as 41.9B and 6.6B of Phi-3.5-MoE; the others round, or leave out the embedding, or what reads images."""
    model = counted(tmp_path, model_type=model_type)
    assert model.active_parameters is not None
    for count, published in ((model.parameters, total), (model.active_parameters, active)):
        assert f"{count / 1e9:.{len(published.partition('.')[2])}f}" == published


def test_a_number_of_experts_may_be_said_for_every_layer(tmp_path: Path) -> None:
    """As Hunyuan-A13B does."""
    said = [counted(tmp_path, model_type="hunyuan_v1_moe", head_dim=8, moe_topk=used) for used in (2, [2] * 32)]
    assert said[0].active_parameters == said[1].active_parameters
    assert said[1].active_parameters is not None


def test_experts_that_nobody_counts_are_not_claimed(tmp_path: Path) -> None:
    model = counted(tmp_path, model_type="olmoe", num_experts_per_tok=None)
    assert model.active_parameters is None
    assert model.parameters == counted(tmp_path, model_type="olmoe").parameters


@pytest.mark.parametrize("model_type", PARTS)
def test_parts_are_the_modules_of_the_reference(model_type: str) -> None:
    nested = {name: {} for name in ("text_config",) if model_type == "qwen2_5_vl"}
    constructed = constructors.construct({"model_type": model_type, **nested})
    with torch.device("meta"):
        built = getattr(transformers, constructed.architecture)(transformers.AutoConfig.for_model(model_type))
    part_of = {}
    for part, modules in PARTS[model_type].items():
        for name, parameter in built.named_parameters(remove_duplicate=True):
            if name.startswith(tuple(f"{module}." for module in modules)) or name in modules:
                part_of[name] = part, parameter.numel()
    sizes = dict.fromkeys(PARTS[model_type], 0)
    for part, size in part_of.values():
        sizes[part] += size
    assert parts(constructed) == sizes
    assert sum(sizes.values()) == sum(parameter.numel() for parameter in built.parameters())


@pytest.mark.parametrize("model_type", ["llama", "bert", "vit", "wav2vec2", "mamba", "t5", "convbert", "lfm2"])
def test_a_model_of_one_kind_has_no_parts(model_type: str) -> None:
    assert parts(constructors.construct({"model_type": model_type})) == {}


@pytest.mark.parametrize("model_type", VARIED)
def test_every_question_is_answered_or_refused_in_a_line(model_type: str, tmp_path: Path) -> None:
    nested = {name: {} for name in ("text_config",) if model_type == "qwen2_5_vl"}
    model = counted(tmp_path, model_type=model_type, **nested)
    sublayers = {tensor.role.partition(" ")[0] for tensor in model.named if tensor.role not in OTHER_ROLES}
    assert sublayers <= set(SUBLAYERS)
    trained = weigh.training(model, batch=1, sequence=1)
    assert trained.weight_bytes == 2 * model.parameters
    assert trained.checkpoint_bytes > 12 * model.parameters
    assert sum(one.nbytes for one in stored(model, "bfloat16")) == 2 * model.parameters
    packed = sum(one.nbytes for one in stored(model, "nf4"))
    assert model.parameters // 2 < packed <= 2 * model.parameters
    questions = (
        lambda: weigh.training(model, batch=1, sequence=1, lora=Lora(4, nf4=True)).trainable_parameters,
        lambda: weigh.training(model, batch=1, sequence=1, zero=3, devices=4).total_bytes,
        lambda: weigh.inference(model, "int8", context=1).total_bytes,
        lambda: weigh.inference(model, "awq", context=1).total_bytes,
        lambda: weigh.inference(model, "q4_k_m", context=1).total_bytes,
        lambda: weigh.decode_bound(model, bandwidth=1e12, flops=1e15, context=1).bytes_moved,
    )
    for question in questions:
        try:
            assert question() > 0
        except weigh.WeighError as refused:
            assert refused.problem and "\n" not in str(refused)
