"""Files that a recipe names: by path, but counted by what they hold."""

from hashlib import blake2b
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import RecipeError


class HashedFile(BaseModel):
    """A file and the hash of its bytes. Only the hash names an action: the same file elsewhere is the same file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(exclude=True)
    hash: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """
        Raises:
            RecipeError: there is no such file, or it can't be read.
        """
        digest = blake2b(digest_size=16)
        try:
            with open(path, "rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise RecipeError(f"{path}: can't be read ({error.strerror}); mend the path or its permissions") from error
        return cls(path=str(path), hash=digest.hexdigest())
