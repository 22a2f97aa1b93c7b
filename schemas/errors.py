"""Errors, by how they are repaired. Each message names the place, the finding and the remedy in one line."""


class LongmixError(Exception):
    """Anything that longmix refuses or cannot do."""


class RecipeError(LongmixError):
    """The recipe asks for something impossible: mend the recipe. Never retried."""


class SchemaError(LongmixError):
    """A table differs from the contract. Never retried."""


class LawError(SchemaError):
    """The tables break a law of laws.sql: a defect of longmix, nothing is published."""


class BusyError(LongmixError):
    """Another process holds the root."""


class NotMade(LongmixError):  # noqa: N818 a finding, not a fault
    """The engine only looks, and a stage's result is missing."""


class DamagedError(LongmixError):
    """A shard's file is missing or damaged. The build discards it and makes it again."""


class StageError(LongmixError):
    """A stage stopped for a reason outside the recipe: a full disk, a killed worker. Worth a retry."""
