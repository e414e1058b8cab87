"""Search: tuners as algorithms over a described space, and how a budget is shared out. Knows neither TVM nor Ray."""
