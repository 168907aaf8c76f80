"""The bytes of a quantized model: those of each matrix by its scheme, and of all else as it is."""

from collections.abc import Mapping
from typing import Any

from weigh.dtypes import DTYPES, bytes_of
from weigh.models.quantization import Saved
from weigh.models.quantization.matrices import matrices
from weigh.models.quantization.names import Names
from weigh.models.quantization.schemes import Plan, plan
from weigh.models.quantization.unknown import Unknown
from weigh.tensors import Tensor

_OTHER_PARTS = ("vision_config", "audio_config", "speech_config", "encoder_config")

_KEPT = {
    **dict.fromkeys(("t5", "mt5", "umt5", "udop", "pop2piano"), ("wo",)),
    **dict.fromkeys(("deepseek_v32", "glm_moe_dsa", "axk2", "mistral_large4"), ("indexer.weights_proj",)),
    **dict.fromkeys(("afmoe", "longcat_flash", "deepseek_v4", "blip-2"), None),
}
"""The modules that classes of transformers keep in more bits (`_keep_in_fp32_modules`); `None` where more is to it."""


def weighed(settings: Mapping[str, Any], fields: Mapping[str, Any], named: tuple[Tensor, ...], dtype: str) -> Saved:
    """What a model takes as its quantizer saves it.

    Args:
        settings: What its config says of quantization.
        fields: All fields of its config.
        named: Its tensors, tied ones too, each with its role.
        dtype: The number format of what is not quantized.
    """
    method = settings.get("quant_method")
    name = method if isinstance(method, str) else "compressed-tensors" if "config_groups" in settings else "unknown"
    if method is None and (settings.get("load_in_4bit") is True or settings.get("load_in_8bit") is True):
        name = "bitsandbytes"
    if name == "mxfp4" and not fields.get("dtype") and not fields.get("torch_dtype"):
        dtype = "bfloat16"  # what transformers takes beside such experts, and files hold
    try:
        how, kept = plan(name, settings, dtype), _KEPT.get(str(fields.get("model_type")), ())
        if how.layers_only and how.left is None and any(isinstance(fields.get(one), dict) for one in _OTHER_PARTS):
            raise Unknown("it does not say which parts of a multimodal model it converts")
        if how.by_transformers and (kept is None or (kept and dtype == "float16")):
            raise Unknown("transformers keeps some of its modules in float32")
        return _weighed(name[:40], how, named, dtype, kept or ())
    except Unknown as unknown:
        return Saved(name[:40], None, None, unknown=str(unknown))


def _weighed(method: str, how: Plan, named: tuple[Tensor, ...], dtype: str, kept: tuple[str, ...]) -> Saved:
    left = how.left if how.left is not None else Names([])
    usual = Names([*(_usually_left(named) if how.leaves_usual else ()), *(kept if how.by_transformers else ())])
    total = parameters = within = 0
    for tensor in named:
        if tensor.name != tensor.storage:
            continue
        size = bytes_of(tensor.numel, DTYPES[dtype])
        for matrix in matrices(tensor):
            if matrix.kind == "expert" and matrix.kind not in how.kinds and how.experts_unknown:
                raise Unknown("its experts are saved in one tensor or in many, by the version that wrote it")
            asked = tensor.name if how.by_parameter else matrix.module
            if matrix.kind not in how.kinds or (how.layers_only and not matrix.in_layer):
                continue
            if left.has(asked) or usual.has(asked):
                continue
            cost = how.cost(matrix)
            if cost is not None:
                size = matrix.count * cost
                parameters += tensor.numel
                within += matrix.count * how.within
        total += size
    return Saved(method, total, parameters, within)


def _usually_left(named: tuple[Tensor, ...]) -> list[str]:
    """What transformers leaves if no list says otherwise: tied tensors, the last parameter, and the output matrix."""
    tied = {name for one in named if one.name != one.storage for name in (one.name, one.storage)}
    heads = {one.name for one in named if one.role == "lm head"}
    return [name.removesuffix(".weight") for name in tied | heads | {one.name for one in named[-1:]}]
