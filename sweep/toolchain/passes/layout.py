"""Gives channels last to every convolution that gains by it.

MetaSchedule vectorises the innermost axis of a convolution's result: channels, if they come last, of which there are
mostly a multiple of a vector's lanes; else the width, which is 55, 27 or 13 as often as not. Where groups are narrow, a
vector of channels spans several of them and each lane reads other data: ShuffleNet's convolutions of four groups run at
4 GFLOPS so, and at 55 to 117 with channels second (one core, AVX-512). Those keep their layout. One group for each
channel is no such case, as each lane reads the channel beside; but what is gained there (31 us for 48, 11 for 27, 5 for
25 in ShuffleNet) is less than two transpositions cost, so these take the layout that their data has.
"""

from __future__ import annotations

from typing import Any

from tvm import relax

from sweep.toolchain.passes.call import operator_of

__all__ = ["ChannelsLast"]

_LANES = 16
_CONV2D = "relax.nn.conv2d"


def ChannelsLast() -> Any:  # noqa: N802  (passes are named as TVM names its own)
    """The pass: TVM's ConvertLayout, to NHWC and OHWI but for narrow groups."""
    return relax.transform.ConvertLayout({}, _layouts)


def _layouts(call: Any) -> dict[str, list[str]]:
    """What ConvertLayout asks of each operator: the layouts that a convolution shall have, by the operator's name.
    Without an answer it takes the layout of its data.
    """
    if operator_of(call) != _CONV2D:
        return {}
    groups = int(call.attrs.groups)
    if groups > 1:
        channels = int(call.args[1].ty.shape[str(call.attrs.kernel_layout).index("O")])
        if groups == channels:
            return {}
        if channels // groups % _LANES:
            return {_CONV2D: ["NCHW", "OIHW"]}
    return {_CONV2D: ["NHWC", "OHWI"]}
