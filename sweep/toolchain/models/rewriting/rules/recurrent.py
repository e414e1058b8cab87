"""RNN, GRU and LSTM as the steps that they take: products with the inputs of all steps at once, then one step after the
other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sweep.errors import ImportFailed
from sweep.toolchain.models.rewriting.rules.quantised import dynamic_product

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter

__all__ = ["RULES"]

_MOST_STEPS = 4096
_DYNAMIC = "com.microsoft.DynamicQuantizeLSTM"
_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4, _DYNAMIC: 4}
_OF_LSTM = ["Sigmoid", "Tanh", "Tanh"]
_ACTIVATIONS = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": _OF_LSTM, _DYNAMIC: _OF_LSTM}
_WITH_ALPHA = {"LeakyRelu": 0.01, "ThresholdedRelu": 1.0, "Elu": 1.0, "HardSigmoid": 0.2}
_WITH_BETA = {"HardSigmoid": 0.5}
_PLAIN = ("Relu", "Tanh", "Sigmoid", "Softsign", "Softplus")

_Activation = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class _Layer:
    """One direction of a recurrent call."""

    network: Rewriter
    call: Call
    number: int
    activations: Sequence[_Activation]

    @property
    def hidden(self) -> int:
        """Units."""
        shape = self.network.shape(self.call.input(2))
        assert shape is not None
        return shape[1] if self.call.operator == _DYNAMIC else shape[-1]

    def product(self, index: int) -> Callable[[str], str]:
        """With the weights of the input (1) or of the state (2)."""
        if self.call.operator == _DYNAMIC:
            weights, scale, zero = self.of(index), self.of(6 + 2 * index), self.of(7 + 2 * index)
            return lambda value: dynamic_product(self.network, value, weights, scale, zero)
        columns = self.rows(self.of(index))
        return lambda value: self.network.op("MatMul", value, columns)

    def of(self, index: int) -> str:
        """This direction's part of an input; empty where it is left out."""
        name = self.call.input(index)
        return self.network.op("Gather", name, np.array(self.number), axis=0) if name else ""

    def part(self, value: str, number: int) -> str:
        """The part of one gate along the last axis."""
        first = number * self.hidden
        last_axis = np.array([(self.network.rank(value) or 1) - 1])
        return self.network.op("Slice", value, np.array([first]), np.array([first + self.hidden]), last_axis)

    def clipped(self, value: str) -> str:
        """What goes into an activation."""
        limit = self.call.get("clip")
        if not limit:
            return value
        dtype = self.network.dtype(value)
        return self.network.op("Clip", value, np.array(-limit, dtype), np.array(limit, dtype))

    def rows(self, value: str) -> str:
        """Transposed."""
        return self.network.op("Transpose", value, perm=[1, 0])


