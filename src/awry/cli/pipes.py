"""What becomes of a command when who it talks to goes away."""

from __future__ import annotations

import signal

#: Windows has no such signal, and needs none of this.
_SIGPIPE = getattr(signal, "SIGPIPE", None)


def end_with_reader() -> None:
    """A closed pipe (`awry ... | head`) ends the program quietly, as it does others."""
    if _SIGPIPE is not None:
        signal.signal(_SIGPIPE, signal.SIG_DFL)


def outlive_peers() -> None:
    """A connection that its other end closed is an error to be handled, and ends nothing.

    For commands that hold connections: the signal does not tell a socket from standard output.
    """
    if _SIGPIPE is not None:
        signal.signal(_SIGPIPE, signal.SIG_IGN)
