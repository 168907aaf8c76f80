"""LoRA (Hu et al. 2021, arXiv 2106.09685) and QLoRA (Dettmers et al. 2023, arXiv 2305.14314): train two thin matrices
beside each frozen one, and with QLoRA keep the frozen ones in four bits.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from weigh.dtypes import bytes_of, dtype
from weigh.errors import WeighError
from weigh.memory.storage_formats import storage_format
from weigh.models.matrices import is_hidden_matrix, sides
from weigh.models.parameters import Model
from weigh.tensors import Tensor
from weigh.units import positive


@dataclass(frozen=True, slots=True)
class Lora:
    """LoRA adapters, to train in place of the model.

    They are kept in the format of the precision policy's state. That is float32, as PEFT keeps adapters beside a 16-bit
    model unless it is told otherwise (`autocast_adapter_dtype=False`), for every policy but `bf16`.

    Attributes:
        rank: The inner dimension r of each pair: a matrix (outputs, inputs) gets one of (r, inputs) and one of
            (outputs, r). A fused matrix, such as GPT-2's for queries, keys and values, gets one pair.
        targets: The names of the modules to adapt, such as `("q_proj", "v_proj")`; every matrix inside the layers if
            empty. Experts that are stacked in one tensor are no modules, and stay as they are.
        nf4: Keep the matrices inside the layers in NF4 with doubly quantized scales (QLoRA), the others in 16 bits.
    """

    rank: int
    targets: tuple[str, ...] = ()
    nf4: bool = False

    def adapted(self, model: Model) -> list[Tensor]:
        """Matrices that get adapters.

        Raises:
            WeighError: If the rank is not positive, or a target is the name of no matrix inside the layers.
        """
        positive("rank of the adapters", self.rank)
        matrices = {tensor: tensor.name.split(".")[-2] for tensor in model.distinct if is_hidden_matrix(tensor)}
        modules = set(matrices.values())
        if not modules:
            raise WeighError("adapters", f"{model.model_type} has no matrices inside its layers for LoRA to adapt")
        for target in self.targets:
            if target not in modules:
                known = ", ".join(sorted(modules))
                raise WeighError(f"target {target!r:.40}", f"is no matrix of a layer of this model; those are {known}")
        return [tensor for tensor, module in matrices.items() if module in (self.targets or modules)]

    def adapters(self, model: Model) -> list[Tensor]:
        """Adapter tensors in pairs, (r, inputs) and (outputs, r), under the names that PEFT gives them."""
        pairs = []
        for tensor in self.adapted(model):
            outputs, inputs = sides(tensor)
            for part, shape in (("lora_A", (self.rank, inputs)), ("lora_B", (outputs, self.rank))):
                name = f"{tensor.name.removesuffix('.weight')}.{part}.weight"
                end = 4 * shape[0] * shape[1]
                pairs.append(Tensor(name, shape, "float32", name, 0, end, role=tensor.role, layer=tensor.layer))
        return pairs


def frozen_bytes(tensors: Iterable[Tensor], weights: str, nf4: bool) -> int:
    """The bytes of frozen weights in the `weights` format, or, inside the layers, in doubly quantized NF4."""
    packed = storage_format("nf4-double")
    return sum(
        packed.nbytes(*sides(tensor)) if nf4 and is_hidden_matrix(tensor) else bytes_of(tensor.numel, dtype(weights))
        for tensor in tensors
    )
