"""Fleets of simulated GPU nodes, each a real OpenSSH server on loopback before a driver of its own.

with up("lab", nodes=3, gpus="3xA100-80GB") as fleet:
    subprocess.run(["ansible", "-i", fleet.inventory, "gpu_nodes", "-m", "migprov.gpu.mig_info"])
"""

from __future__ import annotations

from migprov.sim.nodes.errors import SimNodesError, SimNodesRequestError, SshdMissingError
from migprov.sim.nodes.fleet import Fleet, node_at, open_fleet, up
from migprov.sim.nodes.node import FleetNode

__all__ = [
    "Fleet",
    "FleetNode",
    "SimNodesError",
    "SimNodesRequestError",
    "SshdMissingError",
    "node_at",
    "open_fleet",
    "up",
]
