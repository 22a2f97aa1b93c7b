"""report.html of a published set of instruction samples. See report.py."""

import duckdb

from pipelines.sft_recipe import SftRecipe


def sft_report(con: duckdb.DuckDBPyConnection, recipe: SftRecipe, version: str) -> str:
    """The report's HTML, from the views alone."""
    raise NotImplementedError
