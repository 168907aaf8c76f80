"""Optimizer state: what each optimizer of each library keeps of the weights that it trains.

To add an optimizer, write one function below `@optimizer` in the module of its library: the commands, their errors and
the estimates know it then. To add a library, write its module and name that in `LIBRARIES`.
"""

from weigh.memory.optimizers.catalogue import OPTIMIZER_ALIASES, OPTIMIZERS
from weigh.memory.optimizers.choosing import Chosen, find, optimizer_state

__all__ = ["OPTIMIZERS", "OPTIMIZER_ALIASES", "Chosen", "find", "optimizer_state"]
