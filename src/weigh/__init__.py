"""Weigh model files: what is in a checkpoint, how many parameters a config describes, how many bytes both take.

    >>> import weigh
    >>> weigh.inspect("model.safetensors").parameters  # doctest: +SKIP
    >>> weigh.params("config.json").bytes_as("bfloat16")  # doctest: +SKIP

Importing `weigh` imports neither torch nor any other package, and a module of its own when a name of it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weigh.activation_memory import Activations, activations, korthikanti
    from weigh.beams import Hypothesis, beam_search
    from weigh.bpe import Merge, train_bpe
    from weigh.checkpoints import MEGATRON, PRECISIONS, Checkpoint, Precision, checkpoint
    from weigh.decoding import Choice, greedy, min_p, temperature, top_k, top_p, typical_p
    from weigh.difference import Change, Difference, diff
    from weigh.dtypes import DTYPES, DType
    from weigh.errors import WeighError
    from weigh.exporting import Export, export
    from weigh.generation import Generation, generate, sample
    from weigh.inspection import inspect
    from weigh.kv_cache import CACHE_FORMATS
    from weigh.lora import Lora
    from weigh.modules import Module, tree
    from weigh.optimizers import OPTIMIZERS
    from weigh.parameters import Model, params
    from weigh.payload import load
    from weigh.penalties import frequency_penalty, no_repeat_ngram, presence_penalty, repetition_penalty
    from weigh.planner import Plan, daly, plan, wall_time, young
    from weigh.roofline import Bound, decode_bound, experts_touched, prefill_bound
    from weigh.samplers import SAMPLER_ORDERS, filter_logits
    from weigh.serving import Inference, inference, largest_batch, largest_context
    from weigh.speculative import (
        Speculation,
        TargetPass,
        acceptance_probability,
        expected_tokens,
        judge_draft,
        residual_distribution,
        speculate,
    )
    from weigh.storage_formats import STORAGE_FORMATS, Stored, bits_per_weight, stored
    from weigh.tensors import Contents, Tensor
    from weigh.tokenization import Token, Tokenizer, tokenizer
    from weigh.training_memory import Training, training
    from weigh.units import GB, MB, TB, GiB, KiB, MiB, TiB, format_bytes, kB, parse_bytes
    from weigh.work import Range, Step

__all__ = [
    "CACHE_FORMATS",
    "DTYPES",
    "GB",
    "MB",
    "MEGATRON",
    "OPTIMIZERS",
    "PRECISIONS",
    "SAMPLER_ORDERS",
    "STORAGE_FORMATS",
    "TB",
    "Activations",
    "Bound",
    "Change",
    "Checkpoint",
    "Choice",
    "Contents",
    "DType",
    "Difference",
    "Export",
    "Generation",
    "GiB",
    "Hypothesis",
    "Inference",
    "KiB",
    "Lora",
    "Merge",
    "MiB",
    "Model",
    "Module",
    "Plan",
    "Precision",
    "Range",
    "Speculation",
    "Step",
    "Stored",
    "TargetPass",
    "Tensor",
    "TiB",
    "Token",
    "Tokenizer",
    "Training",
    "WeighError",
    "acceptance_probability",
    "activations",
    "beam_search",
    "bits_per_weight",
    "checkpoint",
    "daly",
    "decode_bound",
    "diff",
    "expected_tokens",
    "experts_touched",
    "export",
    "filter_logits",
    "format_bytes",
    "frequency_penalty",
    "generate",
    "greedy",
    "inference",
    "inspect",
    "judge_draft",
    "kB",
    "korthikanti",
    "largest_batch",
    "largest_context",
    "load",
    "min_p",
    "no_repeat_ngram",
    "params",
    "parse_bytes",
    "plan",
    "prefill_bound",
    "presence_penalty",
    "repetition_penalty",
    "residual_distribution",
    "sample",
    "speculate",
    "stored",
    "temperature",
    "tokenizer",
    "top_k",
    "top_p",
    "train_bpe",
    "training",
    "tree",
    "typical_p",
    "wall_time",
    "young",
]

_MODULES = {
    "activation_memory": "Activations activations korthikanti",
    "beams": "Hypothesis beam_search",
    "bpe": "Merge train_bpe",
    "checkpoints": "MEGATRON PRECISIONS Checkpoint Precision checkpoint",
    "decoding": "Choice greedy min_p temperature top_k top_p typical_p",
    "difference": "Change Difference diff",
    "dtypes": "DTYPES DType",
    "errors": "WeighError",
    "exporting": "Export export",
    "generation": "Generation generate sample",
    "inspection": "inspect",
    "kv_cache": "CACHE_FORMATS",
    "lora": "Lora",
    "modules": "Module tree",
    "optimizers": "OPTIMIZERS",
    "parameters": "Model params",
    "payload": "load",
    "penalties": "frequency_penalty no_repeat_ngram presence_penalty repetition_penalty",
    "planner": "Plan daly plan wall_time young",
    "roofline": "Bound decode_bound experts_touched prefill_bound",
    "samplers": "SAMPLER_ORDERS filter_logits",
    "serving": "Inference inference largest_batch largest_context",
    "speculative": "Speculation TargetPass acceptance_probability expected_tokens judge_draft "
    "residual_distribution speculate",
    "storage_formats": "STORAGE_FORMATS Stored bits_per_weight stored",
    "tensors": "Contents Tensor",
    "tokenization": "Token Tokenizer tokenizer",
    "training_memory": "Training training",
    "units": "GB MB TB GiB KiB MiB TiB format_bytes kB parse_bytes",
    "work": "Range Step",
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names.split():
            globals()[name] = value = getattr(import_module(f"weigh.{module}"), name)
            return value
    raise AttributeError(f"module 'weigh' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
