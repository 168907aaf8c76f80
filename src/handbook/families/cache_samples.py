"""Tiny configs of any decoder, drawn at random: the default of its type with every size made small and changed."""

import json
from random import Random
from typing import Any

from transformers import CONFIG_MAPPING

from handbook.families.cache_wants import WANTS, Fields, sections
from handbook.families.starts import start

HEADS = {
    "num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads", "decoder_attention_heads",
    "num_decoder_attention_heads", "decoder_num_attention_heads", "num_sliding_attention_heads",
    "cross_num_attention_heads",
}  # fmt: skip
SHARED = {
    "num_key_value_heads", "n_kv_heads", "num_kv_heads", "kv_n_heads", "num_query_groups", "num_global_key_value_heads",
    "decoder_num_key_value_heads", "cross_num_key_value_heads",
}  # fmt: skip
WIDTHS = {
    "hidden_size", "n_embd", "d_model", "n_embed", "embed_dim", "dim", "emb_dim", "decoder_hidden_size",
    "embedding_size", "hidden_size_global", "word_embed_proj_dim", "encoder_hidden_size", "projection_dim",
    "out_hidden_size", "backbone_hidden_size", "cross_hidden_size", "decoder_dim", "output_hidden_size",
    "attention_hidden_size", "lru_width", "text_hidden_size", "cross_attention_hidden_size",
}  # fmt: skip
HEAD_SIZES = {
    "head_dim", "attention_head_dim", "d_kv", "kv_channels", "dim_head", "attention_head_size", "d_head",
    "cross_head_dim",
}  # fmt: skip
LAYERS = {
    "num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "num_decoder_layers", "depth",
    "decoder_num_hidden_layers", "layers",
}  # fmt: skip
OF_ENCODERS = {
    "encoder_layers", "num_encoder_layers", "encoder_num_hidden_layers", "encoder_attention_heads",
    "num_encoder_attention_heads", "encoder_num_attention_heads", "encoder_num_key_value_heads",
}  # fmt: skip
EXPERTS = {"num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"}
CHOSEN = {
    "num_experts_per_tok", "moe_topk", "moe_top_k", "moe_k", "num_experts_per_token", "top_k_experts", "top_k",
}  # fmt: skip
WINDOWS = {
    "sliding_window", "attention_chunk_size", "local_attention", "sliding_window_size", "window_size",
    "attention_window_size",
}  # fmt: skip
FIXED = {"image_size", "patch_size", "spatial_merge_size", "temporal_patch_size", "num_channels", "in_channels"}
KEPT = {
    "is_decoder", "is_encoder_decoder", "use_cache", "return_dict", "output_attentions", "output_hidden_states",
    "add_cross_attention", "tie_word_embeddings", "use_return_dict", "torchscript",
}  # fmt: skip
"""Switches that say what to do with a model rather than what it is."""
ONE_OF: dict[str, tuple[int, ...]] = {
    "kv_lora_rank": (12, 20), "q_lora_rank": (10, 14), "qk_rope_head_dim": (4, 8), "qk_nope_head_dim": (6, 10),
    "num_kv_shared_layers": (0, 1, 2), "linear_num_key_heads": (2,), "linear_num_value_heads": (2, 4),
    "linear_key_head_dim": (8, 12), "linear_value_head_dim": (8, 12), "linear_num_heads": (2, 4),
    "linear_head_dim": (8, 12), "mamba_d_state": (8, 16), "state_size": (8, 16), "ssm_state_size": (8, 16),
    "mamba_d_conv": (2, 3, 4), "conv_kernel": (2, 3, 4), "linear_conv_kernel_dim": (2, 3, 4), "conv_L_cache": (2, 3),
    "short_conv_kernel_size": (2, 3, 4), "n_groups": (1, 2), "mamba_n_groups": (1, 2), "mamba_ngroups": (1, 2),
    "index_head_dim": (16,), "index_n_heads": (2,), "index_topk": (8,), "rotary_dim": (4,), "time_step_rank": (5,),
    "mamba_dt_rank": (5,), "n_group": (1,), "topk_group": (1,), "num_expert_group": (1,), "first_k_dense_replace": (1,),
    "swa_num_key_value_heads": (1, 2), "swa_num_attention_heads": (4, 8), "swa_head_dim": (8, 24),
}  # fmt: skip
MINE = {"head_dim": "global_head_dim", "num_key_value_heads": "num_global_key_value_heads",
        "num_attention_heads": "num_sliding_attention_heads"}  # fmt: skip
"""The fields by which configs with layers of their own say what these have."""


class Sizes:
    """Sizes that fit together: heads, those that share keys, the size of a head, layers, and those of an encoder."""

    def __init__(self, random: Random) -> None:
        self.E = random.choice([8, 16, 24])
        self.K = random.choice([1, 2, 4])
        self.H = self.K * random.choice({1: [2, 4], 2: [1, 2, 3], 4: [1, 2]}[self.K])
        self.L = random.choice([3, 4, 6])
        self.encoder_heads = 2 if self.H % 2 == 0 and self.H > 2 else 1
        self.encoder_layers = 2 if self.L != 2 else 3
        self.D = self.H * self.E


def sample(model_type: str, seed: str) -> Fields:
    """The fields of a tiny config of a type; half of the seeds give all its parts the same sizes."""
    random = Random(f"{model_type}{seed}")
    least = CONFIG_MAPPING[model_type].from_dict(start(model_type))
    default = _floats(json.loads(least.to_json_string(use_diff=False)))
    shared = Sizes(random) if random.random() < 0.5 else None
    fields = _small(default, random, shared)
    for name in ("architectures", "torch_dtype", "dtype", "transformers_version"):
        fields.pop(name, None)
    return _wanted(fields | {"model_type": model_type}, random)


