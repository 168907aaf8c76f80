"""How much memory do the activations of a forward pass take, when none is kept for a backward pass?

At any time there are the residual stream, the input of the sublayer that runs, and what its matrices have given so far.
What counts is the widest moment. In a gated feed-forward network that is when the gate, the other half and their
product are there: 2 · D + 3 · F numbers for each token. Attention is taken to be fused (Dao et al. 2022, arXiv
2205.14135), so that no T x T scores are ever there; with an unfused one they are the largest tensor by far. What is no
longer needed is taken to be gone: transformers holds the embeddings and the input of the layer for as long as its
functions run, two more times D, and an activation that is computed in several steps, such as GPT-2's, more still.
"""

from dataclasses import dataclass

from weigh.errors import UnsupportedField
from weigh.models.caches import KeyValue
from weigh.models.matrices import Matrix, known_experts, sublayer_name, sublayers
from weigh.models.parameters import Model


@dataclass(frozen=True, slots=True)
class Width:
    """The numbers that are there for each token while a sublayer runs.

    Attributes:
        sublayer: Its name.
        residual: D, the width of the model, which is there twice: as the residual stream and as the input.
        inner: What the matrices of the sublayer have given.
    """

    sublayer: str
    residual: int
    inner: int

    @property
    def numbers(self) -> int:
        """All of them."""
        return 2 * self.residual + self.inner


def widest(model: Model) -> Width:
    """The widest sublayer of any layer.

    Of a language model that sees or hears, the widest where it reads tokens; of one that has an encoder for sound and
    attends across to it, of both.

    Raises:
        UnsupportedField: If the model reads images and does not generate, or has no matrices in its layers.
    """
    if not model.caches and any(len(tensor.shape) > 3 for tensor in model.named):
        raise UnsupportedField(
            f"model type {model.model_type}", "reads images; weigh estimates the inference of models that read tokens"
        )
    parts, across = model.part_of, any(isinstance(layer, KeyValue) and layer.cross for layer in model.caches)
    read = ("text", "audio") if across else ("text",)
    chosen = [found for found in sublayers(model) if parts.get(found[0].tensor.name, "text") in read]
    if not chosen:
        raise UnsupportedField(
            f"model type {model.model_type}", "has no matrices in its layers that weigh knows; weigh params counts it"
        )
    return max((_width(model, found) for found in chosen), key=lambda width: width.numbers)


def _width(model: Model, found: list[Matrix]) -> Width:
    """All that the matrices give but the last, and what goes into the last: the product of a gate, or the attention.

    Through a set of experts each token goes several times: it is copied, and so is what comes out.
    """
    name = sublayer_name(found)
    if found[0].tensor.experts and not found[0].experts:  # experts in a list, each of its own matrices
        found = list({matrix.tensor.role: matrix for matrix in found}.values())
    last = next((matrix for matrix in found if matrix.leads_back), found[-1])
    inner = sum(matrix.outputs for matrix in found if matrix is not last) + last.inputs
    if last.tensor.experts:
        used, _ = known_experts(model, last.tensor)
        inner = used * (inner + 2 * last.outputs)
    return Width(name, last.outputs, inner)
