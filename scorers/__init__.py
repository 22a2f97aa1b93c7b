"""Documents to numbers: the scorers that a recipe can name, and what they share.

A scorer is a file here, its columns SCORES_<KIND> in schemas/scores.py, and the name of its params in SCORERS. A plan can
select by it once pipelines/plan/selection.py has a row for it.
"""

from typing import TYPE_CHECKING, Annotated, Protocol, Union

import numpy as np
from pydantic import Field

import schemas  # noqa: F401 chooses the folder of compiled kernels before the first import of numba
from scorers.infogain import InfoGainParams
from scorers.lm import LM
from scorers.longattn import LongAttnParams
from scorers.prolong import ProLongParams


class Score(Protocol):
    """A document's score."""

    @property
    def status(self) -> str: ...  # scored, too_short or error
    @property
    def reason(self) -> str | None: ...  # why it is not scored
    @property
    def parts(self) -> dict[str, float | None]: ...  # by column of its table, the score first; NULL: not measured


class Scorer(Protocol):
    """The params of a scorer: an entry of the recipe's [[score.also]]."""

    @property
    def kind(self) -> str: ...

    def score(self, lm: LM, ids: np.ndarray) -> Score:
        """The score of a document. ids: [n_tokens], without special tokens."""
        ...

    def check(self, window_tokens: int, n_anchor: int) -> None:
        """Check the params against the model before the corpus is read.

        Args:
            window_tokens: of the longest pass.
            n_anchor: tokens of it that the model's anchor takes: 1, or 0 where it has none.

        Raises:
            RecipeError: the sizes do not fit together or do not fit into the window.
        """
        ...


SCORERS: tuple[type[Scorer], ...] = (ProLongParams, InfoGainParams, LongAttnParams)

if TYPE_CHECKING:
    AnyScorer = Scorer
else:
    AnyScorer = Annotated[Union[SCORERS], Field(discriminator="kind")]  # noqa: UP007 made from the tuple


def table_of(kind: str) -> str:
    """The table of a scorer's scores."""
    return f"SCORES_{kind.upper()}"
