"""The recipe's [pack]."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator

from pipelines.encode import EncodeParams, id_of
from pipelines.pack.packers import PACKERS
from schemas.errors import RecipeError

EXTENSION = "negative_extension"  # the packer of chunks: it needs CHUNKS, see negative_extension.py


class PackParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    packer: str = "best_fit"
    sequence_tokens: int = Field(131_072, gt=0, lt=2**31)  # places in a row have 32 bits
    max_segments: PositiveInt | None = None  # of a sequence
    pad_documents_to: PositiveInt | None = None  # each segment's length is a multiple of it
    pad_token: str | None = None  # None: eos_token
    knot_tokens: tuple[str, ...] = ()  # the documents of a row are cut into chunks and interleaved, see knots.py
    knot_chunk_tokens: PositiveInt = 2_048
    negative_chunk_tokens: PositiveInt = 2_048  # of a chunk of negative_extension, as in the paper
    negative_neighbours: PositiveInt = 4  # chunks of other documents after each chunk, at most
    seed: int = 0

    @field_validator("packer")
    @classmethod
    def check_packer(cls, packer: str) -> str:
        names = sorted([*PACKERS, EXTENSION])
        if packer not in names:
            raise ValueError(f"unknown packer {packer!r}; choose one of {', '.join(names)}")
        return packer

    @model_validator(mode="after")
    def check_padding(self) -> Self:
        if self.pad_documents_to and self.sequence_tokens % self.pad_documents_to:
            raise ValueError(
                f"sequence_tokens = {self.sequence_tokens} is no multiple of pad_documents_to = {self.pad_documents_to}; "
                "change one of them"
            )
        if self.pad_token is not None and not self.pad_documents_to:
            raise ValueError("pad_token has no effect without pad_documents_to; add that key, or remove pad_token")
        return self

    @model_validator(mode="after")
    def check_knots(self) -> Self:
        if not self.knot_tokens:
            if "knot_chunk_tokens" in self.model_fields_set:
                raise ValueError("knot_chunk_tokens has no effect without knot_tokens; add that key, or remove it")
            return self
        if len(set(self.knot_tokens)) < max(2, len(self.knot_tokens)):
            raise ValueError("knot_tokens: needs two or more different tokens, one for each interleaved document")
        for key in ("pad_documents_to", "max_segments"):
            if getattr(self, key):
                raise ValueError(f"knot_tokens cannot be combined with {key}; remove one of them")
        if self.knot_chunk_tokens > self.sequence_tokens:
            raise ValueError(
                f"knot_chunk_tokens = {self.knot_chunk_tokens} is more than sequence_tokens = {self.sequence_tokens}; "
                "change one of them"
            )
        return self

    @model_validator(mode="after")
    def check_extension(self) -> Self:
        if not self.is_extension:
            for key in ("negative_chunk_tokens", "negative_neighbours"):
                if key in self.model_fields_set:
                    raise ValueError(
                        f'{key} has no effect without packer = "{EXTENSION}"; add that key, or remove {key}'
                    )
            return self
        for key in ("knot_tokens", "max_segments"):
            if getattr(self, key):
                raise ValueError(f"{EXTENSION} cannot be combined with {key}; remove one of them")
        if self.negative_chunk_tokens > self.sequence_tokens:
            raise ValueError(
                f"negative_chunk_tokens = {self.negative_chunk_tokens} is more than sequence_tokens = "
                f"{self.sequence_tokens}; change one of them"
            )
        if self.negative_chunk_tokens % self.unit:
            raise ValueError(
                f"negative_chunk_tokens = {self.negative_chunk_tokens} is no multiple of pad_documents_to = {self.unit}; "
                "change one of them"
            )
        return self

    @property
    def is_extension(self) -> bool:
        return self.packer == EXTENSION

    @property
    def unit(self) -> int:
        """Packers count in this many tokens."""
        return self.pad_documents_to or 1

    @property
    def capacity(self) -> int:
        """Units of a row for tokens of documents: with knots there is room for a marker after each chunk."""
        if self.knot_tokens:
            return max(1, self.sequence_tokens * self.knot_chunk_tokens // (self.knot_chunk_tokens + 1))
        return self.sequence_tokens // self.unit


def pad_ids(params: PackParams, encoding: EncodeParams) -> list[int]:
    """The ids of the recipe's pad token or of its knot tokens; empty if it has neither.

    Raises:
        RecipeError: the tokenizer has no such token, or a knot token is EOS or BOS.
    """
    for key in ("eos_token", "bos_token"):
        if (token := getattr(encoding, key)) in params.knot_tokens:
            raise RecipeError(f"pack.knot_tokens: {token!r} is encode.{key}; name a token that marks nothing else")
    if params.knot_tokens:
        return [id_of(encoding, "pack.knot_tokens", token) for token in params.knot_tokens]
    if not params.pad_documents_to:
        return []
    if params.pad_token is None:
        return [id_of(encoding, "encode.eos_token", encoding.eos_token)]
    return [id_of(encoding, "pack.pad_token", params.pad_token)]
