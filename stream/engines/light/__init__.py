"""The light engine: object masks at camera rate on two CPU cores."""
