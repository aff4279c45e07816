"""The service over HTTP: parses, calls :mod:`awry.ops`, formats."""

from awry.server.app import create_app

__all__ = ["create_app"]
