"""The fields of `nvidia-smi -q -x` (driver 580): each by its call of NVML, as nvidia-smi words it."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import Any

import pynvml as nv

from tests.hardware import nvml_calls

MIB = 1 << 20
Field = Callable[[Any], str]
ABSENT = "N/A"


def _number(symbol: str, *arguments: int) -> Callable[[Any], int]:
    """A function of NVML with one unsigned int as its answer."""

    def call(gpu: Any) -> int:
        value = ctypes.c_uint()
        nvml_calls.checked(symbol, gpu, *(ctypes.c_uint(each) for each in arguments), ctypes.byref(value))
        return value.value

    return call


def _field(number: int, scope: int = 0) -> Callable[[Any], int]:
    """A field value, as a signed int."""

    def call(gpu: Any) -> int:
        (value,) = nv.nvmlDeviceGetFieldValues(gpu, [(number, scope)])
        if value.nvmlReturn:
            raise nv.NVMLError(value.nvmlReturn)
        return ctypes.c_int(value.value.uiVal).value

    return call


def _say(call: Callable[[Any], Any], form: str = "{}") -> Field:
    return lambda gpu: form.format(call(gpu))


def _word(call: Callable[[Any], int], *words: str) -> Field:
    return lambda gpu: words[call(gpu)]


def _pick(call: Callable[[Any], Any], key: int | str, form: str = "{}") -> Field:
    """One number of several that a call answers."""

    def say(gpu: Any) -> str:
        found = call(gpu)
        return form.format(found[key] if isinstance(key, int) else getattr(found, key))

    return say


def _mib(call: Callable[[Any], Any], key: str, up: bool = False) -> Field:
    def say(gpu: Any) -> str:
        value = getattr(call(gpu), key) / MIB
        return f"{math.ceil(value) if up else int(value)} MiB"

    return say


def _watts(call: Callable[[Any], int]) -> Field:
    return lambda gpu: f"{call(gpu) / 1000:.2f} W"


def _all(call: Callable[[Any], Any], *keys: str) -> dict[str, Field]:
    return {key.rpartition(":")[0]: _pick(call, key.rpartition(":")[2]) for key in keys}


def _under(prefix: str, fields: dict[str, Field]) -> dict[str, Field]:
    return {f"{prefix}/{name}": field for name, field in fields.items()}


def _reason(bit: int) -> Field:
    return lambda gpu: "Active" if nv.nvmlDeviceGetCurrentClocksEventReasons(gpu) & bit else "Not Active"


def _filled(label: str) -> Callable[[Any], Any]:
    return nvml_calls.by_label(label)


def _memory(gpu: Any) -> Any:
    return nv.nvmlDeviceGetMemoryInfo(gpu, nv.nvmlMemory_v2)


def _errors(kind: int, counter: int, where: int) -> Field:
    return lambda gpu: str(nv.nvmlDeviceGetMemoryErrorCounter(gpu, kind, counter, where))


def _retired(cause: int) -> Field:
    return lambda gpu: str(len(nv.nvmlDeviceGetRetiredPages(gpu, cause)))


def _processes(gpu: Any) -> str:
    lists = (nv.nvmlDeviceGetComputeRunningProcesses(gpu), nv.nvmlDeviceGetGraphicsRunningProcesses(gpu))
    return " ".join(str(each.pid) for found in lists for each in found)


_pci = _filled("nvmlDeviceGetPciInfoExt")
ON_OFF, YES_NO = ("Disabled", "Enabled"), ("No", "Yes")
_SRAM = _filled("nvmlDeviceGetSramEccErrorStatus")
_FABRIC = _filled("nvmlDeviceGetGpuFabricInfoV")
_REASONS = {
    "gpu_idle": 0x1, "applications_clocks_setting": 0x2, "sw_power_cap": 0x4, "hw_slowdown": 0x8, "sync_boost": 0x10,
    "sw_thermal_slowdown": 0x20, "hw_thermal_slowdown": 0x40, "hw_power_brake_slowdown": 0x80,
    "display_clocks_setting": 0x100,
}  # fmt: skip
_REASON_TIMES = {
    "sw_power_cap": 74, "sync_boost": 76, "sw_therm_slowdown": 269, "hw_therm_slowdown": 270, "hw_power_brake": 271,
}  # fmt: skip

FIELDS: dict[str, Field] = {
    "product_name": _say(nv.nvmlDeviceGetName),
    "product_brand": lambda gpu: {14: "NVIDIA"}[nv.nvmlDeviceGetBrand(gpu)],
    "product_architecture": lambda gpu: {6: "Turing", 7: "Ampere", 9: "Hopper"}[nv.nvmlDeviceGetArchitecture(gpu)],
    "display_active": _word(nv.nvmlDeviceGetDisplayActive, *ON_OFF),
    "display_attached": _word(nv.nvmlDeviceGetDisplayMode, *YES_NO),
    "persistence_mode": _word(nv.nvmlDeviceGetPersistenceMode, *ON_OFF),
    "addressing_mode": _word(nv.nvmlDeviceGetAddressingMode, "None", "HMM", "ATS"),
    "mig_mode/current_mig": lambda gpu: ON_OFF[nv.nvmlDeviceGetMigMode(gpu)[0]],
    "mig_mode/pending_mig": lambda gpu: ON_OFF[nv.nvmlDeviceGetMigMode(gpu)[1]],
    "mig_devices": lambda gpu: "None" if nv.nvmlDeviceGetMaxMigDeviceCount(gpu) == 0 else "some",
    "accounting_mode": _word(nv.nvmlDeviceGetAccountingMode, *ON_OFF),
    "accounting_mode_buffer_size": _say(nv.nvmlDeviceGetAccountingBufferSize),
    "accounted_processes": lambda gpu: "".join(map(str, nv.nvmlDeviceGetAccountingPids(gpu))),
    "driver_model/current_dm": _say(nv.nvmlDeviceGetCurrentDriverModel),
    "driver_model/pending_dm": _say(nv.nvmlDeviceGetPendingDriverModel),
    "serial": _say(nv.nvmlDeviceGetSerial),
    "uuid": _say(nv.nvmlDeviceGetUUID),
    "pdi": _say(nv.nvmlDeviceGetPdi, "0x{:016x}"),
    "minor_number": _say(nv.nvmlDeviceGetMinorNumber),
    "vbios_version": _say(nv.nvmlDeviceGetVbiosVersion),
    "multigpu_board": _word(nv.nvmlDeviceGetMultiGpuBoard, *YES_NO),
    "board_id": _say(nv.nvmlDeviceGetBoardId, "{:#x}"),
    "board_part_number": _say(nv.nvmlDeviceGetBoardPartNumber),
    "platformInfo/module_id": _say(nv.nvmlDeviceGetModuleId),
    "inforom_version/img_version": _say(nv.nvmlDeviceGetInforomImageVersion),
    "inforom_version/oem_object": lambda gpu: str(nv.nvmlDeviceGetInforomVersion(gpu, 0)),
    "inforom_version/ecc_object": lambda gpu: str(nv.nvmlDeviceGetInforomVersion(gpu, 1)),
    "inforom_version/pwr_object": lambda gpu: str(nv.nvmlDeviceGetInforomVersion(gpu, 2)),
    "inforom_bbx_flush/latest_timestamp": _pick(nv.nvmlDeviceGetLastBBXFlushTime, 0),
    "inforom_bbx_flush/latest_duration": _pick(nv.nvmlDeviceGetLastBBXFlushTime, 1),
    "gpu_operation_mode/current_gom": _say(nv.nvmlDeviceGetCurrentGpuOperationMode),
    "gpu_operation_mode/pending_gom": _say(nv.nvmlDeviceGetPendingGpuOperationMode),
    "c2c_mode": lambda gpu: ON_OFF[nv.nvmlDeviceGetC2cModeInfoV(gpu).isC2cEnabled],
    "gpu_virtualization_mode/virtualization_mode": _word(nv.nvmlDeviceGetVirtualizationMode, "None", "Pass-Through"),
    "gpu_virtualization_mode/host_vgpu_mode": _say(nv.nvmlDeviceGetHostVgpuMode),
    "gpu_virtualization_mode/vgpu_heterogeneous_mode": _say(nv.nvmlDeviceGetVgpuHeterogeneousMode),
    "gpu_recovery_action": _word(_field(230), "None"),
    "gsp_firmware_version": lambda gpu: nvml_calls.plain(nv.nvmlDeviceGetGspFirmwareVersion(gpu)),
    "pci/pci_bus": _pick(_pci, "bus", "{:02X}"),
    "pci/pci_device": _pick(_pci, "device", "{:02X}"),
    "pci/pci_domain": _pick(_pci, "domain", "{:04X}"),
    "pci/pci_base_class": _pick(_pci, "baseClass", "{:x}"),
    "pci/pci_sub_class": _pick(_pci, "subClass", "{:x}"),
    "pci/pci_device_id": _pick(_pci, "pciDeviceId", "{:08X}"),
    "pci/pci_bus_id": lambda gpu: nvml_calls.plain(_pci(gpu).busId),
    "pci/pci_sub_system_id": _pick(_pci, "pciSubSystemId", "{:08X}"),
    "pci/pci_gpu_link_info/pcie_gen/max_link_gen": _say(nv.nvmlDeviceGetMaxPcieLinkGeneration),
    "pci/pci_gpu_link_info/pcie_gen/current_link_gen": _say(nv.nvmlDeviceGetCurrPcieLinkGeneration),
    "pci/pci_gpu_link_info/pcie_gen/device_current_link_gen": _say(nv.nvmlDeviceGetCurrPcieLinkGeneration),
    "pci/pci_gpu_link_info/pcie_gen/max_device_link_gen": _say(nv.nvmlDeviceGetGpuMaxPcieLinkGeneration),
    "pci/pci_gpu_link_info/link_widths/max_link_width": _say(nv.nvmlDeviceGetMaxPcieLinkWidth, "{}x"),
    "pci/pci_gpu_link_info/link_widths/current_link_width": _say(nv.nvmlDeviceGetCurrPcieLinkWidth, "{}x"),
    "pci/pci_bridge_chip/bridge_chip_type": _say(nv.nvmlDeviceGetBridgeChipInfo),
    "pci/pci_bridge_chip/bridge_chip_fw": _say(nv.nvmlDeviceGetBridgeChipInfo),
    "pci/replay_counter": _say(nv.nvmlDeviceGetPcieReplayCounter),
    "pci/replay_rollover_counter": _say(_field(95)),
    "pci/tx_util": _say(_number("nvmlDeviceGetPcieThroughput", 0), "{} KB/s"),
    "pci/rx_util": _say(_number("nvmlDeviceGetPcieThroughput", 1), "{} KB/s"),
    "pci/atomic_caps_outbound": lambda gpu: hex(_field(228)(gpu)) if _field(228)(gpu) else ABSENT,
    "pci/atomic_caps_inbound": lambda gpu: hex(_field(229)(gpu)) if _field(229)(gpu) else ABSENT,
    "fan_speed": _say(nv.nvmlDeviceGetFanSpeed, "{} %"),
    "performance_state": _say(nv.nvmlDeviceGetPerformanceState, "P{}"),
    "gpu_power_readings/power_state": _say(nv.nvmlDeviceGetPowerState, "P{}"),
    "module_power_readings/power_state": _say(nv.nvmlDeviceGetPowerState, "P{}"),
    "fb_memory_usage/total": _mib(_memory, "total"),
    "fb_memory_usage/reserved": _mib(_memory, "reserved", up=True),
    "fb_memory_usage/used": _mib(_memory, "used"),
    "fb_memory_usage/free": _mib(_memory, "free", up=True),
    "bar1_memory_usage/total": _mib(nv.nvmlDeviceGetBAR1MemoryInfo, "bar1Total"),
    "bar1_memory_usage/used": _mib(nv.nvmlDeviceGetBAR1MemoryInfo, "bar1Used"),
    "bar1_memory_usage/free": lambda gpu: f"{math.ceil(nv.nvmlDeviceGetBAR1MemoryInfo(gpu).bar1Free / MIB)} MiB",
    "compute_mode": _word(nv.nvmlDeviceGetComputeMode, "Default"),
    "utilization/gpu_util": _pick(nv.nvmlDeviceGetUtilizationRates, "gpu", "{} %"),
    "utilization/memory_util": _pick(nv.nvmlDeviceGetUtilizationRates, "memory", "{} %"),
    "dram_encryption_mode/current_dram_encryption": _say(nv.nvmlDeviceGetCurrentDramEncryptionMode),
    "dram_encryption_mode/pending_dram_encryption": _say(nv.nvmlDeviceGetPendingDramEncryptionMode),
    "ecc_mode/current_ecc": _word(nv.nvmlDeviceGetCurrentEccMode, *ON_OFF),
    "ecc_mode/pending_ecc": _word(nv.nvmlDeviceGetPendingEccMode, *ON_OFF),
    "ecc_errors/aggregate/sram_threshold_exceeded": lambda gpu: YES_NO[_SRAM(gpu).bThresholdExceeded],
    "ecc_errors/channel_repair_pending": lambda gpu: YES_NO[nv.nvmlDeviceGetRepairStatus(gpu)[0]],
    "ecc_errors/tpc_repair_pending": lambda gpu: YES_NO[nv.nvmlDeviceGetRepairStatus(gpu)[1]],
    "ecc_errors/unrepairable_memory": _word(nv.nvmlDeviceGetUnrepairableMemoryFlag_v1, *YES_NO),
    "retired_pages/multiple_single_bit_retirement/retired_count": _retired(0),
    "retired_pages/multiple_single_bit_retirement/retired_pagelist": _retired(0),
    "retired_pages/double_bit_retirement/retired_count": _retired(1),
    "retired_pages/double_bit_retirement/retired_pagelist": _retired(1),
    "retired_pages/pending_blacklist": _say(nv.nvmlDeviceGetRetiredPagesPendingStatus),
    "retired_pages/pending_retirement": _say(nv.nvmlDeviceGetRetiredPagesPendingStatus),
    "remapped_rows/remapped_row_corr": _pick(nv.nvmlDeviceGetRemappedRows, 0),
    "remapped_rows/remapped_row_unc": _pick(nv.nvmlDeviceGetRemappedRows, 1),
    "remapped_rows/remapped_row_pending": lambda gpu: YES_NO[nv.nvmlDeviceGetRemappedRows(gpu)[2]],
    "remapped_rows/remapped_row_failure": lambda gpu: YES_NO[nv.nvmlDeviceGetRemappedRows(gpu)[3]],
    "temperature/gpu_temp": _say(_number("nvmlDeviceGetTemperature", 0), "{} C"),
    "temperature/gpu_temp_tlimit": _say(nv.nvmlDeviceGetMarginTemperature, "{} C"),
    "temperature/gpu_temp_max_tlimit_threshold": _say(_field(193), "{} C"),
    "temperature/gpu_temp_slow_tlimit_threshold": _say(_field(194), "{} C"),
    "temperature/gpu_temp_max_mem_tlimit_threshold": _say(_field(195), "{} C"),
    "temperature/gpu_temp_max_gpu_tlimit_threshold": _say(_field(196), "{} C"),
    "temperature/memory_temp": _say(_field(82), "{} C"),
    "temperature/gpu_target_temperature": _say(_number("nvmlDeviceGetTemperatureThreshold", 5), "{} C"),
    "supported_gpu_target_temp/gpu_target_temp_min": _say(_number("nvmlDeviceGetTemperatureThreshold", 4), "{} C"),
    "supported_gpu_target_temp/gpu_target_temp_max": _say(_number("nvmlDeviceGetTemperatureThreshold", 6), "{} C"),
    "gpu_memory_power_readings/average_power_draw": _watts(_field(185, 2)),
    "gpu_memory_power_readings/instant_power_draw": _watts(_field(186, 2)),
    "clocks/graphics_clock": _say(_number("nvmlDeviceGetClockInfo", 0), "{} MHz"),
    "clock_policy/auto_boost": _pick(nv.nvmlDeviceGetAutoBoostedClocksEnabled, 0),
    "clock_policy/auto_boost_default": _pick(nv.nvmlDeviceGetAutoBoostedClocksEnabled, 1),
    "max_customer_boost_clocks/graphics_clock": _say(_number("nvmlDeviceGetMaxCustomerBoostClock", 0), "{} MHz"),
    "fabric/state": lambda gpu: {3: "Completed"}[_FABRIC(gpu).state],
    "fabric/status": lambda gpu: {0: "Success"}[_FABRIC(gpu).status],
    "fabric/cliqueId": _pick(_FABRIC, "cliqueId"),
    "fabric/clusterUuid": lambda gpu: "".join(
        f"{byte & 0xFF:02x}" + ("-" if place in (3, 5, 7, 9) else "") for place, byte in enumerate(_bytes(gpu))
    ),
    "processes": _processes,
    **_under(
        "clocks",
        {
            f"{n}_clock": _say(_number("nvmlDeviceGetClockInfo", i), "{} MHz")
            for n, i in (("sm", 1), ("mem", 2), ("video", 3))
        },
    ),
    **_under(
        "max_clocks",
        {
            f"{n}_clock": _say(_number("nvmlDeviceGetMaxClockInfo", i), "{} MHz")
            for i, n in enumerate(("graphics", "sm", "mem", "video"))
        },
    ),
    **_under(
        "applications_clocks",
        {
            f"{n}_clock": _say(_number("nvmlDeviceGetApplicationsClock", i), "{} MHz")
            for n, i in (("graphics", 0), ("mem", 2))
        },
    ),
    **_under(
        "default_applications_clocks",
        {
            f"{n}_clock": _say(_number("nvmlDeviceGetDefaultApplicationsClock", i), "{} MHz")
            for n, i in (("graphics", 0), ("mem", 2))
        },
    ),
    **{f"clocks_event_reasons/clocks_event_reason_{name}": _reason(bit) for name, bit in _REASONS.items()},
    **{
        f"clocks_event_reasons_counters/clocks_event_reasons_counters_{n}": _say(_field(i), "{} us")
        for n, i in _REASON_TIMES.items()
    },
    **_under(
        "cc_protected_memory_usage",
        {key: _mib(nv.nvmlDeviceGetConfComputeProtectedMemoryUsage, key) for key in ("total", "used", "free")},
    ),
    **_under(
        "utilization",
        {
            f"{n}_util": _pick(getattr(nv, f"nvmlDeviceGet{c}Utilization"), 0, "{} %")
            for n, c in (("encoder", "Encoder"), ("decoder", "Decoder"), ("jpeg", "Jpg"), ("ofa", "Ofa"))
        },
    ),
    **_under(
        "encoder_stats",
        {
            n: _pick(nv.nvmlDeviceGetEncoderStats, i)
            for i, n in enumerate(("session_count", "average_fps", "average_latency"))
        },
    ),
    **_under(
        "fbc_stats",
        _all(
            nv.nvmlDeviceGetFBCStats,
            "session_count:sessionsCount",
            "average_fps:averageFPS",
            "average_latency:averageLatency",
        ),
    ),
    **_under(
        "ecc_errors/volatile",
        {
            "sram_correctable": _errors(0, 0, 7),
            "dram_correctable": _errors(0, 0, 2),
            "dram_uncorrectable": _errors(1, 0, 2),
        },
    ),
    **_under(
        "ecc_errors/volatile",
        _all(_SRAM, "sram_uncorrectable_parity:volatileUncParity", "sram_uncorrectable_secded:volatileUncSecDed"),
    ),
    **_under(
        "ecc_errors/aggregate",
        {
            "sram_correctable": _errors(0, 1, 7),
            "dram_correctable": _errors(0, 1, 2),
            "dram_uncorrectable": _errors(1, 1, 2),
        },
    ),
    **_under(
        "ecc_errors/aggregate",
        _all(_SRAM, "sram_uncorrectable_parity:aggregateUncParity", "sram_uncorrectable_secded:aggregateUncSecDed"),
    ),
    **_under(
        "ecc_errors/aggregate_uncorrectable_sram_sources",
        _all(
            _SRAM,
            "sram_l2:aggregateUncBucketL2",
            "sram_sm:aggregateUncBucketSm",
            "sram_microcontroller:aggregateUncBucketMcu",
            "sram_pcie:aggregateUncBucketPcie",
            "sram_other:aggregateUncBucketOther",
        ),
    ),
    **_under(
        "remapped_rows/row_remapper_histogram",
        {
            f"row_remapper_histogram_{key}": _pick(nv.nvmlDeviceGetRowRemapperHistogram, key, "{} bank(s)")
            for key in ("max", "high", "partial", "low", "none")
        },
    ),
    **_under(
        "gpu_power_readings", {f"{n}_power_draw": _watts(_field(i)) for n, i in (("average", 185), ("instant", 186))}
    ),
    **_under(
        "gpu_power_readings",
        {
            f"{n}_power_limit": _watts(_field(i))
            for n, i in (("min", 187), ("max", 188), ("default", 189), ("current", 190), ("requested", 192))
        },
    ),
    **_under(
        "module_power_readings",
        {f"{n}_power_draw": _watts(_field(i, 1)) for n, i in (("average", 185), ("instant", 186))},
    ),
    **_under(
        "module_power_readings",
        {
            f"{n}_power_limit": _watts(_field(i, 1))
            for n, i in (("min", 187), ("max", 188), ("default", 189), ("current", 190), ("requested", 192))
        },
    ),
}


def _bytes(gpu: Any) -> list[int]:
    return [ord(each) if isinstance(each, (str, bytes)) else int(each) for each in _FABRIC(gpu).clusterUuid]


def said(path: str, gpu: Any) -> str:
    """What nvidia-smi would print for a field. Raises KeyError: no call is known that it comes from."""
    try:
        return FIELDS[path](gpu)
    except (nv.NVMLError_NotSupported, nv.NVMLError_NotReady):
        return ABSENT
