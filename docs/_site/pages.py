"""The pages of the reference."""

from __future__ import annotations

from . import cli, collection, errors, python_api, schemas


def every() -> dict[str, str]:
    """By name, without ending."""
    return {
        "cli": cli.page(),
        "python": python_api.page(),
        "modules": collection.modules_page(),
        "roles": collection.roles_page(),
        "files": schemas.page(),
        "errors": errors.page(),
    }
