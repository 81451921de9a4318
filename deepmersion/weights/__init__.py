"""The networks' weights: their sources, their digests and the cache that keeps them."""
