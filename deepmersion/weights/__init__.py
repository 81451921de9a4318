"""The networks' weights: their sources, and where they are kept."""
