"""Tables from files, standard input and databases, as streams of Arrow record batches."""

from awry.data.problems import Problem, Problems
from awry.data.readers.blocks import TooWideError
from awry.data.readers.source import Source, open_source, read

__all__ = ["Problem", "Problems", "Source", "TooWideError", "open_source", "read"]
