"""Programs of convolutions by Winograd's forms, made of the programs that TVM has for them.

What such a program computes beside its convolution (padding, bias, activation, an addition) stays as it is, block for
block: only the block that sums is taken out, and those of the form are put in its place. Its weights are a constant,
and those of the new program are the same constant, transformed: the parameter of the same number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sweep.toolchain.winograd.winograd_form import WINDOW, WinogradForm

__all__ = ["MADE", "PRODUCTS", "Convolution", "convolution_in", "program_of"]

MADE = "winograd"
"""What the names of such programs end with in a network; a number may follow."""
PRODUCTS = "winograd_products"
"""The block that sums in such a program, which no other has."""
_SUMS = 2
"""The kind of an axis that is summed over: `tirx.IterVar.CommReduce`."""
_KINDS = [0, 0, 0, 0, _SUMS, _SUMS, _SUMS]
"""Of the axes of a convolution: N, H, W, O, and those of the window and of input channels."""
_FEWEST_CHANNELS = 16
"""Of data and of outputs: with fewer the transforms cost more than is spared."""
_MOST_PRODUCTS = 0.7
"""Of those of the window: edges of tiles that lie outside are computed too."""


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution of windows of 3x3, one step apart, of one group and with channels last."""

    block: str
    weights: int
    """Number of the parameter that holds them, [O, 3, 3, I]."""
    output: tuple[int, int, int, int]
    """N, H, W, O."""
    inputs: int
    """Channels of the data."""

    def tiles(self, form: WinogradForm) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return -(-self.output[1] // form.outputs), -(-self.output[2] // form.outputs)

    def share_of(self, form: WinogradForm) -> float:
        """The products of the form, over those of the window."""
        rows, columns = self.tiles(form)
        return rows * columns * form.size**2 / (WINDOW * WINDOW * self.output[1] * self.output[2])

    def gains_by(self, form: WinogradForm) -> bool:
        """Whether the form has so many products fewer that its transforms may be worth it."""
        return self.share_of(form) <= _MOST_PRODUCTS


def convolution_in(function: Any) -> Convolution | None:
    """The convolution that a tensor program of one function does, where it is of that kind and its weights are known
    to be constant; None for any other.
    """
    constant = {int(number) for number in (function.attrs or {}).get("layout_free_buffers", ())}
    if not constant:
        return None
    summing = [block for block in _blocks(function) if any(int(one.iter_type) == _SUMS for one in block.iter_vars)]
    if (
        len(summing) != 1
        or [int(one.iter_type) for one in summing[0].iter_vars] != _KINDS
        or len(summing[0].reads) != 2
    ):
        return None
    [block] = summing
    of_weights = block.reads[1]
    number = next((n for n, one in enumerate(function.params) if one.same_as(of_weights.source)), None)
    if number is None or number not in constant or not _is_plain(block):
        return None
    extents = [int(one.dom.extent) for one in block.iter_vars]
    if min(extents[3], extents[6]) < _FEWEST_CHANNELS or extents[4:6] != [WINDOW, WINDOW]:
        return None
    return Convolution(str(block.name_hint), number, (extents[0], extents[1], extents[2], extents[3]), extents[6])


def _is_plain(block: Any) -> bool:
    """Whether it reads data [n, y + i, x + j, c] and weights [o, i, j, c] of float32 and writes [n, y, x, o]."""
    from tvm.sym import detect_linear_equation

    variables = [one.var for one in block.iter_vars]
    n, y, x, o, i, j, c = range(len(_KINDS))
    wanted = ([{n}, {y, i}, {x, j}, {c}], [{o}, {i}, {j}, {c}], [{n}, {y}, {x}, {o}])
    for region, places in zip((*block.reads, *block.writes), wanted, strict=True):
        if str(region.source.dtype) != "float32" or len(region.region) != len(places):
            return False
        for index, axes in zip(region.region, places, strict=True):
            terms = detect_linear_equation(index.min, variables)
            if not len(terms) or any(getattr(term, "value", None) != (at in axes) for at, term in enumerate(terms)):
                return False
    shapes = [[int(size) for size in region.source.shape] for region in (*block.reads, *block.writes)]
    extents = [int(one.dom.extent) for one in block.iter_vars]
    whole = [extents[n], extents[y] + WINDOW - 1, extents[x] + WINDOW - 1, extents[c]]
    return shapes == [whole, [extents[at] for at in (o, i, j, c)], extents[:4]]


def program_of(module: Any, convolution: Convolution, form: WinogradForm) -> Any:
    """The module of one function `main` with its convolution by a form."""
    from tvm import IRModule, s_tir, tirx
    from tvm_ffi.structural import structural_map

    function = module["main"]
    block = next(one for one in _blocks(function) if str(one.name_hint) == convolution.block)
    source, result = block.reads[0].source, block.writes[0].source
    made = _made(convolution, form, [int(size) for size in source.shape])
    before = function.params[convolution.weights]
    weights = tirx.decl_buffer(
        [tirx.IntImm("int64", size) for size in (form.size, form.size, convolution.inputs, convolution.output[3])],
        "float32",
        name=str(before.name),
    )
    data, transformed, output = made.params
    new = {data: source, transformed: weights, output: result}
    kind = type(before)
    inner = structural_map(
        made.body, [(kind, lambda one: next((to for of, to in new.items() if one.same_as(of)), one))]
    ).block
    realize, root = function.body, function.body.block
    statements = []
    for statement in _statements(root.body):
        if convolution.block in _names_in(statement):
            statements.extend(_statements(inner.body))
        else:
            statements.append(statement)
    grown = s_tir.SBlock(
        root.iter_vars,
        root.reads,
        root.writes,
        root.name_hint,
        tirx.SeqStmt(statements),
        root.init,
        [*root.alloc_buffers, *inner.alloc_buffers],
        root.match_buffers,
        root.annotations,
    )
    parameters = [weights if number == convolution.weights else one for number, one in enumerate(function.params)]
    body = s_tir.SBlockRealize(realize.iter_values, realize.predicate, grown)
    return IRModule({"main": tirx.PrimFunc(parameters, body, function.ret_type, function.attrs)})


def _made(convolution: Convolution, form: WinogradForm, source: list[int]) -> Any:
    """The form alone, as a program of the padded data, the transformed weights and the output."""
    from tvm import te, tirx

    images, height, width, outputs = convolution.output
    rows, columns = convolution.tiles(form)
    size, step, inputs = form.size, form.outputs, convolution.inputs

    def shape(*sizes: int) -> list[Any]:
        return [tirx.IntImm("int64", one) for one in sizes]

    def chosen(at: Any, values: list[Any]) -> Any:
        value = values[-1]
        for number in reversed(range(len(values) - 1)):
            value = tirx.Select(at == number, values[number], value)
        return value

    data = te.placeholder(shape(*source), "float32", name="winograd_source")
    weights = te.placeholder(shape(size, size, inputs, outputs), "float32", name="winograd_weights")
    tall, broad = rows * step + WINDOW - 1, columns * step + WINDOW - 1

    def inside(n: Any, y: Any, x: Any, c: Any) -> Any:
        within = [at < most for at, most, all_ in ((y, source[1], tall), (x, source[2], broad)) if all_ > most]
        zero = tirx.const(0, "float32")
        return tirx.if_then_else(tirx.all(*within), data[n, y, x, c], zero) if within else data[n, y, x, c]

    wide = te.compute(shape(images, tall, broad, inputs), inside, name="winograd_data")
    of_rows = te.compute(
        shape(images, rows, columns, size, size, inputs),
        lambda n, t, u, e, x, c: chosen(
            e, form.data_rows([wide[n, t * step + y, u * step + x, c] for y in range(size)])
        ),
        name="winograd_rows",
    )
    tiles = te.compute(
        shape(size, size, images, rows, columns, inputs),
        lambda e, f, n, t, u, c: chosen(f, form.data_rows([of_rows[n, t, u, e, x, c] for x in range(size)])),
        name="winograd_tiles",
    )
    along = te.reduce_axis((tirx.IntImm("int64", 0), tirx.IntImm("int64", inputs)), name="c")
    products = te.compute(
        shape(size, size, images, rows, columns, outputs),
        lambda e, f, n, t, u, o: te.sum(tiles[e, f, n, t, u, along] * weights[e, f, along, o], axis=along),
        name=PRODUCTS,
    )
    of_columns = te.compute(
        shape(images, rows, columns, step, size, outputs),
        lambda n, t, u, i, f, o: chosen(i, form.output_rows([products[e, f, n, t, u, o] for e in range(size)])),
        name="winograd_columns",
    )
    back = te.compute(
        shape(images, rows, columns, step, step, outputs),
        lambda n, t, u, i, j, o: chosen(j, form.output_rows([of_columns[n, t, u, i, f, o] for f in range(size)])),
        name="winograd_back",
    )
    result = te.compute(
        shape(images, height, width, outputs),
        lambda n, y, x, o: back[n, y // step, x // step, y % step, x % step, o],
        name="winograd_result",
    )
    return te.create_prim_func([data, weights, result])


def _blocks(function: Any) -> list[Any]:
    """Those of all statements, but for the outermost."""
    from tvm.s_tir import SBlock
    from tvm_ffi import structural_visit

    found: list[Any] = []

    def visit(block: Any, visitor: Any) -> None:
        found.append(block)
        visitor.default_visit(block)

    structural_visit(function.body, [(SBlock, visit)])
    return found[1:]


def _names_in(statement: Any) -> set[str]:
    from tvm.s_tir import SBlock
    from tvm_ffi import structural_visit

    found: set[str] = set()
    collect: Callable[[Any, Any], None] = lambda block, _: found.add(str(block.name_hint))  # noqa: E731
    structural_visit(statement, [(SBlock, collect)])
    return found


def _statements(body: Any) -> list[Any]:
    return list(body.seq) if hasattr(body, "seq") else [body]
