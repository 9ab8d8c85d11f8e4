"""A new node's state: its GPUs' identities and the rows of their products."""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import Any

from . import state as layout
from .build import call_names
from .errors import SimError
from .products import Product

_MIB = 1 << 20
# PCI buses as on an eight-GPU baseboard; more follow.
_BUSES = (0x07, 0x0F, 0x47, 0x4E, 0x87, 0x90, 0xB7, 0xBD, 0xC1, 0xC6, 0xCA, 0xD1, 0xD6, 0xDA, 0xE1, 0xE6)
# CUDA version by the driver branch that brought it.
_CUDA = (
    (450, 11000), (460, 11020), (470, 11040), (510, 11060), (515, 11070), (520, 11080), (525, 12000), (530, 12010),
    (535, 12020), (545, 12030), (550, 12040), (555, 12050), (560, 12060), (565, 12070), (570, 12080), (575, 12090),
    (580, 13000), (590, 13010), (595, 13020),
)  # fmt: skip
# The part of a GPU's memory that the driver keeps, where it was not recorded: the recorded share of an H200.
_RESERVED_SHARE = 644939776 / 150754820096


def new_state(products: list[Product], *, driver_version: str, seed: str, rotated: bool | None = None) -> layout.State:
    """The state of a node that has just booted. Raises SimError when the driver version is none.

    `rotated` says how this board numbers its placements; None: as the product's recorded board does.
    """
    if not re.fullmatch(r"\d{3}\.\d+(\.\d+)?", driver_version):
        raise SimError(f"{driver_version!r} is not a driver version", next="write for example 580.159.04")
    node = layout.State()
    node.node_id = int.from_bytes(_digest(seed, "node")[:4], "little")
    node.driver_version = driver_version.encode()
    node.cuda_version = _cuda(driver_version)
    node.nvml_version = f"{node.cuda_version // 1000}.{driver_version}".encode()
    names = call_names()
    node.call_count = len(names)
    for index, name in enumerate(names):
        node.call_names[index].value = name.encode()
    node.gpu_count = len(products)
    for index, product in enumerate(products):
        _fill(node.gpus[index], product, index, seed, rotated)
    return node


def _cuda(driver_version: str) -> int:
    branch = int(driver_version.split(".")[0])
    return next((cuda for first, cuda in reversed(_CUDA) if branch >= first), _CUDA[0][1])


def _digest(*parts: object) -> bytes:
    return hashlib.sha256("/".join(map(str, parts)).encode()).digest()


def _fill(gpu: layout.Gpu, product: Product, index: int, seed: str, rotated: bool | None) -> None:
    _fill_identity(gpu, product, index, seed)
    row, board = product.row, product.board
    gpu.memory_bytes = row["memory_total_mib"] * _MIB
    share = int(gpu.memory_bytes * _RESERVED_SHARE) // _MIB * _MIB
    gpu.reserved_bytes = board.get("reserved_bytes", share)
    gpu.architecture, gpu.chip_id, gpu.cores, gpu.sms = (
        product.architecture, product.chip_id, product.cores, row["sm_total"],
    )  # fmt: skip
    gpu.capability_major, gpu.capability_minor = map(int, row["compute_capability"].split("."))
    _fill_board(gpu.board, board)
    gpu.has_row_remapper = int(product.architecture >= 7)
    gpu.persistence = 1
    gpu.mig_capable = int(product.mig_capable)
    if product.mig_capable:
        gpu.resetless = int(not row["mig_mode_change_needs_gpu_reset"])
        gpu.memory_slices, gpu.max_instances = row["memory_slices"], row["max_gpu_instances"]
        gpu.rotated = int(board.get("rotated", False) if rotated is None else rotated)
        _fill_profiles(gpu, product)


def _fill_identity(gpu: layout.Gpu, product: Product, index: int, seed: str) -> None:
    digest = _digest(seed, index)
    gpu.name = product.row["product_names"][0].encode()
    gpu.product = product.key.encode()
    gpu.uuid = f"GPU-{uuid.UUID(bytes=digest[:16], version=5)}".encode()
    gpu.serial = str(1_650_000_000_000 + int.from_bytes(digest[16:22], "little") % 10**10).encode()
    gpu.pdi = int.from_bytes(digest[22:30], "little")
    gpu.pci_bus = _BUSES[index]
    gpu.pci_device_id = int(product.row["pci_device_ids"][0], 16) << 16 | 0x10DE
    gpu.pci_subsystem_id = int(product.board.get("subsystem", "0x10DE"), 16)
    gpu.minor = index


