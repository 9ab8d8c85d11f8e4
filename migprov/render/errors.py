"""Why something cannot be rendered."""

from __future__ import annotations

from ..errors import MigprovError


class RenderError(MigprovError):
    """The state, or the file that it goes into, does not allow it. Nothing was written."""

    code = "render"
