"""What can go wrong with simulated nodes."""

from __future__ import annotations

from migprov.errors import BadRequest, MigprovError


class SimNodesError(MigprovError):
    """Simulated nodes could not be started or ended."""

    code = "sim_nodes"


class SimNodesRequestError(SimNodesError, BadRequest):
    """What was asked of simulated nodes cannot be; nothing was started or ended."""

    code = "bad_request"


class SshdMissingError(SimNodesRequestError):
    """No OpenSSH server is installed on this machine."""
