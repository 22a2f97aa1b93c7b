"""Fields of a recipe that name files: validation turns the name into what it names, relative to the recipe's folder.

    tokenizer: Annotated[HashedFile, from_name(tokenizer_named)]

Recipe.model_validate(raw, context={"folder": folder}) gives the folder. Without it a value is taken as it is: code that
builds parameters directly has resolved them.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, BeforeValidator, ValidationInfo
from pydantic_core import PydanticKnownError

from schemas.errors import RecipeError, StageError


def from_name(resolve: Callable[[Path, str], Any]) -> BeforeValidator:
    """A validator for a field that is a name in a recipe and the value of resolve(folder, name) in code.

    Its errors are ValueErrors, which pydantic reports with the key of the field and with those of other fields.
    """

    def resolved(value: Any, info: ValidationInfo) -> Any:
        folder = (info.context or {}).get("folder")
        if folder is None or isinstance(value, BaseModel):
            return value
        if not isinstance(value, str):
            raise PydanticKnownError("string_type")
        if not value or "\0" in value:
            raise ValueError(f"{value!r} is not a path; write one relative to the recipe's folder")
        try:
            return resolve(folder, value)
        except (RecipeError, StageError) as error:
            raise ValueError(str(error)) from error
        except OSError as error:
            raise ValueError(f"{value}: can't be read ({error.strerror}); mend the path or its permissions") from error

    return BeforeValidator(resolved)


URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")  # a drive letter of Windows has no second character
BRACES = re.compile(r"(.*?)\{([^{}]*,[^{}]*)\}(.*)")


def path_named(folder: Path, name: str) -> Path:
    """The path that a recipe in `folder` names; `~` is the user's home folder.

    Raises:
        RecipeError: it names the home folder of a user who has none; or it is a URL, has {a,b} or a variable, none of
            which a path of a recipe may have.
    """
    try:
        path = folder / Path(name).expanduser()
    except RuntimeError as error:
        raise RecipeError(f"{name}: no user of this name has a home folder; write the path out") from error
    if os.path.lexists(path):
        return path
    if url := URL.match(name):
        raise RecipeError(f"{name}: a URL; {without_url(url[1].lower(), name)}")
    if BRACES.fullmatch(name):
        paths = ", ".join(f'"{each}"' for each in expanded(name))
        raise RecipeError(f"{name}: braces are not expanded; write a list, as path = [{paths}]")
    if re.search(r"\$\w|\$\{", name):
        raise RecipeError(f"{name}: variables are not expanded; write the path out, or begin it with ~")
    return path


def without_url(scheme: str, name: str) -> str:
    if scheme == "file":
        return "write the path without file://"
    if scheme == "hf" or "huggingface.co/" in name:
        return 'name a dataset of the hub by hub = "OWNER/NAME", a model or tokenizer by "OWNER/NAME"'
    return "longmix reads local files; download it or mount it, and write its path"


def expanded(name: str) -> list[str]:
    """The names that a shell makes of one with {a,b}, the first few."""
    match = BRACES.fullmatch(name)
    if not match:
        return [name]
    start, choices, rest = match.groups()
    return [f"{start}{choice}{tail}" for choice in choices.split(",") for tail in expanded(rest)][:8]
