"""The agent loop beside the tracker: events, questions, watches."""
