"""What a search knows of points not measured yet: features, a prior cost, and the model that learns its error."""
