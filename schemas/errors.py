"""What can go wrong, by what mends it. Every message names the place, the finding and the remedy."""


class LongmixError(Exception):
    """Anything that longmix refuses or can't do, said in one line."""


class RecipeError(LongmixError):
    """The recipe asks for something that can't be: mend the recipe. Never retried."""


class SchemaError(LongmixError):
    """A table is not what the contract says it is. Never retried."""


class LawError(SchemaError):
    """The tables break a law of laws.sql: a defect of ours, nothing is published."""


class BusyError(LongmixError):
    """Another build holds the root."""


class NotMade(LongmixError):  # noqa: N818 a finding, not a fault
    """Asked only to look, and a stage's result is not there."""


class StageError(LongmixError):
    """A stage stopped for a reason outside the recipe: a full disk, a killed worker. Worth a retry."""


PERMANENT = (RecipeError, SchemaError)
