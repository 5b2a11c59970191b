"""NumPy twins of the CUDA kernels: plain, slow, and what the kernels must give."""
