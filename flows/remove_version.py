"""`longmix remove`: a published version, after a question."""

import sys
from typing import Annotated

import typer

from flows.options import BuildRoot, Mix, complete_version
from flows.terminal import echo, printable
from schemas.errors import RecipeError

Removed = Annotated[str, typer.Argument(help="A version: its name, or how it begins.", autocompletion=complete_version)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def remove_version(root: BuildRoot, version: Removed, mix: Mix = None, yes: Yes = False) -> None:
    """Remove a version of a mix. `latest` then leads to the newest that remains; `longmix gc` frees its shards.

    A refresh needs its newest version alone, so an older one can be removed; `longmix diff` cannot name it any more.
    """
    from flows.list_versions import size
    from pipelines.overview import row_of
    from pipelines.store.lock import locked
    from pipelines.versions import find_version, published, remove

    folder = find_version(root.absolute(), mix, version)
    if folder == root.absolute():
        raise RecipeError(f"{root}: the folder of a version; name the --root of the build, and the version")
    row = row_of(folder)
    if not yes:
        confirm(
            f"remove {row['mix']} {row['version']} ({size(row['bytes'])}){', the newest' if row['latest'] else ''}?"
        )
    with locked(root.absolute(), f"the removal of {folder.name}", "ROOT"):
        newest = remove(folder)
    if newest:
        left = f"the newest version of {row['mix']} is {newest.name}; free its shards with: longmix gc --root {root}"
    elif published(root):
        left = f"no version of {row['mix']} remains; free its shards with: longmix gc --root {root}"
    else:
        left = f"no version remains; remove the folder {root} to free its shards"
    echo(f"removed {folder}; {left}")


def is_terminal() -> bool:
    return sys.stdin.isatty()


def confirm(question: str) -> None:
    """
    Raises:
        RecipeError: the answer is not yes, or nobody can answer.
    """
    if not is_terminal():
        raise RecipeError("remove: asks on a terminal; answer with --yes")
    if not typer.confirm(printable(question)):
        raise RecipeError("remove: nothing was removed")
