#!/usr/bin/env python3
"""Prints how the GPUs are cut, as JSON. Written from the documentation of nvidia-ml-py; knows nothing of migprov."""

import json

import pynvml


def instances(gpu):
    found = []
    for profile_id in range(pynvml.NVML_GPU_INSTANCE_PROFILE_COUNT):
        try:
            profile = pynvml.nvmlDeviceGetGpuInstanceProfileInfo(gpu, profile_id)
            array = (pynvml.c_nvmlGpuInstance_t * profile.instanceCount)()
            count = pynvml.c_uint(0)
            pynvml.nvmlDeviceGetGpuInstances(gpu, profile.id, array, pynvml.byref(count))
        except pynvml.NVMLError:
            continue
        for number in range(count.value):
            info = pynvml.nvmlGpuInstanceGetInfo(array[number])
            found.append([info.profileId, info.placement.start, info.placement.size])
    return sorted(found, key=lambda each: each[1])


def mig_devices(gpu):
    found = []
    for number in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(gpu)):
        try:
            device = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, number)
        except pynvml.NVMLError:
            continue
        memory_mib = pynvml.nvmlDeviceGetMemoryInfo(device).total // 2**20
        found.append({"uuid": pynvml.nvmlDeviceGetUUID(device), "memory_mib": memory_mib})
    return found


def read(index):
    gpu = pynvml.nvmlDeviceGetHandleByIndex(index)
    current, pending = pynvml.nvmlDeviceGetMigMode(gpu)
    if not current:
        return {"mode": [current, pending], "instances": [], "mig_devices": []}
    return {"mode": [current, pending], "instances": instances(gpu), "mig_devices": mig_devices(gpu)}


pynvml.nvmlInit()
print(json.dumps([read(index) for index in range(pynvml.nvmlDeviceGetCount())]))
