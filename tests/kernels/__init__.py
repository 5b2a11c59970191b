"""Tests of the kernels: on the CPU through the fiber runner, on a GPU with CuPy (`make gpu`); the same files."""
