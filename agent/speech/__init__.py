"""From a microphone's samples to words: when somebody speaks, what was said, and whether it was said to us.

Policy is pure: `endpoint` and `ear` (what is an utterance), `guards` (what is no words), `wake`, `wording`. Shells:
`vad` (ONNX), `transcribe` and what stands behind it, `service` (what all microphones share), `listener` (one client's).
"""
