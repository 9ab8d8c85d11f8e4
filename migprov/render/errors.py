"""Why something cannot be rendered."""

from __future__ import annotations

from ..errors import BadRequest, MigprovError


class RenderError(MigprovError):
    """The state, or the file that it goes into, does not allow it. Nothing was written."""

    code = "render"


class CannotRender(RenderError, BadRequest):
    """What is asked for is nothing that the other system could read or do. Nothing was written."""
