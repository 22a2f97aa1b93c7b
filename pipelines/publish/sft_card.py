"""README.md of a published set of instruction samples. See card.py."""

import duckdb

from pipelines.sft_recipe import SftRecipe


def sft_card(con: duckdb.DuckDBPyConnection, recipe: SftRecipe, version: str) -> str:
    """The card's Markdown, from the views alone."""
    raise NotImplementedError
