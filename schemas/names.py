"""Fields of a recipe that name files: validation turns the name into what it names, relative to the recipe's folder.

    tokenizer: Annotated[HashedFile, from_name(tokenizer_named)]

Recipe.model_validate(raw, context={"folder": folder}) gives the folder. Without it a value is taken as it is: code that
builds parameters directly has resolved them.
"""

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


def path_named(folder: Path, name: str) -> Path:
    """The path that a recipe in `folder` names; `~` is the user's home folder.

    Raises:
        RecipeError: it names the home folder of a user who has none.
    """
    try:
        return folder / Path(name).expanduser()
    except RuntimeError as error:
        raise RecipeError(f"{name}: no user of this name has a home folder; write the path out") from error
