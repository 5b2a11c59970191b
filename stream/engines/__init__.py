"""Engines that turn frames into tracks; one protocol for all, in `base`."""
