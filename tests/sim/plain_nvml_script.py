"""Cuts the second GPU into two 3g.40gb and puts it back, with nothing but nvidia-ml-py.

Written from NVML's public documentation: profile numbers are asked of the card, nothing is assumed of ids or places.
"""

import ctypes

from pynvml import (
    NVML_COMPUTE_INSTANCE_PROFILE_3_SLICE,
    NVML_DEVICE_MIG_ENABLE,
    NVML_GPU_INSTANCE_PROFILE_3_SLICE,
    NVMLError,
    c_nvmlComputeInstance_t,
    c_nvmlGpuInstance_t,
    nvmlComputeInstanceDestroy,
    nvmlDeviceCreateGpuInstance,
    nvmlDeviceGetAttributes,
    nvmlDeviceGetGpuInstanceProfileInfo,
    nvmlDeviceGetGpuInstances,
    nvmlDeviceGetHandleByIndex,
    nvmlDeviceGetMaxMigDeviceCount,
    nvmlDeviceGetMigDeviceHandleByIndex,
    nvmlDeviceGetMigMode,
    nvmlDeviceGetUUID,
    nvmlDeviceSetMigMode,
    nvmlGpuInstanceCreateComputeInstance,
    nvmlGpuInstanceDestroy,
    nvmlGpuInstanceGetComputeInstanceProfileInfo,
    nvmlGpuInstanceGetComputeInstances,
    nvmlInit,
    nvmlShutdown,
)

nvmlInit()
gpu = nvmlDeviceGetHandleByIndex(1)
assert nvmlDeviceSetMigMode(gpu, NVML_DEVICE_MIG_ENABLE) == 0
assert list(nvmlDeviceGetMigMode(gpu)) == [1, 1]

profile = nvmlDeviceGetGpuInstanceProfileInfo(gpu, NVML_GPU_INSTANCE_PROFILE_3_SLICE)
for _ in range(2):
    gpu_instance = nvmlDeviceCreateGpuInstance(gpu, profile.id)
    part = nvmlGpuInstanceGetComputeInstanceProfileInfo(gpu_instance, NVML_COMPUTE_INSTANCE_PROFILE_3_SLICE, 0)
    nvmlGpuInstanceCreateComputeInstance(gpu_instance, part.id)

try:
    nvmlDeviceCreateGpuInstance(gpu, profile.id)
except NVMLError as error:
    print("a third:", error)

for index in range(nvmlDeviceGetMaxMigDeviceCount(gpu)):
    try:
        device = nvmlDeviceGetMigDeviceHandleByIndex(gpu, index)
    except NVMLError:
        continue
    attributes = nvmlDeviceGetAttributes(device)
    print(nvmlDeviceGetUUID(device), attributes.multiprocessorCount, attributes.memorySizeMB)

instances, count = (c_nvmlGpuInstance_t * profile.instanceCount)(), ctypes.c_uint()
nvmlDeviceGetGpuInstances(gpu, profile.id, instances, ctypes.byref(count))
for gpu_instance in instances[: count.value]:
    parts, number = (c_nvmlComputeInstance_t * part.instanceCount)(), ctypes.c_uint()
    nvmlGpuInstanceGetComputeInstances(gpu_instance, part.id, parts, ctypes.byref(number))
    for compute_instance in parts[: number.value]:
        nvmlComputeInstanceDestroy(compute_instance)
    nvmlGpuInstanceDestroy(gpu_instance)
nvmlDeviceGetGpuInstances(gpu, profile.id, instances, ctypes.byref(count))
print("left:", count.value)
nvmlShutdown()
