"""`migprov sim`: the one place of the product that knows the simulated driver."""

from __future__ import annotations

import click

from ..sim.commands import sim
from ..sim.nodes.commands import down, up

command: click.Group = sim
command.add_command(up)
command.add_command(down)
