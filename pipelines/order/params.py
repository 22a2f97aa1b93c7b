"""The recipe's [order]."""

from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator

from pipelines.order.neighbours import Search
from pipelines.order.orders import ORDERS
from pipelines.shares import MICRO
from scorers.embedding import EncoderParams


class Settings(NamedTuple):
    """What the order of a group depends on, besides its documents and their vectors."""

    by: str
    seed: int
    search: Search


class OrderParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str = "random"  # a name of ORDERS
    encoder: EncoderParams | None = None  # makes the vectors, where the order needs them
    near_similarity: Annotated[float, Field(gt=0, le=1)] = 0.95  # cosine from which two documents are near copies
    neighbours: PositiveInt = 20  # of each document
    partition_documents: PositiveInt = 8192  # of a partition, about
    exact_documents: PositiveInt = 65_536  # a larger partition is searched by faiss
    seed: int = 0

    @field_validator("by")
    @classmethod
    def is_order(cls, by: str) -> str:
        if by not in ORDERS:
            raise ValueError(f"unknown order {by!r}; choose one of {', '.join(ORDERS)}")
        return by

    @model_validator(mode="after")
    def has_encoder(self) -> "OrderParams":
        if self.needs_vectors and self.encoder is None:
            raise ValueError(f"encoder: {self.by} orders by the vectors of an encoder; name one, or another order")
        return self

    @property
    def makes_path(self) -> bool:
        """Whether there is an ORDER. Without one, packing shuffles the documents."""
        return self.by != "random"

    @property
    def needs_vectors(self) -> bool:
        return not {"graph", "vectors"}.isdisjoint(ORDERS[self.by].needs)

    @property
    def settings(self) -> Settings:
        search = Search(self.neighbours, round(self.near_similarity * MICRO), self.exact_documents)
        return Settings(self.by, self.seed, search)
