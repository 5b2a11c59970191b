"""Mask and image kernels: plain array functions that know nothing of media, asyncio or the web."""
