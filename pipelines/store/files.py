"""The one door to files: sealed, written whole and renamed; and the files that a recipe names, counted by what they hold."""

import json
import os
import uuid
from hashlib import blake2b
from pathlib import Path
from typing import Self, TypedDict

import xxhash
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


class Seal(TypedDict):
    n_bytes: int
    xxh3_128: str


def seal(path: Path) -> Seal:
    """Length and checksum of a file's bytes: finds damage, says nothing of what the file holds."""
    digest = xxhash.xxh3_128()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return {"n_bytes": path.stat().st_size, "xxh3_128": digest.hexdigest()}


def publish(part: Path, path: Path) -> None:
    """Give a finished temporary file its name: synced first, so that a name never leads to half a file."""
    with open(part, "rb") as stream:
        os.fsync(stream.fileno())
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(part, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: object, scratch: Path | None = None) -> None:
    """Write a file whole or not at all; by way of `scratch`, on the same file system, or else of its own folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = (scratch or path.parent) / f".{path.name}.{uuid.uuid4().hex}"
    part.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
    publish(part, path)
