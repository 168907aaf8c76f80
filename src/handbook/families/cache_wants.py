"""What some types want of their fields before a tiny model can be built, or has all of their kinds of layer."""

from collections.abc import Callable
from random import Random
from typing import Any

Fields = dict[str, Any]
Want = Callable[[Fields, Random], Any]
_NOTHING = object()
"""Stands for a field that is left out."""


def sections(rope: Fields, head: int, share: int = 2) -> Fields:
    """Rotary parameters whose sections add up to half of the rotated head."""
    rope = {name: sections(value, head, share) if isinstance(value, dict) else value for name, value in rope.items()}
    if "mrope_section" in rope:
        part = max(head // share // 4, 1)
        rope["mrope_section"] = [head // share - 2 * part, part, part]
    return rope


def _also(**fields: Any) -> Want:
    """These fields, of which one that is a function is asked with the others and a source of chance."""

    def changed(given: Fields, random: Random) -> Fields:
        found = {name: value(given, random) if callable(value) else value for name, value in fields.items()}
        return {name: value for name, value in (given | found).items() if value is not _NOTHING}

    return changed


def _one_of(*choices: Any) -> Want:
    return lambda given, random: random.choice(choices)


def _rotary(share: int, *, last: bool = False) -> Want:
    """Sections of a rotated head for time, height and width; time is the first or the last."""

    def with_sections(fields: Fields, random: Random) -> Fields:
        part = fields.get("text_config") or fields
        head = part.get("head_dim") or part["hidden_size"] // part["num_attention_heads"]
        rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [], "partial_rotary_factor": 2 / share}
        part["rope_parameters"] = sections(rope, head, share)
        if last:
            part["rope_parameters"]["mrope_section"].reverse()
        return fields

    return with_sections


def _mixed(kinds: tuple[str, str], *without: str) -> Want:
    def with_types(fields: Fields, random: Random) -> Fields:
        types = [random.choice(kinds) for _ in range(fields["num_hidden_layers"] - 1)] + [kinds[1]]
        return {name: value for name, value in fields.items() if name not in without} | {"layer_types": types}

    return with_types


def _both(fields: Fields, random: Random) -> Fields:
    types = ["sliding_attention", "full_attention"] * fields["num_hidden_layers"]
    head = fields.get("head_dim") or fields["hidden_size"] // fields["num_attention_heads"]
    rope = sections({"rope_type": "default", "rope_theta": 10000.0, "mrope_section": []}, head)
    return fields | {
        "layer_types": types[: fields["num_hidden_layers"]], "rope_parameters": dict.fromkeys(set(types), rope),
    }  # fmt: skip


def _wider_index(fields: Fields, random: Random) -> Fields:
    return fields | {"index_topk": 32}


def _sources(fields: Fields, random: Random) -> Fields:
    return fields | {"kv_source_layers": [0, 1, 1, 3, 3, 1][: fields["num_hidden_layers"]]}


def _zamba(fields: Fields, random: Random) -> Fields:
    D, H = fields["hidden_size"], fields["num_attention_heads"]
    types = ["linear_attention", "hybrid"] * 2
    fields |= {"num_hidden_layers": 4, "layers_block_type": types, "layer_types": types, "num_mem_blocks": 1,
               "attention_hidden_size": 2 * D, "attention_head_dim": 2 * D // H}  # fmt: skip
    if "mamba_headdim" in fields:
        fields |= {"n_mamba_heads": 4, "mamba_headdim": D * fields["mamba_expand"] // 4, "hybrid_layer_ids": [1, 3]}
    return fields


def _words(fields: Fields, random: Random) -> Fields:
    """Layers of Qwen4 that embed n-grams, too."""
    del fields["number_of_conv_states"]  # it follows
    types = ["linear_attention", *fields["layer_types"][1:]]
    places = [place + 1 for place, kind in enumerate(types) if kind == "linear_attention"]
    chosen = random.choice([[], places[:1], places])
    return fields | {
        "layer_types": types, "ple_layer_ids": chosen, "heads_per_ngram": 2, "ngram_size": random.choice([2, 3]),
        "ple_embed_dim": 24, "ple_conv_kernel_size": random.choice([2, 4]), "eos_token_id": 3, "indexer_head_dim": 32,
    }  # fmt: skip


def _flow(fields: Fields, random: Random) -> Fields:
    return fields | {"flow_head_config": fields["flow_head_config"] | {"condition_dim": fields["hidden_size"]}}


def _kinds(*kinds: str) -> Want:
    return lambda fields, random: [random.choice(kinds) for _ in range(fields["num_hidden_layers"])]


def _default(name: str) -> Want:
    """A nested config as it is, whose parts fit together as no change of sizes lets them."""
    return lambda fields, random: {"model_type": fields[name]["model_type"]}


WANTS: dict[str, Want] = {
    "bark": lambda fields, random: (
        fields | {"coarse_acoustics_config": fields["semantic_config"] | {"model_type": "coarse_acoustics"}}
    ),
    "cpmant": _also(prompt_length=_one_of(4, 8), dim_ff=24),
    "csm": _also(codec_config=_default("codec_config")),
    "dbrx": lambda fields, random: fields | {"attn_config": fields["attn_config"] | {"clip_qkv": 8.0}},
    "deepseek_ocr2_text": _also(mlp_layer_types=_kinds("dense", "sparse")),
    "deepseek_v4": _also(
        layer_types=_kinds("sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"),
        compress_rates=lambda fields, random: {
            "compressed_sparse_attention": random.choice([2, 3]),
            "heavily_compressed_attention": random.choice([4, 5]),
        },
    ),
    "dia": lambda fields, random: (
        fields
        | {"decoder_config": fields["decoder_config"] | {"cross_hidden_size": fields["encoder_config"]["hidden_size"]}}
    ),
    "gradium_phonon_tts": _flow,
    "hrm_text": _also(num_layers_per_stack=_NOTHING, H_cycles=_one_of(1, 2), L_cycles=_one_of(1, 2, 3)),
    "inkling2": lambda fields, random: (
        fields | {"vision_config": fields["vision_config"] | {"text_hidden_size": fields["text_config"]["hidden_size"]}}
    ),
    "idefics": _also(use_resampler=False),
    "kyutai_speech_to_text": _also(codec_config=_default("codec_config")),
    "minimax_m3_vl_text": _also(layer_types=_kinds("full_attention", "minimax_m3_sparse")),
    "mllama_text_model": _also(cross_attention_layers=_one_of([1], [0, 2], [1, 2])),
    "moonshine_streaming": _also(num_key_value_heads=lambda fields, random: fields["num_attention_heads"]),
    "musicgen_melody": _also(chroma_length=_one_of(3, 6)),
    "pocket_tts": _flow,
    "prophetnet": _also(num_encoder_layers=lambda fields, random: fields["num_decoder_layers"] + random.choice([0, 1])),
    "qwen4_exp_text": _words,
    "recurrent_gemma": _also(
        block_types=_one_of(["recurrent", "attention"], ["recurrent", "recurrent", "attention"], ["attention"]),
        lru_width=lambda fields, random: fields["hidden_size"] + random.choice([0, 16]) * fields["num_attention_heads"],
        conv1d_width=_one_of(2, 3, 4),
    ),
    "reformer": _also(
        attn_layers=_one_of(["lsh", "local", "lsh"], ["local", "lsh"]),
        axial_pos_embds=False,
        num_hashes=_one_of(1, 2),
        lsh_attn_chunk_length=4,
        local_attn_chunk_length=4,
        num_buckets=2,
        feed_forward_size=24,
        hidden_size=lambda fields, random: fields["num_attention_heads"] * fields["attention_head_size"],
        num_hidden_layers=_NOTHING,
    ),
    "xlnet": _also(bi_data=False, mem_len=_one_of(None, 4, 6, 512), d_inner=24),
    "xlstm": _also(
        embedding_dim=_NOTHING,
        num_blocks=_NOTHING,
        hidden_size=_one_of(128, 256),
        num_heads=_one_of(2, 4),
        qk_dim_factor=_one_of(0.5, 2.0),
        v_dim_factor=_one_of(1.0, 2.0),
    ),
    "zaya": _also(
        num_experts_per_tok=1,
        cca_time0=_one_of(2, 3),
        cca_time1=_one_of(2, 4),
        layer_types=_kinds("hybrid", "hybrid_sliding"),
        sliding_window=_one_of(4, 6),
    ),
    "bamba": lambda fields, random: fields | {"attn_layer_indices": [1]},
    "jamba": lambda fields, random: (
        {name: value for name, value in fields.items() if name not in ("layers_block_type", "layer_types")}
        | {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1}
    ),
    "granitemoehybrid": _mixed(("linear_attention", "full_attention")),
    "lfm2": _mixed(("conv", "full_attention"), "full_attn_idxs"),
    "lfm2_moe": _mixed(("conv", "full_attention"), "full_attn_idxs"),
    "nemotron": lambda fields, random: fields | {"num_key_value_heads": fields["num_key_value_heads"] or 2},
    "falcon": lambda fields, random: fields | {"multi_query": random.random() < 0.5},
    "gpt_bigcode": lambda fields, random: fields | {"multi_query": random.random() < 0.5},
    "falcon_h1": lambda fields, random: fields | {"mamba_d_ssm": fields["mamba_n_heads"] * fields["mamba_d_head"]},
    "dots1": lambda fields, random: fields | {"n_shared_experts": 1},
    "hunyuan_v1_moe": lambda fields, random: fields | {"head_dim": 16},
    "cohere_compass_text": _both,
    "glm5_next_text": _wider_index,
    "mistral_large4_text": _sources,
    "xmod": lambda fields, random: fields | {"default_language": "en_XX"},
    "zamba": _zamba,
    "zamba2": _zamba,
    "step3p7": lambda fields, random: fields | {"text_config": fields["text_config"] | {"sliding_window": 6}},
    "hy_v4": lambda fields, random: fields | {"indexer_types": ["full", *fields["indexer_types"][1:]]},
    "glm_moe_dsa": lambda fields, random: fields | {"indexer_types": ["full", *fields["indexer_types"][1:]]},
    **dict.fromkeys(("qwen2_vl", "qwen2_5_vl", "qwen2_5_omni_thinker", "paddleocr_vl"), _rotary(2)),
    **dict.fromkeys(("hunyuan_vl", "hunyuan_vl_text"), _rotary(2)),
    **dict.fromkeys(("ernie4_5_vl_moe", "ernie4_5_vl_moe_text"), _rotary(2, last=True)),
    **dict.fromkeys(("glm4v", "glm4v_moe", "glm46v", "glm_ocr", "glmga"), _rotary(4)),
}
"""What a type wants besides: a function of its fields."""
