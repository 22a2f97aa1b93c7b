"""An instruction sample as a scorer reads it: its tokens, and where context, instruction and response are."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Sample:
    """Tokens of a sample up to the end of its scored response.

    Attributes:
        ids: [response_stop] int32. header = ids[:context_start], context = ids[context_start:context_stop], instruction =
            ids[context_stop:response_start], response = ids[response_start:]. The header is in every pass.
    """

    ids: np.ndarray
    context_start: int
    context_stop: int
    response_start: int

    @property
    def header(self) -> np.ndarray:
        return self.ids[: self.context_start]

    @property
    def context(self) -> np.ndarray:
        return self.ids[self.context_start : self.context_stop]

    @property
    def instruction(self) -> np.ndarray:
        return self.ids[self.context_stop : self.response_start]

    @property
    def response(self) -> np.ndarray:
        return self.ids[self.response_start :]
