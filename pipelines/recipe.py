"""A recipe: the TOML file that says what a mix is made of. Everything in it is checked before a corpus byte is read.

Paths in a recipe are relative to the recipe's own folder. Unknown keys are refused, with the key that was meant.
"""

import tomllib
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipelines.beam_faults import CheckedRunner
from pipelines.dedup import DedupParams
from pipelines.encode import EncodeParams, bos_id, eos_id
from pipelines.ingest import Source
from pipelines.names import MIX_NAME, check_names
from pipelines.order import OrderParams
from pipelines.pack import EXTENSION, PackParams, pad_ids
from pipelines.plan import PlanParams
from pipelines.recipe_faults import (
    complaints,
    depth,
    is_worth_a_retry,
    meant,
    one_line,
    size_fault,
    toml_fault,
    with_sizes,
)
from pipelines.score import ScoreParams
from pipelines.screen import ScreenParams
from pipelines.sft_recipe import SftRecipe
from pipelines.stage import Runner
from schemas.errors import RecipeError, StageError
from scorers import table_of


class Recipe(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    mix: str = Field(pattern=MIX_NAME)
    sources: tuple[Source, ...] = Field(min_length=1)
    dedup: DedupParams = DedupParams()
    encode: EncodeParams
    screen: ScreenParams | None = None  # None: no cheap scores, unless the model's need them
    score: ScoreParams | None = None  # None: no model is run
    plan: PlanParams
    order: OrderParams = OrderParams()
    pack: PackParams
    run: CheckedRunner = Runner()

    @model_validator(mode="after")
    def names_fit(self) -> Self:
        """Every source has a name of its own, and shares of either kind name domains that a source has."""
        check_names(self.sources)
        distinct = {source.domain for source in self.sources}
        domains = sorted(distinct)
        shares_by_key = {"shares": self.plan.shares or {}, "select.top_shares": self.plan.select.top_shares}
        for key, shares in shares_by_key.items():
            for domain in sorted(shares):
                if domain not in distinct:
                    raise ValueError(f"plan.{key}.{domain}: no source has this domain{meant(domain, domains)}")
        return self

    @model_validator(mode="after")
    def marks_differ(self) -> Self:
        if self.encode.bos_token == self.encode.eos_token:
            raise ValueError(
                f"encode.bos_token: {self.encode.bos_token!r} is eos_token too, which ends a document and may not begin "
                "one; name another token, or remove the key"
            )
        return self

    @model_validator(mode="after")
    def scores_are_made(self) -> Self:
        """A plan selects by tables that the recipe has made, and no two scorers write one table.

        What a plan drops by default needs no [screen]: without one no document has a reason.
        """
        kinds = [scorer.kind for scorer in self.score.also] if self.score else []
        made = {"SCORES_CHEAP": self.screen, "SCORES_CHUNK_GAIN": self.score} | dict.fromkeys(
            map(table_of, kinds), True
        )
        select = self.plan.select
        if select.table and not made.get(select.table):
            raise ValueError(f"plan.select.by: {select.by} needs {maker_of(select.table)}; add it")
        if "drop" in select.model_fields_set and select.drop and not self.screen:
            raise ValueError(f"plan.select.drop: {select.drop[0]} needs {maker_of('SCORES_CHEAP')}; add it")
        if self.score and not self.screen:
            raise ValueError("score: needs the section [screen], whose guard and gate come before the model; add it")
        twice = sorted({kind for kind in kinds if kinds.count(kind) > 1})
        if twice:
            raise ValueError(f"score.also: two are of kind {twice[0]}; their table is one, so keep one of them")
        return self

    @model_validator(mode="after")
    def chunks_are_searched(self) -> Self:
        """A packer of chunks has an order whose encoder and search are those of the chunks."""
        if not self.pack.is_extension:
            return self
        if not self.order.needs_vectors:
            raise ValueError(
                f"pack.packer: {EXTENSION} needs an order by the vectors of an encoder, not {self.order.by}; add [order] "
                'with by = "greedy_edge" and [order.encoder], or choose another packer'
            )
        if self.pack.negative_neighbours > self.order.neighbours:
            raise ValueError(
                f"pack.negative_neighbours = {self.pack.negative_neighbours} is more than order.neighbours = "
                f"{self.order.neighbours}, the length of a list; change one of them"
            )
        return self

    @property
    def selects_by(self) -> tuple[str, ...]:
        """The tables that the plan selects by."""
        return self.plan.select.tables if self.screen else ()

    def identity(self) -> dict[str, Any]:
        """What makes the mix what it is: all but where files lie and how the work is spread."""
        return self.model_dump(
            mode="json", exclude={"run": True, "sources": {"__all__": {"path", "max_rejected_share"}}}
        )


def maker_of(table: str) -> str:
    """What a recipe makes a table of scores by."""
    sections = {"SCORES_CHEAP": "the section [screen]", "SCORES_CHUNK_GAIN": "the section [score]"}
    kind = table.removeprefix("SCORES_").lower()
    return sections.get(table, f'an entry [[score.also]] of kind = "{kind}"')


AnyRecipe = Recipe | SftRecipe

MOST_BYTES = 16 << 20  # of a recipe; one with 100,000 sources has less
MOST_DEPTH = 8  # of lists and sections within each other
TOO_DEEP = "nested too deeply; a recipe has sections of keys, and no section inside three others; remove the inner ones"


def load(path: Path | str) -> AnyRecipe:
    """The recipe of a TOML file, see `read`; its tokenizer can be loaded and has the recipe's EOS and BOS.

    Raises:
        RecipeError: the tokenizer can't be loaded, or lacks a token; and see `read`.
        StageError: see `read`.
    """
    recipe = read(path)
    eos_id(recipe.encode)
    bos_id(recipe.encode)
    return recipe


def read(path: Path | str) -> AnyRecipe:
    """The recipe of a TOML file, with its paths made absolute and its files hashed: of samples if it has [samples].

    The tokenizer, a quarter of a CPU second, is loaded for tokens of [pack] alone. A forecast loads it to sample texts.

    Raises:
        RecipeError: it can't be read, is not TOML, or asks for what can't be; the message names the key.
        StageError: it names something on the hub, which can't be reached.
    """
    path = Path(path)
    raw = parsed(path)
    kind: type[AnyRecipe] = SftRecipe if "samples" in raw else Recipe
    try:
        sized = with_sizes(raw, [kind])
        if fault := size_fault(sized, raw):
            raise RecipeError(f"{path}: {fault}")
        recipe = kind.model_validate(sized, context={"folder": path.absolute().parent})
        pad_ids(recipe.pack, recipe.encode)
    except ValidationError as error:
        message = one_line(f"{path}: {'; '.join(complaints(error, kind, raw))}")
        raise (StageError if is_worth_a_retry(error) else RecipeError)(message) from error
    return recipe


def parsed(path: Path) -> dict[str, Any]:
    """What a TOML file holds.

    Raises:
        RecipeError: it can't be read, is not TOML, or is no recipe by its size or depth.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise RecipeError(f"{path}: has more than {MOST_BYTES:,} bytes; name a recipe such as mixes/tiny.toml")
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
        raw = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: can't be read ({error}); name a recipe such as mixes/tiny.toml") from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: not TOML: {one_line(toml_fault(error, text))}") from error
    except RecursionError as error:
        raise RecipeError(f"{path}: {TOO_DEEP}") from error
    except ValueError as error:  # of int() and of datetime
        raise RecipeError(
            f"{path}: not TOML: {one_line(str(error).partition(';')[0])}; write a smaller value"
        ) from error
    if depth(raw) > MOST_DEPTH:
        raise RecipeError(f"{path}: {TOO_DEEP}")
    return raw
