"""A cache in pages, as vLLM's planner lays it out: groups of layers share a table of pages of one size."""

from collections import Counter
from dataclasses import dataclass

from weigh.dtypes import DTYPES
from weigh.formulas import Step, step
from weigh.models.caches import Caches, KeyValue, Latent, State

TOKENS = 16
"""The tokens of a page."""


@dataclass(frozen=True, slots=True)
class Paged:
    """A layer in pages.

    Attributes:
        kind: How long its pages are held: `full`, `window`, `cross` or `state`.
        layout: What else tells it apart from layers that could share its table.
        window: The tokens that it looks back to.
        page: The bytes of a page of `tokens` tokens; those of all of a state.
        tokens: The tokens of a page.
    """

    kind: str
    layout: tuple[int, ...]
    window: int
    page: int
    tokens: int = TOKENS

    def pages(self, context: int, encoder: int, prompt: int) -> int:
        """The pages that a sequence needs at most."""
        match self.kind:
            case "state":
                return 1
            case "window":
                return -(-min(self.window - 1 + prompt, context) // self.tokens) + 1
            case "cross":
                return -(-encoder // self.tokens)
        return -(-context // self.tokens)


def paged_steps(caches: Caches, size: int, context: int, batch: int, encoder: int, prompt: int) -> list[Step]:
    """The formula of the pages of every group of layers, with its numbers.

    Args:
        caches: What each layer keeps, but no vectors. Every state is in a format of its own.
        size: The bytes of a number of keys and values.
        context: The tokens of each sequence.
        batch: The sequences.
        encoder: The tokens of each sequence that an encoder has read.
        prompt: The tokens that are read at once.
    """
    layers = Counter(_one_page(_layers(caches, size)))
    least, most = min(layers.values(), default=0), max(layers.values(), default=0)
    group = most if most < 1.5 * least else least
    if len({(layer.kind, layer.window) for layer in layers}) == 1:
        group = 0
    steps = []
    for layer, number in layers.items():
        groups, width = (-(-number // group), group) if group else (1, number)
        pages = groups * layer.pages(context, encoder, prompt)
        name = f"pages of {layer.kind} layers, {number} in {groups} groups of {width}"
        steps.append(step(name, "L · P · S · B", L=width, P=pages, S=layer.page, B=batch))
    return steps


def _layers(caches: Caches, size: int) -> list[Paged]:
    """The layers as pages, each with the size that its numbers need."""
    found: list[Paged] = []
    joins = False  # whether a state continues the layer before it
    for cache in caches:
        if isinstance(cache, State):
            numel = cache.numel * (cache.kernel - 1) // cache.kernel if cache.kernel else cache.numel
            kept = numel * DTYPES[cache.dtype or "float32"].bits // 8
            if joins and not cache.kernel:
                found[-1] = Paged("state", (), 0, found[-1].page + kept)
            else:
                found.append(Paged("state", (), 0, kept))
            joins = bool(cache.kernel)
            continue
        joins = False
        layout: tuple[int, ...]
        if isinstance(cache, Latent):
            layout = (cache.rank, cache.rope)
            numbers, kind = cache.rank + cache.rope, "full"
        elif isinstance(cache, KeyValue):
            layout, numbers = (cache.heads, cache.key, cache.value), cache.heads * (cache.key + cache.value)
            kind = "cross" if cache.cross else "full"
        else:
            raise TypeError(f"no page is known for {cache}")
        kind = kind if cache.window is None else "window"
        found.append(Paged(kind, layout, cache.window or 0, TOKENS * numbers * size))
    return found


def _one_page(layers: list[Paged]) -> list[Paged]:
    """The layers with pages of one size, where they are of several kinds."""
    if len({(layer.kind, layer.window) for layer in layers}) < 2:
        return layers
    states = max((layer.page for layer in layers if layer.kind == "state"), default=0)
    latent = any(len(layer.layout) == 2 for layer in layers)
    aligned = []
    for layer in layers:
        if layer.kind != "state" and states:  # a page of tokens is made as large as that of a state
            step_of = max(TOKENS, 128) if latent else TOKENS
            token = layer.page // TOKENS
            tokens = step_of * -(-states // (step_of * token))
            layer = Paged(layer.kind, layer.layout, layer.window, tokens * token, tokens)
        aligned.append(layer)
    largest = max(layer.page for layer in aligned)
    return [_of_size(layer, largest) for layer in aligned]


def _of_size(layer: Paged, page: int) -> Paged:
    """A layer with larger pages: of more tokens where they divide it, else padded."""
    times = page // layer.page if layer.kind != "state" and page % layer.page == 0 else 1
    return Paged(layer.kind, layer.layout, layer.window, page, layer.tokens * times)
