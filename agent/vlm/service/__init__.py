"""`onlooker vlm`: Gemma 4 on transformers, a service of its own that speaks OpenAI's chat completions."""
