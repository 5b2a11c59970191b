"""Makes the weights of the tiny SAM 3 that follows moving shapes: `python -m tests.sam3_training`."""
