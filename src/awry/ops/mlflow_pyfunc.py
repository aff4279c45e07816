"""Loads a model that was mirrored to MLflow, as a function from rows to scores.

MLflow finds this module by its name in the model's ``MLmodel`` file; beside that there is our own
file alone, which is read without running code from it.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa

from awry import io
from awry.core.inputs import FloatArray
from awry.judge import Judge


class Scorer:
    """What ``mlflow.pyfunc.load_model`` gives: higher scores are more anomalous."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> FloatArray:
        """The score of each row of a DataFrame, or of what makes one."""
        frame = model_input if isinstance(model_input, pd.DataFrame) else pd.DataFrame(model_input)
        table = pa.Table.from_pandas(frame, preserve_index=False)
        scores: FloatArray = self.judge.judge(table, source="rows").scores  # type: ignore[attr-defined]
        return scores


def _load_pyfunc(path: str) -> Scorer:
    judge = io.load(path)
    if not isinstance(judge, Judge):
        raise TypeError("the file holds no model")
    return Scorer(judge)
