"""The event store: what happened, what was said about it and how it looked, kept beyond the life of the server.

SQLite in a file, or PostgreSQL by URL. `opening` opens it and brings its schema up to date, `store` writes and reads,
`search` is the one place that knows of full-text search, `retention` keeps it small. SQLAlchemy is imported when a
store is opened, not before.
"""
