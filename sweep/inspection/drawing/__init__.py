"""The picture of a network's graph: boxes, where they lie, and how they are drawn as SVG and PNG."""
