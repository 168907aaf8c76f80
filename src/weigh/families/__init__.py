"""Families of models, a module each: the list of a model's tensors, and what its layers keep while it generates.

To add one, write a module with a `Family` and name it here.
"""

from weigh.families.bert import BERT
from weigh.families.gpt2 import GPT2
from weigh.families.llama import LLAMA
from weigh.families.parts import Family, Routed, TiedTo

__all__ = ["FAMILIES", "Family", "Routed", "TiedTo"]

FAMILIES: dict[str, Family] = {
    "gpt2": GPT2,
    "llama": LLAMA,
    "bert": BERT,
}
"""Every family that `weigh` knows, by the `model_type` of its configs."""
