"""Models of a grid: what cells that were not measured will take, by those that were."""
