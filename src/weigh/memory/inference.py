"""The question `weigh inference` answers: how much memory does it take to serve this model?"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from weigh.dtypes import DTYPES
from weigh.formulas import Range, Step, step
from weigh.memory.estimates import Estimate
from weigh.memory.kv_cache import cache_bytes, cache_format
from weigh.memory.prefill import widest
from weigh.memory.runtimes import Served, bytes_by_runtime, runtime_steps
from weigh.memory.storage_formats import PLAIN, canonical, sixteen_bits, stored, weight_steps
from weigh.models.caches import KeyValue, State
from weigh.models.matrices import vocabulary
from weigh.models.parameters import Model
from weigh.units import positive

UTILIZATION = Fraction(92, 100)
"""The share of a device that an engine gives to weights, cache and activations: vLLM's default
`gpu_memory_utilization` in 2026. The rest is for the driver's context, captured graphs and fragmentation."""

USUAL_CONTEXT = 8192
"""The tokens of a sequence that is served, if nobody says."""

Logits = Literal["last", "all"]


@dataclass(frozen=True, kw_only=True)
class Inference(Estimate):
    """The memory to serve a model, in bytes.

    Attributes:
        model_type: The family.
        dtype: The format of the weights.
        kv_dtype: The format of the cache.
        context: The tokens of each sequence, T.
        batch: The sequences, B.
        weight_bytes: The weights, scales included. Exact.
        runtime: The engine whose cache is counted; `ideal` for one that keeps what each layer needs and nothing else.
        kv_cache_bytes: What all layers keep of all sequences when each is `context` tokens long, under that engine.
        kv_cache_by_runtime: The same under each engine that `weigh` knows; `None` where it is not known.
        kv_cache_bytes_per_token: What the next token of one sequence adds to what layers need. Layers whose window is
            full, states and the encoder's tokens add nothing.
        activation_bytes: The largest set of activations that is there at once while the prompts are read.
        range: From what must be there, however small the pieces in which an engine reads a prompt, to the memory of a
            device on which an engine with a reserve serves this.
    """

    _figures = (
        "model_type", "dtype", "kv_dtype", "runtime", "context", "batch", "weight_bytes", "kv_cache_bytes",
        "kv_cache_by_runtime", "kv_cache_bytes_per_token", "activation_bytes", "total_bytes",
    )  # fmt: skip

    model_type: str
    dtype: str
    kv_dtype: str
    runtime: str
    context: int
    batch: int
    weight_bytes: int
    kv_cache_bytes: int
    kv_cache_by_runtime: dict[str, int | None]
    kv_cache_bytes_per_token: int
    activation_bytes: int

    @property
    def total_bytes(self) -> int:
        """Weights, cache and activations together."""
        return self.weight_bytes + self.kv_cache_bytes + self.activation_bytes


def inference(
    model: Model,
    dtype: str = "bfloat16",
    context: int | None = None,
    batch: int = 1,
    kv_dtype: str | None = None,
    *,
    encoder_context: int | None = None,
    prefill: int | None = None,
    logits: Logits = "last",
    runtime: str = "ideal",
) -> Inference:
    """The memory to serve a model: weights, KV cache, and the activations of a prefill.

    Args:
        model: What `weigh.params` counted.
        dtype: The format of the weights, one of `weigh.STORAGE_FORMATS`.
        context: The tokens of each sequence, prompt and answer together; by default 8,192, or as many as the model
            is made for if these are fewer.
        batch: The sequences that are served at the same time.
        kv_dtype: The format of the cache, a key of `weigh.CACHE_FORMATS`; by default that of the computation.
        encoder_context: The tokens that an encoder reads of each sequence, where there is one; by default `context`.
        prefill: The tokens of each sequence that are read at once; by default all.
        logits: Whether a prefill scores the vocabulary at the last position of each sequence or at all of them. A
            model that guesses masked words scores it at all.
        runtime: The engine whose cache is counted: `transformers`, `vllm` or `llama.cpp`, or `ideal` for what the
            layers need.

    Raises:
        UnknownDtype: If there is no such format.
        ContextTooLong: If there are more tokens than the model has learned positions for.
        WeighError: If a size is not a positive number, the format does not fit the shapes, the model reads images, or
            it is not known what the engine does with such a cache.
    """
    serving = Serving(model, dtype, kv_dtype, encoder_context, prefill, logits, runtime)
    return serving.estimate(serving.tokens(context), positive("batch", batch))


