"""``python -m awry`` is ``awry``."""

from awry.cli import main

main()