def _wanted(fields: Fields, random: Random) -> Fields:
    """The fields with what their type wants, and those of nested configs with what theirs want."""
    inner = {name: _wanted(each, random) for name, each in fields.items() if isinstance(each, dict)}
    wanted = WANTS.get(str(fields.get("model_type")))
    return fields | inner if wanted is None else wanted(fields | inner, random)


def _small(given: Fields, random: Random, shared: Sizes | None) -> Fields:
    sizes = shared or Sizes(random)
    fields = dict(given)
    lengths = {given[name] for name in LAYERS if isinstance(given.get(name), int)}
    latent = "kv_lora_rank" in given
    for name, value in given.items():
        if name == "per_layer_config" and value:
            del fields[name]
            own = {"head_dim": 2 * sizes.E, "num_key_value_heads": sizes.K, "num_attention_heads": 2 * sizes.H}
            fields |= {MINE[key]: own[key] for layer in value.values() for key in layer if key in MINE}
        elif isinstance(value, dict):
            if name in ("rope_parameters", "rope_scaling"):
                fields[name] = sections(value, sizes.E if given.get("head_dim") else sizes.D // sizes.H)
            elif name not in ("quantization_config", "id2label", "label2id"):
                fields[name] = _small(value, random, shared)
        elif isinstance(value, list):
            if value and len(value) in lengths and len(value) > 3 and not isinstance(value[0], list | dict):
                kinds = list(dict.fromkeys(value))[: sizes.L]
                fields[name] = kinds + [random.choice(kinds) for _ in range(sizes.L - len(kinds))]
                random.shuffle(fields[name])
        elif value is None and shared is None and name in ("head_dim", "num_key_value_heads") and random.random() < 0.5:
            fields[name] = sizes.E if name == "head_dim" else sizes.K
        elif value is None and name in ("num_experts_per_tok", "n_routed_experts", "n_group", "topk_group"):
            fields[name] = {"num_experts_per_tok": 2, "n_routed_experts": 4}.get(name, 1)
        elif type(value) is bool and name not in KEPT and random.random() < 0.12:
            fields[name] = not value
        elif type(value) is int:
            fields[name] = _number(name, value, sizes, random, latent)
    return _consistent(fields, given, sizes)


def _number(name: str, value: int, sizes: Sizes, random: Random, latent: bool) -> int:
    """A small number in place of a field's."""
    if name in OF_ENCODERS:
        return sizes.encoder_layers if "layers" in name else sizes.encoder_heads
    if name in HEADS or (latent and name in SHARED):
        return sizes.H
    for names, small in (
        (SHARED, sizes.K), (WIDTHS, sizes.D), (HEAD_SIZES, sizes.E), (LAYERS, sizes.L), (EXPERTS, 4 if value else 0),
        (CHOSEN, 2), (FIXED, value),
    ):  # fmt: skip
        if name in names:
            return small
    if name in ONE_OF:
        return random.choice(ONE_OF[name]) if value else 0
    if name in WINDOWS and value > 8:
        return random.choice([4, 6, 9])
    if name == "v_head_dim":
        return random.choice([6, 10]) if latent else sizes.E // 2
    if name in ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts"):
        return min(value, 1)
    if name in ("mamba_n_heads", "mamba_num_heads"):
        return 2 * sizes.H
    if name == "n_mamba_heads":
        return 2
    if "vocab_size" in name:
        return 64
    if name == "hidden_size_per_layer_input":
        return 8 if value else 0
    if "token_id" in name or name.endswith(("_token_index", "_id", "_index")):
        return min(value, 60)
    if "max_position" in name or name in ("n_positions", "n_ctx", "max_seq_len", "model_max_length"):
        return 128
    if name.endswith(("intermediate_size", "ffn_dim", "d_ff", "ffn_hidden_size")):
        return 24
    return 8 if name.endswith("_rank") and value > 16 else value


def _consistent(fields: Fields, given: Fields, sizes: Sizes) -> Fields:
    """The fields, with those put right that follow from others."""
    expand = fields.get("mamba_expand", fields.get("expand", 2))
    for name in ("mamba_d_head", "mamba_headdim", "mamba_head_dim"):
        if isinstance(fields.get(name), int):
            fields[name] = sizes.D * expand // (2 * sizes.H) if isinstance(expand, int) else sizes.E
    if "kv_lora_rank" in fields:
        if isinstance(fields.get("head_dim"), int):
            fields["head_dim"] = fields.get("qk_rope_head_dim") or 0
        if isinstance(fields.get("qk_head_dim"), int):
            fields["qk_head_dim"] = fields["qk_nope_head_dim"] + fields["qk_rope_head_dim"]
        fields.pop("rotary_dim", None)
    if "num_heads" in fields and "mamba" in str(given.get("model_type")):
        fields |= {"num_heads": 2 * sizes.H, "head_dim": sizes.D * fields.get("expand", 2) // (2 * sizes.H)}
    if "num_decoder_layers" in fields and "num_layers" in fields:
        fields["num_layers"] = sizes.encoder_layers
    return fields


def _floats(value: Any) -> Any:
    """JSON with the words in place of which a float was meant put right."""
    if isinstance(value, dict):
        if set(value) == {"__float__"}:
            return float(value["__float__"].replace("Infinity", "inf"))
        return {name: _floats(each) for name, each in value.items()}
    return [_floats(each) for each in value] if isinstance(value, list) else value
