"""A simulated node's NVIDIA driver: making one, looking at it, and playing tricks on it.

A node is a folder: `lib/libnvidia-ml.so.1`, `bin/nvidia-smi`, `bin/systemctl`, `dev/nvidia*`, `proc`, `cgroup` and
`state`. Whoever runs a program with `SimNode.env()` sees its GPUs; who owns the folder is root of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import build, caps, faults, folder, holders, install, layout, products, records, services, state
from .errors import SimError
from .holders import Holder
from .services import Service

__all__ = ["Holder", "Service", "SimNode", "library", "product_names"]

DRIVER_VERSION = "580.159.04"
CONDITIONS = (*state.DRIVER_CONDITIONS, "missing")

library = build.library
product_names = products.product_names


class SimNode:
    """One simulated node's driver. Only its owner (and root) can change it; anyone may look."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @classmethod
    def create(
        cls,
        directory: str | os.PathLike[str],
        gpus: str = "3xA100-80GB",
        driver_version: str | None = None,
        *,
        owner: int | None = None,
        driver: str = "loaded",
        seed: str | None = None,
        rotated: bool | None = None,
    ) -> SimNode:
        """Make a node in `directory`, which must not hold one yet.

        Args:
            directory: the node's folder.
            gpus: such as `3xA100-80GB` or `2xA100-40GB,1xT4`; products and aliases: see `products.py`.
            driver_version: what the driver says it is; None: `DRIVER_VERSION`.
            owner: uid that is root of the node; None: whoever calls. Another one takes root.
            driver: `loaded`, `not-loaded` (init answers 9), `mismatch` (18) or `missing` (no library).
            seed: what UUIDs and serials derive from; None: the names of the folder and of the one above.
            rotated: how the boards number their placements (see `layout.py`); None: as recorded of the product.

        Raises:
            SimError: the request cannot be met. NoCompiler, CompileFailed: the library cannot be built.
        """
        node = cls(Path(directory).absolute())
        found = products.parse(gpus)
        _check_condition(driver)
        holders.check_user(owner)
        folder.check_free(node.directory)
        fresh = layout.new_state(
            found,
            driver_version=driver_version or DRIVER_VERSION,
            seed=seed or f"{node.directory.parent.name}/{node.directory.name}",
            rotated=rotated,
        )
        build.library()
        folder.make(node.directory, len(found))
        records.create(node._state)
        caps.write_mig_minors(node.directory / "proc", len(found))
        install.program(Path(__file__).with_name("systemctl.py"), node.directory / "bin" / "systemctl")
        if driver != "missing":
            fresh.driver_condition = state.DRIVER_CONDITIONS.index(driver)
            node._install()
        state.write_new(node._state, fresh)  # last: what is cut off before it is no node
        services.folders(node.directory)
        if owner is not None:
            folder.give(node.directory, owner)
        return node

    @classmethod
    def open(cls, directory: str | os.PathLike[str]) -> SimNode:
        """The node in `directory`. Raises SimError when there is none."""
        node = cls(Path(directory).absolute())
        state.read(node._state)
        return node

    @property
    def _state(self) -> Path:
        return self.directory / "state"

    @property
    def _library(self) -> Path:
        return self.directory / "lib" / build.SONAME

    @property
    def _smi(self) -> Path:
        return self.directory / "bin" / "nvidia-smi"

    def env(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a process on this node: what to add to `base` (None: this process's).

        `LD_LIBRARY_PATH` and `PATH` begin with the node's; `MIGPROV_DEV` is its stand-in for /dev, `MIGPROV_CGROUP`
        for what /proc/PID/cgroup says of its processes, `MIGPROV_SYS` for /sys, `MIGPROV_PROC` for what of /proc is
        the driver's.
        """
        outer = os.environ if base is None else base
        return {
            "LD_LIBRARY_PATH": _before(self.directory / "lib", outer.get("LD_LIBRARY_PATH")),
            "PATH": _before(self.directory / "bin", outer.get("PATH")),
            "MIGPROV_DEV": str((self.directory / "dev").resolve()),
            "MIGPROV_CGROUP": str((self.directory / "cgroup").resolve()),
            "MIGPROV_SYS": str((self.directory / "sys").resolve()),
            "MIGPROV_PROC": str((self.directory / "proc").resolve()),
        }

    def set_driver(self, condition: str) -> None:
        """Load the driver, or take it away: see `create`. Raises SimError."""
        _check_condition(condition)
        if condition == "missing":
            for installed in (self._library, self._smi):
                installed.unlink(missing_ok=True)
            return
        with state.changing(self._state) as node:
            node.driver_condition = state.DRIVER_CONDITIONS.index(condition)
        self._install()

    def _install(self) -> None:
        """Copies: other users of the node cannot read the cache of whoever made it."""
        install.program(build.library(), self._library)
        install.program(Path(__file__).with_name("nvidia_smi.py"), self._smi)

    def show(self) -> dict[str, Any]:
        """What the node is now: driver, GPUs, instances, processes, faults, number of writes."""
        shown = records.show(state.read(self._state))
        missing = not self._library.exists()
        return {"directory": str(self.directory), **shown, **({"driver": "missing"} if missing else {})}

    def hold(
        self,
        gpu: int | str | Sequence[int] | None,
        memory_mib: int = 0,
        *,
        mig_uuid: str | None = None,
        kind: str = "compute",
        command: str | None = None,
        ignores_term: bool = False,
        user: int | None = None,
        cgroup: str | None = None,
    ) -> Holder:
        """Start a real process that holds memory of a GPU or of a MIG device; returns its pid.

        Args:
            gpu: index, `GPU-...` or `MIG-...`; with `mig_uuid` it may be None. A list of indices: it holds them all
                (an empty one: it has only the driver open, as some agents do).
            memory_mib: MiB that it holds.
            mig_uuid: the MIG device; a GPU in MIG mode needs one, but for a monitor.
            kind: `compute`, `graphics`, `mps`, or `monitor`: in no list of NVML, yet the GPU is in use.
            command: the command line it shows; its first word's base name is what the kernel calls it.
            ignores_term: it does not end on SIGTERM.
            user: uid that it runs as; another than the caller's takes root.
            cgroup: what its /proc/PID/cgroup would say, such as `0::/system.slice/docker-ID.scope`.

        Raises:
            HoldRefused: the driver would not let such a process have the device.
        """
        if isinstance(gpu, str) and gpu.startswith("MIG-"):
            gpu, mig_uuid = None, gpu
        named = [gpu] if isinstance(gpu, int | str) else gpu
        node = state.read(self._state)
        gpus = None if named is None else [records.gpu_index(node, each) for each in named]
        services.folders(self.directory)
        return holders.start(
            self._state,
            gpus,
            memory_mib,
            mig_uuid=mig_uuid,
            kind=kind,
            command=command,
            ignores_term=ignores_term,
            user=user,
            cgroup=cgroup,
        )

    def release(self, pid: int, missing_ok: bool = False) -> None:
        """End a process that `hold` started here. Raises SimError when it is none of this node's (any more)."""
        if not holders.end(self._state, pid) and not missing_ok:
            raise SimError(f"process {pid} holds no GPU of {self.directory}")

    def holders(self) -> list[int]:
        """The pids of the processes that hold GPUs now."""
        return list(dict.fromkeys(process.pid for process in holders.living(state.read(self._state))))

    def service(
        self,
        name: str,
        gpus: Sequence[int] = (0,),
        kind: str = "monitor",
        memory_mib: int = 0,
        *,
        mig_uuid: str | None = None,
        restart: bool = False,
        ignores_term: bool = False,
        command: str | None = None,
        enabled: bool = False,
        start: bool = True,
    ) -> Service:
        """Declare a systemd service of this node, whose process holds GPUs while it runs, and start it.

        Args:
            name: the unit, with or without `.service`.
            gpus: indices of the GPUs that its process holds; empty: it has only the driver open.
            kind: as for `hold`.
            memory_mib: MiB that it holds of each.
            mig_uuid: the MIG device that it holds instead of GPUs.
            restart: it comes back when its process ends, but for `systemctl stop` (`Restart=always`).
            ignores_term: its process does not end on SIGTERM.
            command: the command line that its process shows.
            enabled: it starts at every boot.
            start: start it now.

        Raises:
            SimError: no such GPU, or it does not start.
        """
        node = state.read(self._state)
        indices = [records.gpu_index(node, gpu) for gpu in gpus]
        known = services.units(self.directory)
        service = services.declare(
            self.directory,
            name,
            indices,
            kind=kind,
            memory_mib=memory_mib,
            mig_uuid=mig_uuid,
            restart=restart,
            ignores_term=ignores_term,
            command=command,
            enabled=enabled,
        )
        if start:
            try:
                service.start()
            except SimError:
                if service.unit not in known:
                    services.remove(self.directory, service.unit)
                raise
        return service

    def services(self) -> list[Service]:
        """The services that `service` declared."""
        return [Service(self.directory, unit) for unit in services.units(self.directory)]

    def supervisors(self) -> list[int]:
        """The pids of the processes that keep active services running: what systemd is on a real node."""
        return services.supervisors(self.directory)

    def fault(
        self,
        gpu: int | str | None = None,
        call: str | None = None,
        error: str | int | None = None,
        times: int | None = None,
        hang_s: float | None = None,
        *,
        skip: int = 0,
        late: bool = False,
        kill: bool = False,
        lost: bool | None = None,
        hypervisor: bool | None = None,
        requires_reset: bool | None = None,
        remap_pending: bool | None = None,
        clear: bool = False,
    ) -> None:
        """Make something go wrong. What is None stays as it is.

        Args:
            gpu: index or UUID; None: any GPU, and calls that are about none.
            call: the NVML function that fails or hangs; None: every one that is about `gpu`.
            error: the code it returns, as number or name (`GPU_IS_LOST`).
            times: how often; None: until `clear_faults`.
            hang_s: seconds that the call hangs first.
            skip: how many such calls pass before.
            late: the call does its work, and what goes wrong comes after it.
            kill: the process that makes the call dies of SIGKILL; of a reset, nvidia-smi and whoever started it.
            lost: the GPU fell off the bus: every call about it answers 15, until a reboot.
            hypervisor: a machine under a hypervisor that passes the GPU through: it cannot be reset, a mode
                change stays pending until a reboot.
            requires_reset: the GPU answers 16 until it is reset.
            remap_pending: rows of its memory are to be remapped at the next reset; until then it works on.
            clear: undo every fault first.

        Raises:
            SimError: no such GPU, call or error, or a number out of range.
        """
        if error is None and hang_s is None and not kill and call is not None:
            raise SimError("a fault of a call is an error, a hang or a kill", next="give error, hang_s or kill")
        with state.changing(self._state) as node:
            index = None if gpu is None else records.gpu_index(node, gpu)
            wanted = None
            if error is not None or hang_s is not None or kill:
                wanted = faults.Wanted(index, call, error, times, hang_s, skip, late, kill)
                wanted.check(node)  # before anything is changed
            if clear:
                faults.clear(node)
            if wanted is not None:
                faults.add(node, wanted)
            faults.set_conditions(
                node,
                index,
                lost=lost,
                hypervisor=hypervisor,
                requires_reset=requires_reset,
                remap_pending=remap_pending,
            )

    def clear_faults(self) -> None:
        """Undo every `fault`."""
        with state.changing(self._state) as node:
            faults.clear(node)

    def reboot(self) -> None:
        """Restart the machine: its processes end, instances go, Ampere keeps the MIG mode and newer forget it.

        Then the services that are enabled start again.
        """
        self.power_off()
        with state.changing(self._state) as node:
            faults.reboot(node)
        services.boot(self.directory)

    def power_off(self) -> None:
        """End every process of the node, services too, as by a power cut."""
        services.cut_off(self.directory)
        for pid in self.holders():
            holders.end(self._state, pid, grace_s=0)

    def counters(self) -> dict[str, int]:
        """How often each NVML function was called by users who may write the node's state."""
        return records.counters(state.read(self._state))

    def reset_counters(self) -> None:
        """Set the counters and the count of writes to zero and empty the log of writes."""
        with state.changing(self._state) as node:
            records.reset(self._state, node)

    def write_count(self) -> int:
        """Calls that change the machine (mode, reset, create, destroy, persistence), refused ones included."""
        return int(state.read(self._state).write_count)

    def writes(self) -> list[dict[str, Any]]:
        """The log of those calls: `time`, `pid`, `call`, `gpu`, `args`, `result` (NVML's code)."""
        return records.writes(self._state)

    def latency(self, call: str | None, microseconds: int) -> None:
        """Let a call (None: every call) take that long. Raises SimError when there is no such call."""
        with state.changing(self._state) as node:
            faults.set_latency(node, call, microseconds)


def _check_condition(condition: str) -> None:
    if condition not in CONDITIONS:
        raise SimError(f"a driver cannot be {condition!r}", next=f"use one of: {', '.join(CONDITIONS)}")


def _before(folder: Path, rest: str | None) -> str:
    return f"{folder}:{rest}" if rest else str(folder)
