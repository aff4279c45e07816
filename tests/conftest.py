"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

from servers import database as database
from servers import postgres as postgres

# A busy machine must fail no test, and a test that passed today must pass tomorrow.
settings.register_profile("awry", deadline=None, derandomize=True)
settings.load_profile("awry")
