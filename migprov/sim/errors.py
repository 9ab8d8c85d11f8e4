"""What can go wrong with the simulated driver."""

from __future__ import annotations

from ..errors import BadRequest, MigprovError


class SimError(BadRequest):
    """The simulated driver cannot do what was asked; nothing was changed."""


class NoCompiler(MigprovError):
    """There is no C compiler to build the simulated driver with."""


class CompileFailed(MigprovError):
    """The C compiler refused the simulated driver."""


class HoldRefused(SimError):
    """A process may not have the GPU: no such device, MIG mode without a MIG device, or not enough memory."""
