"""From a microphone's samples to words: when somebody speaks, what was said, and whether it was said to us.

Policy is pure: `endpoint`, `wake`, `guards`, `ear`. Shells: `vad` (ONNX), `transcribe` and what stands behind it,
`listener` (one client's microphone).
"""
