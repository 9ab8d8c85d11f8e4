/* What monitoring tools read. Constants are what a recorded idle H200 answered, or follow from the product; what is
 * not known of a product answers Not Supported. */
#include <string.h>

#include "answer.h"
#include "call.h"
#include "mig.h"

static uint64_t total_bytes(const Target *target)
{
    if (!target->ci)
        return target->gpu->memory_bytes;
    return target->gpu->profiles[target->gi->profile].memory_mib << 20;
}

static uint64_t used_bytes(const Call *call)
{
    const Target *target = &call->target;
    return memory_used(call->state, target->index, target->ci ? target->gi->id : NVML_NO_INSTANCE);
}

/* A GPU keeps a part for itself; what the profile of an instance promises is already without it. */
static uint64_t reserved_bytes(const Target *target)
{
    return target->ci ? 0 : target->gpu->reserved_bytes;
}

/* The first version counts the reserved part as used. */
EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetMemoryInfo, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!memory)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    uint64_t total = total_bytes(&call.target), used = used_bytes(&call) + reserved_bytes(&call.target);
    used = used < total ? used : total;
    *memory = (nvmlMemory_t){total, total - used, used};
    return leave(&call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetMemoryInfo_v2, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!memory)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (memory->version != NVML_VERSION_WORD(nvmlMemory_v2_t, 2))
        return leave(&call, NVML_ERROR_FUNCTION_NOT_FOUND); /* recorded: this one puts it so */
    uint64_t total = total_bytes(&call.target), reserved = reserved_bytes(&call.target), used = used_bytes(&call);
    used = used < total - reserved ? used : total - reserved;
    *memory = (nvmlMemory_v2_t){memory->version, total, reserved, total - reserved - used, used};
    return leave(&call, NVML_SUCCESS);
}

/* The next power of two that holds the card's memory: recorded of H200, H100 and A100 on their SXM boards. What a
 * process holds is mapped there as well, and of an idle card a little. An instance has its share by memory slices,
 * less that little. */
EXPORT nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    enum { IDLE = 1703936, MORE_IN_USE = 65536 };
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetBAR1MemoryInfo, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!memory)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    const Target *target = &call.target;
    if (!target->gpu->mig_capable)
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    uint64_t total = 1ull << 20, used = used_bytes(&call);
    while (total < target->gpu->memory_bytes)
        total <<= 1;
    used += used ? MORE_IN_USE : 0;
    if (target->ci)
        total = total / target->gpu->memory_slices * target->gi->size - (1ull << 20);
    else
        used += IDLE;
    used = used < total ? used : total;
    *memory = (nvmlMemory_t){total, total - used, used};
    return leave(&call, NVML_SUCCESS);
}

/* The GPU's utilisation is Not Supported while it is cut, and on a MIG device. */
EXPORT nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetUtilizationRates, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!utilization)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (call.target.gpu->mig_current)
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    *utilization = (nvmlUtilization_t){0, 0};
    return leave(&call, NVML_SUCCESS);
}

enum { VIRTUALIZATION_NONE = 0, VIRTUALIZATION_PASSTHROUGH = 1 };

DEVICE_NUMBER(nvmlDeviceGetMinorNumber, NEEDS_GPU, g, g->minor)
DEVICE_NUMBER(nvmlDeviceGetArchitecture, NEEDS_GPU, g, g->architecture)
DEVICE_NUMBER(nvmlDeviceGetNumGpuCores, NEEDS_GPU, !g->mig_current, g->cores) /* documented: not of a cut GPU */
DEVICE_NUMBER(nvmlDeviceGetMultiGpuBoard, NEEDS_GPU, g, 0)
DEVICE_NUMBER(nvmlDeviceGetBoardId, NEEDS_GPU, g, g->pci_domain << 16 | g->pci_bus << 8 | g->pci_device)
DEVICE_NUMBER(nvmlDeviceGetComputeMode, NEEDS_GPU, g, g->compute_mode)
DEVICE_NUMBER(nvmlDeviceGetVirtualizationMode, NEEDS_GPU, g,
              g->hypervisor ? VIRTUALIZATION_PASSTHROUGH : VIRTUALIZATION_NONE)
DEVICE_NUMBER(nvmlDeviceGetPerformanceState, NEEDS_WORKING, g, 0)
DEVICE_NUMBER(nvmlDeviceGetPowerState, NEEDS_WORKING, g, 0)
DEVICE_NUMBER(nvmlDeviceGetDisplayMode, NEEDS_GPU, g, 1)
DEVICE_NUMBER(nvmlDeviceGetDisplayActive, NEEDS_GPU, g, 0)
DEVICE_NUMBER(nvmlDeviceGetAccountingMode, NEEDS_GPU, g, 0)

DEVICE_NUMBERS(nvmlDeviceGetCudaComputeCapability, int, NEEDS_GPU, g, (int)g->capability_major,
               (int)g->capability_minor)

EXPORT nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t device, unsigned int *current, unsigned int *pending)
{
    Call call;
    nvmlReturn_t error = enter_gpu(&call, CALL_nvmlDeviceGetEccMode, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    if (!current || !pending)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    *current = *pending = 1;
    return leave(&call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned int *corrected, unsigned int *uncorrected,
                                              unsigned int *pending, unsigned int *failure)
{
    Call call;
    nvmlReturn_t error = enter_gpu(&call, CALL_nvmlDeviceGetRemappedRows, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    if (!corrected || !uncorrected || !pending || !failure)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (!call.target.gpu->has_row_remapper)
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    *pending = call.target.gpu->remap_pending;
    *corrected = *uncorrected = *failure = 0;
    return leave(&call, NVML_SUCCESS);
}