class Serving:
    """A model in one format, for estimates at several contexts and batches. The arguments are those of `inference`."""

    def __init__(
        self,
        model: Model,
        dtype: str = "bfloat16",
        kv_dtype: str | None = None,
        encoder_context: int | None = None,
        prefill: int | None = None,
        logits: Logits = "last",
        runtime: str = "ideal",
    ) -> None:
        if encoder_context is not None:
            model.refuse_beyond("encoder context", positive("encoder context", encoder_context), "encoder_context")
        if prefill is not None:
            positive("prefill", prefill)
        self.model, self.dtype = model, canonical(dtype)
        self.computed = self.dtype if self.dtype in PLAIN else sixteen_bits(model)
        self.kv_dtype = cache_format(kv_dtype or self.computed)
        self.encoder_context, self.prefill, self.runtime = encoder_context, prefill, runtime
        self.weights = stored(model, self.dtype)
        self.weight_bytes = sum(tensor.nbytes for tensor in self.weights)
        self.width, self.vocabulary = widest(model), vocabulary(model)
        # A model that guesses masked words has no last position: it scores the vocabulary at all of them.
        self.logits = "all" if self.vocabulary and not model.caches else logits

    def tokens(self, context: int | None) -> int:
        """The tokens of each sequence: those given, or the default. Raises what `Model.tokens` does."""
        return self.model.tokens("context", context, USUAL_CONTEXT)

    def served(self, context: int, batch: int, prefill: int | None = None) -> Served:
        """What is served, with prompts read so many tokens at once; by default as many as `prefill` says."""
        prompt = min(context, prefill or self.prefill or context)
        encoder = self.encoder_context or context
        return Served(self.model, self.kv_dtype, self.computed, context, batch, encoder, prompt)

    def cache(self, context: int, batch: int, prefill: int | None = None) -> int:
        """The bytes of the cache under its engine."""
        return sum(one.value for one in runtime_steps(self.runtime, self.served(context, batch, prefill)))

    def layers_step(self, tokens: int, batch: int) -> Step:
        """The activations of the widest sublayer."""
        b = DTYPES[self.computed].bits // 8
        symbols = {"D": self.width.residual, "A": self.width.inner, "T": tokens, "B": batch, "b": b}
        return step(f"activations in {self.width.sublayer}", "T · B · (2 · D + A) · b", **symbols)

    def head_step(self, tokens: int, batch: int) -> Step:
        """The activations where the head scores the vocabulary."""
        b, scored = DTYPES[self.computed].bits // 8, tokens if self.logits == "all" else 1
        symbols = {"D": self.width.residual, "S": scored, "V": self.vocabulary, "T": tokens, "B": batch, "b": b}
        return step("activations at the head", "(T · D + S · V) · B · b", **symbols)

    def activations(self, context: int, batch: int) -> Step:
        """The largest set of activations."""
        longest = max(context, self.encoder_context or 0)
        tokens = min(longest, self.prefill or longest)
        return max(self.layers_step(tokens, batch), self.head_step(tokens, batch), key=lambda moment: moment.value)

    def low(self, context: int, batch: int) -> int:
        """Weights, cache, and the activations of one token for each sequence."""
        moment = max(self.layers_step(1, batch).value, self.head_step(1, batch).value)
        return self.weight_bytes + self.cache(context, batch, prefill=1) + moment

    def high(self, context: int, batch: int) -> int:
        """The device on which everything fits beside an engine's reserve."""
        total = self.weight_bytes + self.cache(context, batch) + self.activations(context, batch).value
        return -int(-total // UTILIZATION)

    def estimate(self, context: int, batch: int) -> Inference:
        """Everything at one context and batch."""
        moment = self.activations(context, batch)
        encoder = self.encoder_context or context
        served = self.served(context, batch)
        kept = runtime_steps(self.runtime, served)
        next_token = cache_bytes(self.model.caches, context + 1, 1, self.kv_dtype, encoder)
        return Inference(
            model_type=self.model.model_type, dtype=self.dtype, kv_dtype=self.kv_dtype, runtime=self.runtime,
            context=context, batch=batch, weight_bytes=self.weight_bytes,
            kv_cache_bytes=sum(one.value for one in kept), kv_cache_by_runtime=bytes_by_runtime(served),
            kv_cache_bytes_per_token=next_token - cache_bytes(self.model.caches, context, 1, self.kv_dtype, encoder),
            activation_bytes=moment.value,
            range=Range(
                self.low(context, batch), self.high(context, batch),
                "from prompts read token by token to prompts read at once beside an engine's reserve",
            ),
            steps=(*weight_steps(self.weights), *kept, moment),
            assumptions=tuple(self.assumptions(context)),
        )  # fmt: skip

    def assumptions(self, context: int) -> list[str]:
        """What the figures rest on, a sentence each."""
        read = f"{self.prefill:,} tokens of each prompt are" if self.prefill else "each prompt is"
        said = [
            f"{read} read at once, all sequences together, with fused attention and activations in {self.computed}",
            f"the vocabulary is scored at {'every position' if self.logits == 'all' else 'the last position'}",
            f"an engine leaves {float(1 - UTILIZATION):.0%} of the device to itself in the upper figure",
        ]
        if self.runtime == "ideal" and any(isinstance(one, KeyValue) and one.window for one in self.model.caches):
            said.append("layers with a window keep no token outside it")
        if any(isinstance(layer, KeyValue) and layer.cross for layer in self.model.caches):
            said.append(f"the encoder reads {f'{self.encoder_context:,}' if self.encoder_context else 'T'} tokens")
        elif {"vision", "audio"} & set(self.model.part_of.values()):
            said.append("images and sound are tokens of the context, and what their encoders need is left out")
        wide = any(isinstance(layer, State) and layer.dtype == "float32" for layer in self.model.caches)
        if self.runtime == "ideal" and wide:
            said.append("a recurrent state is kept in float32, as transformers does; some engines keep it in 16 bits")
        named = self.model.config.fields.get("max_position_embeddings")
        if isinstance(named, int) and context > named:
            said.append(f"the memory is that of {context:,} tokens, though max_position_embeddings is {named:,}")
        if not self.model.caches:
            said.append("the model has no cache: it keeps nothing between steps")
        return said


def largest_context(model: Model, memory: int, *, batch: int = 1, bound: bool = False, **options: Any) -> int | None:
    """The longest sequences that can be served in so many bytes of memory.

    Args:
        model: What `weigh.params` counted.
        memory: The bytes of the device.
        batch: The sequences.
        bound: Give what no engine can exceed (`low_bytes`), and not what one with a reserve serves (`high_bytes`).
        **options: Those of `inference`: `dtype`, `kv_dtype`, `encoder_context`, `prefill`, `logits`,
            `runtime`.

    Returns:
        The tokens of each sequence; 0 if not even one fits, `None` if there is no limit. No more than the model has
        learned positions for.
    """
    serving = Serving(model, **options)
    needed = serving.low if bound else serving.high
    found, rows = largest_fitting(lambda context: needed(context, batch) <= memory), model.positions.get("context")
    return min((limit for limit in (found, rows) if limit is not None), default=None)


def largest_batch(
    model: Model, memory: int, *, context: int | None = None, bound: bool = False, **options: Any
) -> int | None:
    """The most sequences of a given length that can be served in so many bytes of memory.

    Args:
        model, memory, bound, options: As for `largest_context`.
        context: The tokens of each sequence; by default as for `inference`.

    Returns:
        The sequences; 0 if not even one fits.

    Raises:
        ContextTooLong: If there are more tokens than the model has learned positions for.
    """
    serving = Serving(model, **options)
    needed, tokens = serving.low if bound else serving.high, serving.tokens(context)
    return largest_fitting(lambda batch: needed(tokens, batch) <= memory)


def largest_fitting(fits: Callable[[int], bool], limit: int = 2**48) -> int | None:
    """The largest number that fits, by bisection; `None` if the limit does."""
    if fits(limit):
        return None
    low, high = 0, 1
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