def _recurrent(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Y, Y_h and, of an LSTM, Y_c."""
    data, layout = call.input(0), call.get("layout", 0)
    if layout:
        data = network.op("Transpose", data, perm=[1, 0, 2])
    shape, weights = network.shape(data), network.shape(call.input(1))
    if shape is None or weights is None or network.shape(call.input(2)) is None:
        raise ImportFailed(f"{call.label}: the shape of its input or weights depends on data")
    if shape[0] > _MOST_STEPS:
        raise ImportFailed(f"{call.label}: has {shape[0]} steps; {_MOST_STEPS} can be unrolled")
    if call.get("direction", "forward") not in ("forward", "reverse", "bidirectional"):
        return None
    directions = [
        _direction(_Layer(network, call, number, _activations(network, call, number, weights[0])), data)
        for number in range(weights[0])
    ]
    steps, last, cells = (list(values) for values in zip(*directions, strict=True))
    every = steps[0] if len(steps) == 1 else network.op("Concat", *steps, axis=1)
    results = [every, *(_states(network, values) for values in (last, cells) if values[0])]
    if layout:
        every = network.op("Transpose", results[0], perm=[2, 0, 1, 3])
        results = [every, *(network.op("Transpose", value, perm=[1, 0, 2]) for value in results[1:])]
    return results


def _states(network: Rewriter, values: Sequence[str]) -> str:
    """[directions, batch, units]."""
    rows = [network.op("Unsqueeze", value, np.array([0])) for value in values]
    return rows[0] if len(rows) == 1 else network.op("Concat", *rows, axis=0)


def _direction(layer: _Layer, data: str) -> tuple[str, str, str]:
    """[steps, 1, batch, units] of all steps, and the last state; of an LSTM its cells too."""
    network, call = layer.network, layer.call
    shape = network.shape(data) or ()
    length, batch = shape[0], shape[1]
    backwards = call.get("direction", "forward") == "reverse" or layer.number == 1
    lengths = call.input(4)
    known = network.constant(lengths) if lengths else None
    if known is not None and (known == length).all():
        lengths = ""
    if backwards:
        data = _reversed(network, data, lengths, length)
    dtype = network.dtype(data)
    state = _initial(layer, 5, batch, dtype)
    cells = _initial(layer, 6, batch, dtype) if _GATES[call.operator] == 4 else ""
    inputs = layer.product(1)(data)
    step = _STEPS[call.operator](layer)
    outputs = []
    for at in range(length):
        new_state, new_cells = step(network.op("Gather", inputs, np.array(at), axis=0), state, cells)
        output = new_state
        if lengths:
            running = network.op("Less", np.array([[at]], network.dtype(lengths)), _column(network, lengths))
            output = network.op("Where", running, new_state, np.zeros((), dtype))
            new_state = network.op("Where", running, new_state, state)
            new_cells = network.op("Where", running, new_cells, cells) if cells else ""
        state, cells = new_state, new_cells
        outputs.append(network.op("Unsqueeze", output, np.array([0])))
    every = outputs[0] if length == 1 else network.op("Concat", *outputs, axis=0)
    if backwards:
        every = _reversed(network, every, lengths, length)
    return network.op("Unsqueeze", every, np.array([1])), state, cells


def _column(network: Rewriter, lengths: str) -> str:
    return network.op("Unsqueeze", lengths, np.array([1]))


def _initial(layer: _Layer, index: int, batch: int, dtype: np.dtype[np.generic]) -> str:
    if not layer.call.input(index):
        return layer.network.keep(np.zeros((batch, layer.hidden), dtype))
    if layer.call.get("layout", 0):
        return layer.network.op("Gather", layer.call.input(index), np.array(layer.number), axis=1)
    return layer.of(index)


def _reversed(network: Rewriter, data: str, lengths: str, length: int) -> str:
    """Along the first axis; each element of the batch within its own length, where they have one."""
    if not lengths:
        return network.op("Gather", data, np.arange(length)[::-1].copy(), axis=0)
    steps = network.keep(np.arange(length, dtype=network.dtype(lengths))[:, None])
    row = network.op("Unsqueeze", lengths, np.array([0]))
    back = network.op("Sub", network.op("Sub", row, steps), np.ones((), network.dtype(lengths)))
    order = network.op("Where", network.op("Less", steps, row), back, steps)
    order = network.op("Cast", network.op("Unsqueeze", order, np.array([2])), to=_INT64)
    shape = network.shape(data) or ()
    return network.op("GatherElements", data, network.op("Expand", order, np.array(shape)), axis=0)


_INT64 = 7


def _activations(network: Rewriter, call: Call, number: int, directions: int) -> list[_Activation]:
    """Of one direction. Their parameters are listed for those alone that have some."""
    usual = _ACTIVATIONS[call.operator]
    names = list(call.get("activations") or usual * directions)
    alphas, betas = list(call.get("activation_alpha") or ()), list(call.get("activation_beta") or ())
    made: list[_Activation] = []
    canonical = {name.lower(): name for name in (*_PLAIN, *_WITH_ALPHA, "Affine", "ScaledTanh")}
    for written in names:
        name = canonical.get(written.lower())
        if name is None:
            raise ImportFailed(f"{call.label}: activation {written} is not known")
        takes_alpha, takes_beta = name not in _PLAIN, name in ("HardSigmoid", "Affine", "ScaledTanh")
        alpha = alphas.pop(0) if takes_alpha and alphas else None
        beta = betas.pop(0) if takes_beta and betas else None
        made.append(_activation(network, name, alpha, beta))
    return made[number * len(usual) : (number + 1) * len(usual)]


def _activation(network: Rewriter, name: str, alpha: float | None, beta: float | None) -> _Activation:
    def scaled(value: str) -> str:
        dtype = network.dtype(value)
        slope = np.array(1.0 if alpha is None else alpha, dtype)
        offset = np.array(0.0 if beta is None else beta, dtype)
        if name == "Affine":
            return network.op("Add", network.op("Mul", value, slope), offset)
        inner = network.op("Mul", value, np.array(1.0 if beta is None else beta, dtype))
        return network.op("Mul", network.op("Tanh", inner), slope)

    def plain(value: str) -> str:
        attributes = {}
        if name in _WITH_ALPHA:
            attributes["alpha"] = _WITH_ALPHA[name] if alpha is None else alpha
        if name in _WITH_BETA:
            attributes["beta"] = _WITH_BETA[name] if beta is None else beta
        return network.op(name, value, **attributes)

    return scaled if name in ("Affine", "ScaledTanh") else plain


_Step = Callable[[str, str, str], tuple[str, str]]


def _sum(layer: _Layer, *values: str) -> str:
    total = values[0]
    for value in values[1:]:
        if value:
            total = layer.network.op("Add", total, value)
    return total


def _biases(layer: _Layer) -> tuple[str, str]:
    """Of the input's and of the state's product; empty where there are none."""
    biases = layer.of(3)
    if not biases:
        return "", ""
    size = _GATES[layer.call.operator] * layer.hidden
    ends = (np.array([0]), np.array([size]), np.array([2 * size]))
    return tuple(layer.network.op("Slice", biases, *ends[i : i + 2], np.array([0])) for i in (0, 1))  # type: ignore[return-value]


def _rnn_step(layer: _Layer) -> _Step:
    of_state, biases = layer.product(2), _biases(layer)

    def step(data: str, state: str, _cells: str) -> tuple[str, str]:
        total = _sum(layer, data, of_state(state), *biases)
        return layer.activations[0](layer.clipped(total)), ""

    return step


def _lstm_step(layer: _Layer) -> _Step:
    network, of_state, peepholes = layer.network, layer.product(2), layer.of(7)
    biases = _biases(layer)
    gate, cell_gate, output_gate = layer.activations

    def peeped(value: str, number: int, cells: str) -> str:
        if not peepholes:
            return value
        return network.op("Add", value, network.op("Mul", layer.part(peepholes, number), cells))

    def step(data: str, state: str, cells: str) -> tuple[str, str]:
        total = _sum(layer, data, of_state(state), *biases)
        taken = gate(layer.clipped(peeped(layer.part(total, 0), 0, cells)))
        if layer.call.get("input_forget", 0):
            kept = network.op("Sub", np.ones((), network.dtype(taken)), taken)
        else:
            kept = gate(layer.clipped(peeped(layer.part(total, 2), 2, cells)))
        candidate = cell_gate(layer.clipped(layer.part(total, 3)))
        new_cells = network.op("Add", network.op("Mul", kept, cells), network.op("Mul", taken, candidate))
        shown = gate(layer.clipped(peeped(layer.part(total, 1), 1, new_cells)))
        return network.op("Mul", shown, output_gate(new_cells)), new_cells

    return step


def _gru_step(layer: _Layer) -> _Step:
    network, weights = layer.network, layer.of(2)
    size = layer.hidden
    ends = (np.array([0]), np.array([2 * size]), np.array([3 * size]))
    of_gates, of_state = (layer.rows(network.op("Slice", weights, *ends[i : i + 2], np.array([0]))) for i in (0, 1))
    of_input, of_product = _biases(layer)
    gate_bias, state_bias = "", ""
    if of_product:
        gate_bias, state_bias = (network.op("Slice", of_product, *ends[i : i + 2], np.array([0])) for i in (0, 1))
    gate, hidden_gate = layer.activations

    def step(data: str, state: str, _cells: str) -> tuple[str, str]:
        data = _sum(layer, data, of_input)
        pair = network.op("Slice", data, ends[0], ends[1], np.array([1]))
        pair = gate(layer.clipped(_sum(layer, pair, network.op("MatMul", state, of_gates), gate_bias)))
        update, reset = layer.part(pair, 0), layer.part(pair, 1)
        if layer.call.get("linear_before_reset", 0):
            product = _sum(layer, network.op("MatMul", state, of_state), state_bias)
            product = network.op("Mul", reset, product)
        else:
            product = _sum(layer, network.op("MatMul", network.op("Mul", reset, state), of_state), state_bias)
        candidate = hidden_gate(layer.clipped(_sum(layer, layer.part(data, 2), product)))
        rest = network.op("Sub", np.ones((), network.dtype(update)), update)
        return network.op("Add", network.op("Mul", rest, candidate), network.op("Mul", update, state)), ""

    return step


_STEPS = {"RNN": _rnn_step, "GRU": _gru_step, "LSTM": _lstm_step, _DYNAMIC: _lstm_step}

RULES = dict.fromkeys(_STEPS, _recurrent)
