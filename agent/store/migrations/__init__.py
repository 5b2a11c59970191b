"""How the schema came to be what it is. Alembic runs these in order; each is one transaction."""
