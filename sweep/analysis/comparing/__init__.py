"""Two cells beside each other: their blocks, the ratio with its interval, the verdict."""