_TEXTS = ("vbios", "part_number")
_NUMBERS = (
    *(
        "remapper_banks",
        "pcie_generation",
        "pcie_width",
        "memory_bus_bits",
        "power_mw",
        "power_limit_mw",
        "power_min_mw",
    ),
    *("power_averaged", "memory_power_mw", "temperature_c", "memory_temperature_c", "tlimit"),
    *("nvlinks", "nvlink_version", "nvlink_mbps"),
)
_THRESHOLDS = ("shutdown", "slowdown", "memory_max", "gpu_max")  # by NVML_TEMPERATURE_THRESHOLD_*


def _fill_board(board: layout.Board, known: dict[str, Any]) -> None:
    for name in _TEXTS:
        setattr(board, name, known.get(name, "").encode())
    for name in _NUMBERS:
        setattr(board, name, int(known.get(name, 0)))
    for name, text in known.get("inforom", {}).items():
        setattr(board, f"inforom_{name}", text.encode())
    for index, name in enumerate(_THRESHOLDS):
        board.threshold_c[index] = known.get("thresholds_c", {}).get(name, 0)
    board.performance_states = sum(1 << state for state in known.get("performance_states", [0]))
    board.clock_mhz[:] = known.get("clocks", [0] * layout.CLOCKS)
    board.max_clock_mhz[:] = known.get("max_clocks", [0] * layout.CLOCKS)
    graphics, memory = known.get("application_clocks", (0, 0))
    board.application_clock_mhz[:] = [graphics, graphics, memory, 0]
    supported = known.get("supported_memory_clocks", [])
    board.supported_memory_mhz[: len(supported)] = supported
    board.lowest_graphics_mhz = known.get("lowest_graphics_clock", 0)
    board.graphics_step_mhz = known.get("graphics_clock_step", 0)


def _fill_profiles(gpu: layout.Gpu, product: Product) -> None:
    rows = product.row["gi_profiles"]
    gpu.profile_count = len(rows)
    one_slice_sms = min(row["sm_count"] for row in rows)
    for profile, row in zip(gpu.profiles, rows, strict=False):
        profile.name = f"MIG {row['name']}".encode()
        profile.memory_mib = row["memory_mib"]
        profile.number, profile.id = row["nvml_profile_enum"], row["profile_id"]
        profile.slices, profile.max_count, profile.sms = row["slice_count"], row["max_instances"], row["sm_count"]
        profile.copy_engines, profile.decoders = row["copy_engines"], row["decoders"]
        profile.encoders, profile.jpegs, profile.ofas = row["encoders"], row["jpeg"], row["ofa"]
        profile.capabilities = 2 if "gfx" in row["attributes"] else 0
        profile.size = row["placement_size"]
        starts = row["placement_starts"]
        profile.start_count = len(starts)
        profile.starts[: len(starts)] = starts
        profile.order[: len(starts)] = default_order(starts, product.row["memory_slices"])
        profile.ci_count = len(row["ci_profiles"])
        for ci, ci_row in zip(profile.ci, row["ci_profiles"], strict=False):
            ci.number, ci.id = ci_row["nvml_ci_profile_enum"], ci_row["profile_id"]
            ci.slices, ci.max_count = ci_row["slice_count"], ci_row["max_count"]
            ci.sms = ci_row["sm_count"] or derived_sms(ci.slices, one_slice_sms, profile.sms)


def derived_sms(slices: int, one_slice_sms: int, most: int) -> int:
    """SMs of a compute instance whose count was never recorded (Hopper and newer, less than the whole GPU
    instance): as many slices of the smallest GPU instance, and not more than its own GPU instance has."""
    return min(slices * one_slice_sms, most)


def default_order(starts: list[int], memory_slices: int) -> list[int]:
    """The order in which the driver itself takes the places of a profile.

    Boards of eight memory slices fill the half without the seventh compute slice's memory first: 1g at
    6, 4, 5, then 0, 1, 2, 3; 2g at 4, 0, 2; 3g at 4, 0 (recorded; 1g with double memory derived from them). Other
    boards take the lowest (derived: recordings show the ids ascending).
    """
    if memory_slices != 8:
        return list(starts)
    return sorted(starts, key=lambda start: (start != 6, start < 4, start))
