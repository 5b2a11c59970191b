"""Where encoded video comes from; one protocol for all, in `base`."""
