"""Arguments and options that several commands share."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

MOST_COMPLETIONS = 1_000


def root_of(ctx: Any) -> Path:
    """The root that a command line names. While an option lacks its value, its words alone have it."""
    words = (os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or "").split()
    named = next((Path(word) for word in words if Path(word, "datasets").is_dir()), Path("data/mixes"))
    return Path(ctx.params.get("root") or named)


def published(root: Path, pattern: str) -> list[Path]:
    """Folders of versions under ROOT/datasets, for the completion of a shell. No file is read."""
    folders = root.glob(f"datasets/{pattern}/manifest.json")
    return [path.parent for path in folders if not path.parent.name.startswith(".")][:MOST_COMPLETIONS]


def complete_mix(ctx: Any, incomplete: str) -> list[str]:
    names = {folder.parent.name for folder in published(root_of(ctx), "*/latest")}
    return sorted(name for name in names if name.startswith(incomplete))


def complete_version(ctx: Any, incomplete: str) -> list[str]:
    names = {folder.name for folder in published(root_of(ctx), f"{ctx.params.get('mix') or '*'}/*")}
    return sorted(name for name in names if name.startswith(incomplete))


RecipePath = Annotated[Path, typer.Argument(help="A recipe, such as mixes/tiny.toml.")]
Root = Annotated[Path, typer.Option(help="The folder that holds the tables and the datasets.")]
RootArgument = Annotated[Path, typer.Argument(help="The --root of a build, or the folder of one version.")]
BuildRoot = Annotated[Path, typer.Argument(help="The --root of a build.")]
Mix = Annotated[str | None, typer.Option(help="Which mix, where the root holds several.", autocompletion=complete_mix)]
Verify = Annotated[
    bool, typer.Option("--verify", help="Hash every raw file and shard again, not only those that are read.")
]
VersionName = Annotated[
    str,
    typer.Option("--version", help="Which version of it: its name, or how it begins.", autocompletion=complete_version),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress and no summary: only the result in one line, and errors.")
]


class Format(StrEnum):
    table = "table"
    json = "json"
    csv = "csv"


FormatOption = Annotated[Format, typer.Option("--format", help="How the answer is printed.")]
