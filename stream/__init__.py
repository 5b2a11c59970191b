"""Video in, tracks out: sources, decoding, scheduling and engines."""
