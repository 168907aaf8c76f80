"""Adapters of PEFT's: the weights that are added to those of a model, which `PeftModel.from_pretrained` puts into it.

It looks for `adapter_config.json` and `adapter_model.safetensors`, in one file whatever its size, under names without
the adapter's own (`get_peft_model_state_dict` in `peft/utils/save_and_load.py`).
"""

import re
from pathlib import Path

from weigh import errors, sources
from weigh.tensors import Contents, Tensor

CONFIG = "adapter_config.json"
STEM = "adapter_model"

_PART = (
    r"lora_(?:A|B|embedding_A|embedding_B|magnitude_vector|down|up)|lora\.(?:down|up)|ia3_l|hada_[wt][12]\w*|"
    r"lokr_[wt][12]\w*|vera_lambda_[bd]|v?b?oft_\w+|randlora_\w+|adaption_(?:prompt|gate)"
)
_ADAPTER = re.compile(rf"(?:^|\.)(?:{_PART}|prompt_embeddings)(?:\.|$)")
_OWN_NAME = re.compile(r"(\.(?:lora_[A-Z]|lora_embedding_[A-Z]|lora_magnitude_vector))\.(?!weight$)([^.]+)(\.weight)?$")


def is_adapter(home: Path, contents: Contents) -> bool:
    """Whether a checkpoint has an adapter's weights, and the directory the config of one."""
    if sources.is_remote(home) or not (home / CONFIG).is_file():
        return False
    return any(_ADAPTER.search(tensor.name) for tensor in contents.named if tensor.component == "weights")


def as_loaded(contents: Contents, named: dict[str, Tensor], *, configured: bool) -> dict[str, Tensor]:
    """The weights under the names that what loads them knows: of a model they stay, of an adapter its own name goes.

    Args:
        contents: The checkpoint, for an error.
        named: Its weights.
        configured: Whether the config of an adapter is beside them.

    Raises:
        NothingToExport: If they are an adapter's with no config, or a model with an adapter in it that was not merged.
    """
    own = [name for name in named if _ADAPTER.search(name)]
    of_peft = [name for name in named if name.startswith("base_model.")]
    based = {name.partition(".base_layer.")[0] for name in of_peft if ".base_layer." in name}
    if based & {name.partition(".lora_A.")[0] for name in own}:  # the file of an adapter may have a whole embedding
        raise errors.NothingToExport(
            contents.path,
            "is a model of PEFT's with an adapter that is not merged, which nothing loads by these names; save what "
            "model.merge_and_unload() gives, or the adapter by model.save_pretrained()",
        )
    if not configured and own and len(own) in (len(named), len(of_peft)):
        raise errors.NothingToExport(
            contents.path,
            f"is an adapter, which nothing loads without its {CONFIG}; put that beside it, or save the adapter by "
            "model.save_pretrained()",
        )
    if not configured:
        return named
    bare = {_OWN_NAME.sub(r"\1\3", name): tensor for name, tensor in named.items()}
    return bare if len(bare) == len(named) else named
