"""Full-text search: the one place that knows how each database does it."""

from __future__ import annotations

import re

import sqlalchemy as sa

MOST_TERMS = 16


def matching(table: sa.Table, query: str, dialect: str) -> sa.ColumnElement[bool]:
    """The condition that a row of `table` has every word of `query`, in any form of it; the last may be a beginning.

    Nothing in `query` is syntax. One without a word matches nothing.
    """
    terms = re.findall(r"[^\W_]+", query.casefold())[:MOST_TERMS]
    if not terms:
        return sa.false()
    if dialect == "sqlite":
        return _fts5(table, terms)
    return _tsvector(table, terms)


def _fts5(table: sa.Table, terms: list[str]) -> sa.ColumnElement[bool]:
    name = f"{table.name}_words"
    words = " AND ".join(f'"{term}"' for term in terms) + "*"
    rowid: sa.ColumnClause[int] = sa.column("rowid")
    found = sa.select(rowid).select_from(sa.table(name)).where(sa.column(name).op("MATCH")(words))
    return table.c.seq.in_(found)


def _tsvector(table: sa.Table, terms: list[str]) -> sa.ColumnElement[bool]:
    # A literal, since a bound parameter would be text where to_tsquery wants a configuration.
    english: sa.ColumnClause[str] = sa.literal_column("'english'")
    words = " & ".join(f"'{term}'" for term in terms) + ":*"
    return sa.literal_column(f"{table.name}.search").bool_op("@@")(sa.func.to_tsquery(english, words))
