"""Recurrent layers of `torch.nn`, and single steps of them, by the shapes of their gates."""

from typing import Any

from weigh.models.constructors.modules import Module
from weigh.models.constructors.sizes import sized


class Recurrent(Module):
    """Layers of gates, each with matrices of its inputs and of its state, and two biases."""

    gates = 1

    def __init__(self, input_size: Any, hidden_size: Any, num_layers: Any = 1, bias: Any = True,
                 batch_first: Any = False, dropout: Any = 0, bidirectional: Any = False, proj_size: Any = 0,
                 **named: Any) -> None:  # fmt: skip
        super().__init__()
        directions = 2 if bidirectional else 1
        state = proj_size or hidden_size
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else state * directions
            for suffix in ("", "_reverse")[:directions]:
                rows, end = self.gates * hidden_size, f"l{layer}{suffix}"
                setattr(self, f"weight_ih_{end}", sized(rows, inputs))
                setattr(self, f"weight_hh_{end}", sized(rows, state))
                if bias:
                    setattr(self, f"bias_ih_{end}", sized(rows))
                    setattr(self, f"bias_hh_{end}", sized(rows))
                if proj_size:
                    setattr(self, f"weight_hr_{end}", sized(proj_size, hidden_size))


class RNN(Recurrent):
    """A recurrent layer with no gate."""


class GRU(Recurrent):
    """A recurrent layer with three gates."""

    gates = 3


class LSTM(Recurrent):
    """A recurrent layer with four gates."""

    gates = 4


class Cell(Module):
    """One step of a recurrent layer."""

    gates = 1

    def __init__(self, input_size: Any, hidden_size: Any, bias: Any = True, *given: Any, **named: Any) -> None:
        super().__init__()
        rows = self.gates * hidden_size
        self.weight_ih, self.weight_hh = sized(rows, input_size), sized(rows, hidden_size)
        self.register_parameter("bias_ih", sized(rows) if bias else None)
        self.register_parameter("bias_hh", sized(rows) if bias else None)


class GRUCell(Cell):
    """One step with three gates."""

    gates = 3


class LSTMCell(Cell):
    """One step with four gates."""

    gates = 4
