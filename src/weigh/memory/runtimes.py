"""How many bytes does an engine keep, or set aside, for the cache of a model?

What a model needs is one number (`weigh.memory.kv_cache`), and engines differ from it: they round up, hold a window's
whole prompt for a while, or give every kind of layer pages of one size. Each function says for which version it was
read, and against what it was checked.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from weigh.dtypes import DTYPES
from weigh.errors import WeighError
from weigh.formulas import Step
from weigh.memory.kv_cache import cache_steps
from weigh.memory.paged_cache import paged_steps
from weigh.models.caches import Caches, KeyValue, Latent, State, Vectors
from weigh.models.parameters import Model

PLAIN = ("float32", "bfloat16", "float16")
OF_LLAMA_CPP = (*PLAIN, "q8_0", "q5_1", "q5_0", "q4_1", "q4_0")
OF_VLLM = (*PLAIN, "float8_e4m3fn", "float8_e5m2")

CELLS = 256
"""The multiple to which llama.cpp rounds up the tokens of a sequence."""

MICRO_BATCH = 512
"""The tokens that llama.cpp computes at once: its default `--ubatch-size`."""

WINDOWS_OF_LLAMA_CPP = frozenset({
    "afmoe", "cohere2", "cohere2_moe", "exaone4", "exaone_moe", "gemma2", "gemma3", "gemma3_text", "gemma3n",
    "gemma3n_text", "gemma4", "gemma4_text", "gpt_oss", "granite_swa", "granitemoe_swa", "laguna", "llama4",
    "llama4_text", "mellum", "mimo_v2_flash", "muse_glimmer", "olmo3",
})  # fmt: skip
"""The model types whose windows llama.cpp makes use of. Of all others it keeps every token, such as of Mistral."""

UNCHECKED = frozenset({
    "inkling2", "inkling2_text", "inkling_mm_model", "inkling_text", "mllama", "mllama_text_model", "recurrent_gemma",
    "rwkv", "xlstm", "zaya",
})  # fmt: skip
"""The model types whose states, or keys of images, were not checked against vLLM and llama.cpp."""


@dataclass(frozen=True, slots=True)
class Served:
    """What is served: a model, and how.

    Attributes:
        model: What `weigh.params` counted.
        dtype: The format of the cache, a key of `CACHE_FORMATS`.
        computed: The format of the computation, in which engines keep states that need no more digits.
        context: The tokens of each sequence.
        batch: The sequences.
        encoder: The tokens of each sequence that an encoder has read.
        prompt: The tokens of a prompt that are read at once.
    """

    model: Model
    dtype: str
    computed: str
    context: int
    batch: int
    encoder: int
    prompt: int


def ideal(served: Served) -> list[Step] | None:
    """What each layer needs of the tokens so far, and nothing else."""
    return _steps(served, served.model.caches)


def transformers(served: Served) -> list[Step] | None:
    """The tensors of a `DynamicCache` of transformers 5.23.0, once the prompt was read.

    A layer with a window keeps W - 1 tokens of what was there and all that were just read, until the next call: after
    a prompt that is read at once its tensors show W - 1 tokens of a storage that holds them all, after the next token
    W. So do the tokens of DeepSeek-V4 that wait for their group, and XLNet's memory, which shows W. Falcon's new
    architecture keeps its shared heads once for each that asks, and GPT-Neo no window. Checked against the storages of
    the tensors. Caches of fewer bits are other classes, and not counted.
    """
    if served.dtype not in PLAIN:
        return None
    sizes, kind = served.model.sizes, served.model.model_type
    kept: Caches = []
    for layer in served.model.caches:
        if not isinstance(layer, State) and layer.window is not None:
            held = None if kind == "gpt_neo" else layer.window - (not isinstance(layer, Vectors)) + served.prompt
            layer = replace(layer, window=held if held is not None and held < served.context else None)
        if isinstance(layer, Vectors) and layer.waiting:
            waited = (served.context - served.prompt) % layer.every + served.prompt
            kept.append(State(layer.waiting * waited))
            layer = replace(layer, waiting=0)
        if isinstance(layer, KeyValue) and kind == "falcon" and layer.heads > 1:
            layer = replace(layer, heads=sizes.H)
        kept.append(layer)
    return _steps(served, kept)


def llama_cpp(served: Served) -> list[Step] | None:
    """What llama.cpp allocates, as of 0.3.36 of llama-cpp-python, when its context is made for these sequences.

    Each sequence has a multiple of 256 cells; a layer with a window as many as W and a micro-batch of 512 tokens need,
    where llama.cpp knows the window (`llama_kv_cache_iswa`; its library has `swa_full` on by default, its programs
    off). Latent attention keeps the vector and no value. States are float32, and a convolution's last inputs k - 1
    (`llama_hparams::n_embd_r`). A cache in float32 takes its bytes, though with flash attention, which is the server's
    default, its logits are those of float16. Checked against what its context reports.
    """
    caches, kind = served.model.caches, served.model.model_type
    if served.dtype not in OF_LLAMA_CPP or any(isinstance(layer, KeyValue) and layer.cross for layer in caches):
        return None
    if kind in UNCHECKED or any(isinstance(layer, Vectors) for layer in caches):
        return None
    kept: Caches = []
    for layer in caches:
        if isinstance(layer, State):
            inputs = Fraction(layer.kernel - 1, layer.kernel) if layer.kernel else 1
            layer = replace(layer, numel=int(layer.numel * inputs), dtype="float32")
        elif isinstance(layer, Latent) and (layer.index or layer.window):
            return None
        elif layer.window is not None:
            cells = rounded(layer.window + MICRO_BATCH, CELLS)
            layer = replace(layer, window=cells if kind in WINDOWS_OF_LLAMA_CPP else None)
        kept.append(layer)
    return _steps(replace(served, context=rounded(served.context, CELLS)), kept)


def vllm(served: Served) -> list[Step] | None:
    """The pages that vLLM 0.33.0 has to have free to take these sequences, on one device.

    A page holds 16 tokens of a layer. A layer with a window holds W - 1 tokens and those that are being read, and one
    page more, so that after a prompt read at once it saves nothing. Where layers differ, all get pages of one size,
    and groups of as many layers share a table of pages: smaller ones are padded
    (`vllm.v1.core.kv_cache_planning`). A state has one page, with k - 1 inputs of a convolution; without prefix
    caching. Checked against that planner.
    """
    caches = served.model.caches
    if served.dtype not in OF_VLLM or any(isinstance(layer, Latent) and layer.index for layer in caches):
        return None
    if served.model.model_type in UNCHECKED or any(isinstance(layer, Vectors) for layer in caches):
        return None
    wide = served.model.model_type.startswith(("nemotron_h", "kimi_linear", "qwen3_5", "bailing_hybrid"))
    state = "float32" if wide else served.computed
    kept = [replace(layer, dtype=state if layer.dtype else served.computed) if isinstance(layer, State) else layer
            for layer in caches]  # fmt: skip
    return paged_steps(kept, DTYPES[served.dtype].bits // 8, served.context, served.batch, served.encoder,
                       served.prompt)  # fmt: skip


RUNTIMES: dict[str, Callable[[Served], list[Step] | None]] = {
    "ideal": ideal,
    "transformers": transformers,
    "vllm": vllm,
    "llama.cpp": llama_cpp,
}
"""The engines whose caches `weigh` knows, by name. A function gives the steps of its bytes, or `None` for a format or
a kind of layer that is not known to it."""


def runtime_steps(runtime: str, served: Served) -> list[Step]:
    """The formulas of an engine's cache, with their numbers.

    Raises:
        WeighError: If there is no such engine, or it is not known what it does with such a cache.
    """
    if runtime not in RUNTIMES:
        raise WeighError(f"runtime {runtime!r:.40}", f"not known to weigh, which knows {', '.join(RUNTIMES)}")
    steps = RUNTIMES[runtime](served)
    if steps is None:
        raise WeighError(
            f"runtime {runtime}",
            f"weigh does not know what it does with the cache of {served.model.model_type} in {served.dtype}; "
            "ask without --runtime",
        )
    return steps


def bytes_by_runtime(served: Served) -> dict[str, int | None]:
    """The bytes of the cache under each engine; `None` where it is not known."""
    found = {name: steps(served) for name, steps in RUNTIMES.items()}
    return {name: None if steps is None else sum(step.value for step in steps) for name, steps in found.items()}


def rounded(number: int, multiple: int) -> int:
    """A number, rounded up to a multiple."""
    return -(-number // multiple) * multiple


def _steps(served: Served, caches: Caches) -> list[Step]:
    return cache_steps(caches, served.context, served.batch, served.dtype, served.encoder)
