"""SAM 3 as a live engine: one step a frame for all objects of all streams, with memory of fixed size.

The modules and the weights are transformers'; what runs a frame is here. Everything in this package needs torch and
transformers, which the base install does not have: import it only where they are known to be there.
"""
