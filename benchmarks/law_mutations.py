"""Does a planted breach see every clause of schemas/laws.sql? Each law is changed in one place and run on the planted sets.

    python benchmarks/law_mutations.py [--law PART_OF_A_TITLE]

A change removes an operand of AND or OR, a branch of UNION ALL or one side of a join, or exchanges an operator, an aggregate
or a constant. It is seen if a sound set breaks the changed law, or a planted breach (tests/schemas/test_laws.py and
tests/schemas/test_law_clauses.py) no longer does. What is not seen is printed. About two CPU minutes.
"""

import argparse
import copy
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipelines.catalog import laws
from tests.schemas import test_law_clauses as clauses
from tests.schemas import test_laws as planted

SWAPS = {
    "<>": ("=",), "<=": ("<",), ">=": (">",), "<": ("<=",), ">": (">=",), "=": ("<>",), "+": ("-",), "-": ("+",),
    "IS DISTINCT FROM": ("<>", "IS NOT DISTINCT FROM"), "IS NOT DISTINCT FROM": ("=",), "IS NOT NULL": ("IS NULL",),
    "IS NULL": ("IS NOT NULL",), "FULL JOIN": ("LEFT JOIN", "RIGHT JOIN"), "LEFT JOIN": ("JOIN",), "DISTINCT ": ("",),
    "least(": ("greatest(",), "greatest(": ("least(",), "min(": ("max(",), "max(": ("min(",), "count(*)": ("1",),
    "NOT IN": ("IN",), "NOT BETWEEN": ("BETWEEN",), "bool_or(": ("bool_and(",), "bool_and(": ("bool_or(",),
    "list_bool_or(": ("list_bool_and(",), "list_bool_and(": ("list_bool_or(",),
}  # fmt: skip
OPERATOR = re.compile("|".join(re.escape(each) for each in sorted(SWAPS, key=len, reverse=True)))
NUMBER = re.compile(r"(?<![\w.\[])\d+(?![\w.])")
COALESCE = re.compile(r"coalesce\(([^(),]+), [^()]+?\)")
WORD = re.compile(r"\(|\)|\b(?:AND|OR|WHERE|HAVING|ON|GROUP|UNION|BETWEEN|CASE|WHEN|THEN|ORDER)\b|'[^']*'|,")


def mutants(query: str) -> Iterator[tuple[str, str]]:
    """(what was changed, the changed query)."""
    for match in OPERATOR.finditer(query):
        if in_text(query, match.start()):
            continue
        for other in SWAPS[match[0]]:
            yield described(query, match.start(), match.end(), other)
    for match in re.finditer(r"'([a-z_]+)'", query):
        if query[: match.start()].endswith("getvariable("):
            continue
        yield described(query, match.start(), match.end(), "'other'")
    for match in NUMBER.finditer(query):
        if not in_text(query, match.start()):
            yield described(query, match.start(), match.end(), str(int(match[0]) + 1))
    for match in COALESCE.finditer(query):
        yield described(query, match.start(), match.end(), match[1])
    yield from without_operands(query)
    yield from without_branches(query)


def in_text(query: str, place: int) -> bool:
    return query[:place].count("'") % 2 == 1


def described(query: str, start: int, stop: int, other: str) -> tuple[str, str]:
    line = query[max(query.rfind("\n", 0, start) + 1, start - 40) : stop + 30].partition("\n")[0].strip()
    return f"{query[start:stop]!r} -> {other!r} in {line!r}", query[:start] + other + query[stop:]


def without_operands(query: str) -> Iterator[tuple[str, str]]:
    """Each operand of AND replaced by true, each of OR by false."""
    marks: list[list[tuple[str, int, int]]] = [[("start", 0, 0)]]
    groups: list[list[tuple[str, int, int]]] = []
    between = False
    for match in WORD.finditer(query):
        word = match[0]
        if word == "(":
            marks[-1].append(("in", match.start(), match.start()))
            marks.append([("start", match.start(), match.end())])
        elif word == ")":
            groups.append([*marks.pop(), ("end", match.start(), match.end())])
        elif word == "BETWEEN":
            between = True
        elif word == "AND" and between:
            between = False
        elif not word.startswith("'"):
            marks[-1].append((word, match.start(), match.end()))
    groups.append([*marks.pop(), ("end", len(query), len(query))])
    for group in groups:
        cuts = [mark for mark in group if mark[0] != "in"]
        for left, right in pairwise(cuts):
            near = {left[0], right[0]} & {"AND", "OR"}
            if near and (left[0] in ("AND", "OR", "WHERE", "HAVING", "ON", "start", "WHEN")):
                neutral = " (1 = 1) " if "AND" in near else " (1 = 0) "
                yield described(query, left[2], right[1], neutral)


def without_branches(query: str) -> Iterator[tuple[str, str]]:
    """Each SELECT of a UNION ALL removed; they are at the beginning of a line or in one pair of brackets."""
    for match in re.finditer(r"\s*UNION ALL\s", query):
        depth, stop = 0, len(query)
        for k in range(match.end(), len(query)):
            depth += {"(": 1, ")": -1}.get(query[k], 0)
            if depth < 0:
                stop = k
                break
        yield described(query, match.start(), stop, "")
        depth, start = 0, 0
        for k in range(match.start() - 1, -1, -1):
            depth += {")": 1, "(": -1}.get(query[k], 0)
            if depth < 0:
                start = k + 1
                break
        yield described(query, start, match.end(), " ")


def rows(con: duckdb.DuckDBPyConnection, query: str) -> bool | None:
    """Whether a query has rows; None where it is no query."""
    try:
        return bool(con.execute(f"{query} LIMIT 1").fetchall())
    except duckdb.Error as error:
        return None if isinstance(error, (duckdb.ParserException, duckdb.BinderException)) else True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--law", default="", help="part of a title")
    wanted = parser.parse_args().law
    n_seen = n_unseen = 0
    with tempfile.TemporaryDirectory() as folder, ExitStack() as all_laws:
        root = Path(folder)

        def opened(stack: ExitStack, tables: dict, variables: dict) -> duckdb.DuckDBPyConnection:
            return stack.enter_context(planted.opened(tables, root, **variables))

        sound = [opened(all_laws, clauses.changed(change), variables) for change, variables in clauses.SOUND.values()]
        for title, query in laws().items():
            if wanted not in title:
                continue
            with ExitStack() as stack:
                breaches = []
                for change in planted.BREACHES[title]:
                    tables = copy.deepcopy(planted.sound())
                    change(tables)
                    breaches.append(opened(stack, tables, {}))
                for change, variables in clauses.CLAUSES.get(title, ()):
                    tables = copy.deepcopy(planted.sound())
                    change(tables)
                    breaches.append(opened(stack, tables, variables))
                for what, changed in mutants(query):
                    if changed.split("FROM", 1)[1] == query.split("FROM", 1)[1]:
                        continue  # what a message shows of a breach
                    on_sound = [rows(con, changed) for con in sound]
                    if None in on_sound:
                        continue
                    if any(on_sound) or not all(rows(con, changed) for con in breaches):
                        n_seen += 1
                    else:
                        n_unseen += 1
                        print(f"{title}\n    {what}", flush=True)
    print(f"{n_seen} changes seen, {n_unseen} not")


if __name__ == "__main__":
    main()
