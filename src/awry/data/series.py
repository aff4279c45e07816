"""A table as series: which column is the time, which name the series, which are measured."""

from __future__ import annotations

from dataclasses import dataclass, field

from awry.core.inputs import FloatArray, IntArray
from awry.core.series import Series
from awry.data.problems import Problems


@dataclass
class SeriesSet:
    """A table as series on regular grids.

    Attributes
    ----------
    keys : list of str
        The name of each series; ``""`` where there is one without a name.
    series : list of Series
        Values (T, d), NaN in gaps; times are datetime64[us], ``steps`` apart.
    channels : list of str
        Names of the d channels.
    rows : ndarray of shape (n,)
        The series each row of the table belongs to, -1 where a row was set aside.
    points : ndarray of shape (n,)
        Its point on that series' grid, -1 where set aside.
    steps : ndarray of shape (len(series),)
        Seconds between the points of each series.
    time : str
        The column of the times.
    values, by : list of str
        Columns of what is measured, and of what the series are named by.
    notes : list of str
        What was decided on the way, in words.
    problems : Problems
        Rows, cells and series set aside.
    """

    keys: list[str]
    series: list[Series]
    channels: list[str]
    rows: IntArray
    points: IntArray
    steps: FloatArray
    time: str
    values: list[str]
    by: list[str]
    notes: list[str] = field(default_factory=list)
    problems: Problems = field(default_factory=Problems)
