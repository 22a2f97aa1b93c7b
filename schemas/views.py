"""views.sql, with what is generated for every table of scores in tables.TABLES, and what a row of each view is."""

import re
from importlib.resources import files
from string import Template

import pyarrow as pa

from schemas.columns import parts, shown_parts
from schemas.scores import SCORES_CHEAP, SCORES_CHUNK_GAIN
from schemas.tables import DOCUMENTS, TABLES

PREFIX = "SCORES_"
IN_FULL = ("cheap", "chunk_gain")  # kinds whose columns views.sql itself names
OF_SAMPLES = ("hmg", "cam")  # kinds of the view `samples`, which views.sql names, too
VIEW = re.compile(r"((?:^-- .*\n)+)CREATE VIEW (\w+) AS", re.MULTILINE)


def views() -> str:
    """The SQL that creates all views, in the order of their dependencies."""
    columns, joins = further_scores()
    sql = Template(files("schemas").joinpath("views.sql").read_text(encoding="utf-8"))
    return sql.substitute(judged=judged(), score_values=score_values(), columns=columns, joins=joins)


def comments() -> dict[str, str]:
    """View -> the comment before it, which begins with what one row is."""
    return {name: " ".join(comment.replace("-- ", "").split()) for comment, name in VIEW.findall(views())}


def kinds() -> dict[str, pa.Schema]:
    """Kind of score -> the schema of its table: prolong -> SCORES_PROLONG."""
    return {name.removeprefix(PREFIX).lower(): schema for name, schema in TABLES.items() if name.startswith(PREFIX)}


def judged() -> str:
    """A row a document of BUDGET and of each table of scores."""
    scores = [f"SELECT '{kind}', shard, row, document_id, status FROM {table(kind)}" for kind in kinds()]
    return union("SELECT 'budget' AS kind, shard, row, document_id, NULL AS status FROM tables.budget", *scores)


def score_values() -> str:
    """A row a document and part of each table of scores."""
    selects = []
    for kind, schema in kinds().items():
        names = parts(schema)
        labels, values = ", ".join(f"'{name}'" for name in names), ", ".join(f'"{name}"' for name in names)
        is_score = ", ".join(["true", *["false"] * (len(names) - 1)])
        selects.append(
            f"SELECT '{kind}' AS kind, shard, row, document_id, status, reason, unnest([{labels}]) AS part,"
            f" unnest([{values}]) AS value, unnest([{is_score}]) AS is_score FROM {table(kind)}"
        )
    return union(*selects)


def further_scores() -> tuple[str, str]:
    """Columns and joins of the view `scores` for the kinds that views.sql does not name.

    A part whose name is already a column of the view is called KIND_PART there.
    """
    taken = {*DOCUMENTS.names, *SCORES_CHEAP.names, *SCORES_CHUNK_GAIN.names, "n_tokens", "length_bucket"}
    columns, joins = [], []
    for kind, schema in kinds().items():
        if kind in (*IN_FULL, *OF_SAMPLES):
            continue
        for name in shown_parts(schema):
            shown = f"{kind}_{name}" if name in taken else name
            columns.append(f',\n    "{kind}"."{name}" AS "{shown}"')
            taken.add(shown)
        joins.append(f'LEFT JOIN {table(kind)} "{kind}" ON "{kind}".shard = d.shard AND "{kind}".row = d.row\n')
    return "".join(columns), "".join(joins)


def table(kind: str) -> str:
    return f'tables."{PREFIX}{kind.upper()}"'


def union(*selects: str) -> str:
    return "\nUNION ALL ".join(selects)
