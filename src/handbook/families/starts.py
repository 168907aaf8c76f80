"""The least that a config of each type has to say, so that transformers builds anything of it."""

from __future__ import annotations

import copy
from typing import Any

Fields = dict[str, Any]

_BOTH = {kind: {"rope_type": "default", "rope_theta": 10000.0} for kind in ("full_attention", "sliding_attention")}
_RESNET = {"use_timm_backbone": False, "backbone_config": {"model_type": "resnet", "out_features": ["stage4"]}}
_SPARSE = {"num_hidden_layers": 2, "mlp_layer_types": ["dense", "sparse"]}
_EXPERTS_OF_GEMMA = {"num_experts": 8, "top_k_experts": 2, "moe_intermediate_size": 64}
_INDEXER = {
    "indexer_n_heads": 4,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 256,
    "indexer_budget": 64,
    "indexer_compress_ratio": 4,
}
_TALKER = {"shared_expert_intermediate_size": 768}
_STROKES = ("vertical_long_to_small_conv", "horizontal_small_to_long_conv", "symmetric_conv_long")
_BLOCK = {"reduce_channel": [1, 1, 0], "return_channel": [1, 1, 0]} | {
    f"{stroke}_{ratio}ratio": [3, 1, 1] for stroke in _STROKES for ratio in ("long", "mid", "short")
}
STARTS: dict[str, Fields] = {
    "autoformer": {"prediction_length": 24},
    "aya_vision": {"vision_config": {"num_attention_heads": 16}},
    "chameleon": {"vocabulary_map": {"<image>": 4}},
    "cohere_compass": {"text_config": {"rope_parameters": _BOTH}},
    "cohere_compass_text": {"rope_parameters": _BOTH},
    "conditional_detr": _RESNET,
    "dab-detr": _RESNET,
    "dbrx": {"attn_config": {"rope_theta": 10000.0}},
    "deepseek_ocr2": {"text_config": _SPARSE},
    "deepseek_ocr2_text": _SPARSE,
    "deformable_detr": _RESNET | {"backbone_config": {"model_type": "resnet", "out_features": ["stage3", "stage4"]}},
    "detr": _RESNET,
    "diffusion_gemma": {"text_config": _EXPERTS_OF_GEMMA},
    "diffusion_gemma_text": _EXPERTS_OF_GEMMA,
    "dots1": {"n_routed_experts": 8, "n_shared_experts": 1},
    "emu3": {"vocabulary_map": {"<|extra_200|>": 1}},
    "esm": {"vocab_size": 33, "pad_token_id": 1, "mask_token_id": 32},
    "granite4_vision": {"deepstack_layer_map": [[0, 0]], "downsample_rate": "1/2"},
    "hunyuan_v1_dense": {"head_dim": 128},
    "hunyuan_v1_moe": {"head_dim": 128},
    "hunyuan_vl": {"text_config": {"head_dim": 128}},
    "hunyuan_vl_text": {"head_dim": 128},
    "informer": {"prediction_length": 24},
    "lfm2_moe": {"num_hidden_layers": 4, "layer_types": ["conv", "full_attention", "conv", "full_attention"]},
    "ministral": {"head_dim": 128},
    "moonshine_streaming": {"num_key_value_heads": 8},
    "nemotron": {"num_key_value_heads": 8},
    "pp_ocrv5_server_det": {"intraclass_block_config": _BLOCK, "kernel_list": [3, 2, 2]},
    "pp_ocrv6_medium_det": {"intraclass_block_config": _BLOCK, "kernel_list": [3, 2, 2]},
    "qwen3_omni_moe": {"talker_config": {"text_config": _TALKER, "spatial_merge_size": 2}},
    "qwen3_omni_moe_talker_text": _TALKER,
    "qwen4_exp": {"text_config": _INDEXER},
    "qwen4_exp_text": _INDEXER,
    "reformer": {"is_decoder": True},
    "t5gemma2_encoder": {"text_config": {"dropout_rate": 0.0}},
    "table-transformer": _RESNET,
    "time_series_transformer": {"prediction_length": 24},
    "vitmatte": {"convstream_hidden_sizes": [48, 96, 192], "fusion_hidden_sizes": [256, 128, 64, 32]},
    "wav2vec2-bert": {"vocab_size": 32},
    "wav2vec2-conformer": {"vocab_size": 32},
}
"""What the types need whose defaults alone build nothing."""


def start(model_type: str) -> Fields:
    """The least config of a type that may be built."""
    return {"model_type": model_type} | copy.deepcopy(STARTS.get(model_type, {}))
