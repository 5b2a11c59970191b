"""Language models behind one OpenAI-compatible client, whoever serves them."""
