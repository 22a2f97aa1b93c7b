"""The command line, `longmix COMMAND`. Heavy imports wait until a command needs them."""

import logging
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import gathering
from flows.exits import EXIT_STATUS, INTERRUPTED, REFUSED, Command, status_of
from flows.init_recipe import init_recipe
from flows.interrupts import end_soon_after_interrupt, stopped
from flows.list_versions import list_versions
from flows.options import (
    BuildRoot,
    Format,
    FormatOption,
    Mix,
    Quiet,
    RecipePath,
    Root,
    RootArgument,
    Verify,
    VersionName,
    complete_version,
)
from flows.remove_version import remove_version
from flows.terminal import accept_all_characters, complain, echo, echo_data, run_in_utf_8
from schemas.errors import LongmixError

if TYPE_CHECKING:
    from pipelines.recipe import AnyRecipe
    from pipelines.versions import Version

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,  # as markup, "[run]" is lost from help
    context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_STATUS,
    help="Training data for long-context language models, from raw text, accounted for token by token.",
)  # fmt: skip
command = partial(app.command, cls=Command)


def print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        echo(f"longmix {version('longmix')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@command()
def build(
    recipe: RecipePath,
    root: Root = Path("data/mixes"),
    workers: Annotated[int | None, typer.Option(min=1, help="Workers, in place of the recipe's [run].")] = None,
    verify: Verify = False,
    quiet: Quiet = False,
) -> None:
    """Build a recipe's mix. Only what is missing is made. A recipe with [samples] gives a set of instruction samples."""
    from pipelines.recipe import load

    loaded = load(recipe)
    if workers:
        loaded = loaded.model_copy(update={"run": loaded.run.model_copy(update={"workers": workers})})
    built(loaded, root, None, verify=verify, quiet=quiet)


@command()
def refresh(recipe: RecipePath, root: Root = Path("data/mixes"), verify: Verify = False, quiet: Quiet = False) -> None:
    """Build on the newest version: compute only what changed. The difference is reported."""
    from flows.text import difference, unchanged
    from pipelines.diff import changes
    from pipelines.recipe import load
    from pipelines.versions import latest

    loaded = load(recipe)
    base = latest(root, loaded.mix)
    version = built(loaded, root, base, verify=verify, quiet=quiet)
    if base and not quiet:
        echo()
        if version.is_new:
            echo(difference(changes(base, version.folder), base.name, version.version))
        else:
            echo(unchanged(base.name))


def built(recipe: "AnyRecipe", root: Path, base: Path | None, *, verify: bool, quiet: bool) -> "Version":
    """Build, with progress and a summary; when quiet, print the folder of the version alone."""
    from flows.forecast_text import encoding_notes
    from flows.progress import following
    from flows.summary import summary
    from pipelines.build import build as build_mix

    if quiet:
        version = build_mix(recipe, root, base=base, verify=verify)
        echo(version.folder)
        return version
    for line in encoding_notes(recipe):
        echo(line)
    began = time.monotonic()
    with following(root.absolute()):
        version = build_mix(recipe, root, base=base, verify=verify)
    echo(summary(version, root, time.monotonic() - began))
    return version


@command()
def plan(recipe: RecipePath, root: Root = Path("data/mixes")) -> None:
    """Forecast a build and what the corpus cannot supply. By domain and length, with what a model will read."""
    from flows.without_pandas import leave_out_pandas

    leave_out_pandas()
    from flows.forecast_text import forecast_text
    from flows.sample_text import samples_forecast_text
    from pipelines.forecast import forecast, samples_forecast
    from pipelines.recipe import Recipe, read

    loaded = read(recipe)
    if isinstance(loaded, Recipe):
        echo(forecast_text(forecast(loaded, root), loaded))
    else:
        echo(samples_forecast_text(samples_forecast(loaded, root), loaded))


class QueryCommand(Command):
    """`longmix query --help` lists the views and tables, from the views themselves."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from flows.text import views_help
        from schemas.tables import TABLES
        from schemas.views import comments

        super().format_help(ctx, formatter)
        formatter.write(views_help(comments(), TABLES))


@app.command(cls=QueryCommand)
def query(
    root: RootArgument,
    sql: Annotated[str, typer.Argument(help="For example: FROM lengths")],
    form: FormatOption = Format.table,
    mix: Mix = None,
    version: VersionName = "latest",
    unrestricted: Annotated[bool, typer.Option("--unrestricted", help="Let it read and write other files.")] = False,
) -> None:
    """Query a dataset in SQL."""
    from flows.opened import Query
    from flows.query import ask

    printer = echo if form is Format.table else echo_data
    printer(ask(root, Query(sql, mix, version, unrestricted), form.value))


@command()
def show(
    root: RootArgument,
    sequence: Annotated[str, typer.Argument(help="Its place in the training order, from 0, or FILE:ROW, as 2:17.")],
    mix: Mix = None,
    version: VersionName = "latest",
    chars: Annotated[int, typer.Option(min=0, help="Characters to show of each end of a segment.")] = 160,
) -> None:
    """Show a training sequence and where its text came from. Segment by segment: document, file, record, license."""
    from flows.query import show_sequence

    echo(show_sequence(root, sequence, mix, version, chars))


@command()
def diff(
    root: RootArgument,
    before: Annotated[
        str | None,
        typer.Argument(help="A version; by default the base of AFTER.", autocompletion=complete_version),
    ] = None,
    after: Annotated[
        str | None, typer.Argument(help="A version; by default the newest.", autocompletion=complete_version)
    ] = None,
    mix: Mix = None,
    limit: Annotated[int, typer.Option(min=0, help="Documents to name of each change; 0: none.")] = 10,
) -> None:
    """Compare two versions: what came in and went out. By domain, and the first documents by name."""
    from flows.diff_text import documents_text
    from flows.text import difference
    from pipelines.diff import changes, documents_changed, two_versions

    older, newer = two_versions(root, before, after, mix)
    is_of_one_mix = older.parent == newer.parent
    names = [folder.name if is_of_one_mix else f"{folder.parent.name} {folder.name}" for folder in (older, newer)]
    echo(difference(changes(older, newer), *names))
    if limit:
        documents = documents_changed(older, newer, limit)
        n_by_change = {"in": documents.n_in, "out": documents.n_out, "renamed": documents.n_renamed}
        if lines := documents_text(documents.rows, n_by_change):
            echo(lines)


@command()
def calibrate(
    recipe: RecipePath,
    out: Annotated[Path, typer.Argument(help="The calibration, a JSON file that the recipe's [score] then names.")],
    root: Root = Path("data/mixes"),
    documents: Annotated[int, typer.Option(min=4, help="How many, in turn from each domain.")] = 32,
) -> None:
    """Fit the correction of chunk_gain to a model. For the recipe's model and chunk size; takes long, and resumes."""
    from flows.progress import following
    from pipelines.calibrate import calibrate as fit
    from pipelines.calibrate import check_out
    from pipelines.recipe import Recipe, load
    from schemas.errors import RecipeError

    loaded = load(recipe)
    if not isinstance(loaded, Recipe):
        raise RecipeError(
            f"{recipe}: [samples]: chunk_gain does not score instruction samples; name a recipe with [score]"
        )
    check_out(out)
    with following(root.absolute()):
        found = fit(loaded, root, documents, report=echo)
    out.write_text(found.text(), encoding="utf-8")
    echo(f"{out}: fitted to {found.n_documents} documents, {found.n_pairs:,} pairs; name it as score.calibration")


@command()
def check(root: BuildRoot = Path("data/mixes"), quiet: Quiet = False) -> None:
    """Compare every file of a root with its checksum. For a damaged one, the command that repairs it is printed."""
    from flows.progress import counting
    from flows.text import check_report
    from pipelines.check import check as check_root

    with counting(is_shown=not quiet) as count:
        results = [count(result) for result in check_root(root)]
    echo(check_report(results, root))
    if any(result.fault for result in results):
        raise typer.Exit(REFUSED)


command("init")(init_recipe)
command("list")(list_versions)
command("remove")(remove_version)
for fetch in (gathering.corpus, gathering.demonstration, gathering.model):
    command()(fetch)


@command()
def gc(
    root: Root = Path("data/mixes"),
    dry_run: Annotated[bool, typer.Option(help="Only report what would be removed.")] = False,
) -> None:
    """Remove shards and actions that no published version lists."""
    from pipelines.garbage import collect

    n_files, n_bytes = collect(root, dry_run=dry_run)
    echo(f"{n_files:,} files, {n_bytes / 1e6:,.1f} MB {'would be ' if dry_run else ''}removed from {root}")


def main() -> None:
    """Run the command line; an error is one line on standard error. The exit status is of flows/exits.py."""
    run_in_utf_8()
    logging.getLogger().setLevel(logging.ERROR)
    accept_all_characters()
    end_soon_after_interrupt()
    try:
        app()
    except LongmixError as error:
        complain(error)
        sys.exit(status_of(error))
    except (KeyboardInterrupt, SystemExit) as error:
        if isinstance(error, SystemExit) and error.code != INTERRUPTED:
            raise
        stopped()
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
