"""A small transformer of texts, as the zoo's networks of today have none: 4 layers, 256 wide, 128 tokens."""

from __future__ import annotations

from typing import Any

__all__ = ["encoder"]

_LAYERS, _WIDE, _HEADS, _TOKENS, _WORDS = 4, 256, 4, 128, 1000


def encoder() -> tuple[Any, Any]:
    """The module with seeded weights, and example tokens of shape [1, 128]. Needs torch."""
    import torch
    from torch import nn

    class Encoder(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.words, self.places = nn.Embedding(_WORDS, _WIDE), nn.Embedding(_TOKENS, _WIDE)
            self.norm = nn.LayerNorm(_WIDE)
            layer = nn.TransformerEncoderLayer(_WIDE, _HEADS, 4 * _WIDE, batch_first=True, activation="gelu")
            self.layers, self.pooler = nn.TransformerEncoder(layer, _LAYERS), nn.Linear(_WIDE, _WIDE)

        def forward(self, tokens: Any) -> Any:
            found = self.words(tokens) + self.places(torch.arange(tokens.shape[1]))
            return torch.tanh(self.pooler(self.layers(self.norm(found))[:, 0]))

    torch.manual_seed(0)
    return Encoder().eval(), torch.randint(0, _WORDS, (1, _TOKENS))
