"""The CUDA backend: `.cu` sources, the launches that use them, and their compilation through CuPy."""
