"""The light engine's models: what they are, where they come from, and the folder that holds them.

`catalogue` names them, `store` finds them, `fetch` brings and verifies the sources, `convert` (a subprocess, the only
place that imports onnx) rewrites them for this engine.
"""
