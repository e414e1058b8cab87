"""Finals side by side: two networks at the same moment, each on cores of its own, then the other way round."""
