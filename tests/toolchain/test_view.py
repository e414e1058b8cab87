from __future__ import annotations

from math import prod

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sweep.toolchain.passes.view import View

SIZES = st.sampled_from([1, 2, 3, 4, 6, 8])


@given(st.data())
def test_a_view_does_what_the_chain_does(data: st.DataObject) -> None:
    chained = np.arange(prod(shape := data.draw(st.lists(SIZES, min_size=1, max_size=4)))).reshape(shape)
    source, view = chained, View.of(shape)
    for _ in range(data.draw(st.integers(0, 5))):
        if data.draw(st.booleans()):
            order = data.draw(st.permutations(range(chained.ndim)))
            chained, view = chained.transpose(order), view.permuted(order)
        else:
            new = data.draw(shapes_of(chained.size))
            reshaped = view.reshaped(new)
            if reshaped is None:
                continue
            chained, view = chained.reshape(new), reshaped
    sizes, order = view.order()
    assert (source.reshape(sizes).transpose(order).reshape(chained.shape) == chained).all()


@st.composite
def shapes_of(draw: st.DrawFn, count: int) -> list[int]:
    shape = []
    while count > 1:
        shape.append(draw(st.sampled_from([size for size in range(2, count + 1) if count % size == 0])))
        count //= shape[-1]
    return [*shape, 1] if draw(st.booleans()) or not shape else shape


def test_a_channel_shuffle_is_one_transposition() -> None:
    view = View.of([1, 28, 28, 136]).permuted([0, 3, 1, 2]).reshaped([1, 4, 34, 28, 28])
    assert view is not None
    shuffled = view.permuted([0, 2, 1, 3, 4]).reshaped([1, 136, 28, 28])
    assert shuffled is not None
    assert shuffled.permuted([0, 2, 3, 1]).order() == ([784, 4, 34], [0, 2, 1])


def test_what_moves_only_ones_keeps_its_order() -> None:
    view = View.of([1, 1, 1, 1000]).permuted([0, 3, 1, 2]).reshaped([1, 1000])
    assert view is not None
    assert view.order() == ([1000], [0])


def test_a_reshape_across_axes_ends_the_chain() -> None:
    assert View.of([4, 6]).permuted([1, 0]).reshaped([4, 6]) is None
