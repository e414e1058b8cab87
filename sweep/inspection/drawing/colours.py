"""The colour of a box, by what its operator does."""

from __future__ import annotations

import re

__all__ = ["colour_of"]

_COLOURS = (
    (r"^input$|^output$", "#e7e5e4"),
    (r"conv", "#bfdbfe"),
    (r"gemm|matmul|fully_connected|linear|addmm|^mm|bmm|einsum|lstm|gru|rnn|attention", "#c7d2fe"),
    (r"pool|reduce|mean", "#bbf7d0"),
    (r"norm", "#fde68a"),
    (r"relu|sigmoid|tanh|softmax|gelu|swish|clip|logistic", "#fecaca"),
    (r"add|sum|mul|sub|div", "#fed7aa"),
    (r"concat|split|slice|gather|cat|pad|resize", "#e9d5ff"),
)
_OTHER = "#f5f5f4"


def colour_of(kind: str) -> str:
    """In hexadecimal digits; each is light, so that black text is read on it."""
    return next((colour for pattern, colour in _COLOURS if re.search(pattern, kind, re.IGNORECASE)), _OTHER)
