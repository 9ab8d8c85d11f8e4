/* Confidential computing: Hopper and newer could, but it is off, and all memory is unprotected. */
#include <string.h>

#include "answer.h"
#include "call.h"

typedef struct {
    unsigned long long protected_kib, unprotected_kib;
} MemorySizes;

static int capable(const Gpu *gpu)
{
    return gpu->architecture >= 9;
}

EXPORT nvmlReturn_t nvmlDeviceGetConfComputeMemSizeInfo(nvmlDevice_t device, MemorySizes *out)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetConfComputeMemSizeInfo, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    const Gpu *gpu = call.target.gpu;
    if (!out || !capable(gpu))
        return leave(&call, out ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_INVALID_ARGUMENT);
    *out = (MemorySizes){0, (gpu->memory_bytes - gpu->reserved_bytes) / 1024};
    return leave(&call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlDeviceGetConfComputeProtectedMemoryUsage(nvmlDevice_t device, nvmlMemory_t *out)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetConfComputeProtectedMemoryUsage, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    if (!out)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    *out = (nvmlMemory_t){0, 0, 0};
    return leave(&call, NVML_SUCCESS);
}

/* Of a machine whose GPUs could. */
static nvmlReturn_t enter_system(Call *call, CallId id, const void *out)
{
    nvmlReturn_t error = enter(call, id);
    if (error != NVML_SUCCESS)
        return error;
    int able = call->state->gpu_count > 0;
    for (unsigned i = 0; i < call->state->gpu_count; i++)
        able = able && capable(&call->state->gpus[i]);
    if (!out || !able)
        return leave(call, out ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_INVALID_ARGUMENT);
    return NVML_SUCCESS;
}

/* `words` numbers, all 0 but the last, which is `last`. */
static nvmlReturn_t numbers(CallId id, unsigned *out, unsigned words, unsigned last)
{
    Call call;
    nvmlReturn_t error = enter_system(&call, id, out);
    if (error != NVML_SUCCESS)
        return error;
    memset(out, 0, words * sizeof *out);
    out[words - 1] = last;
    return leave(&call, NVML_SUCCESS);
}

/* Of the processors none, of the GPUs CC. */
EXPORT nvmlReturn_t nvmlSystemGetConfComputeCapabilities(unsigned int *cpus_gpus)
{
    return numbers(CALL_nvmlSystemGetConfComputeCapabilities, cpus_gpus, 2, 1);
}

/* Environment, feature, developers' mode. */
EXPORT nvmlReturn_t nvmlSystemGetConfComputeState(unsigned int *state)
{
    return numbers(CALL_nvmlSystemGetConfComputeState, state, 3, 0);
}

EXPORT nvmlReturn_t nvmlSystemGetConfComputeGpusReadyState(unsigned int *accepting)
{
    return numbers(CALL_nvmlSystemGetConfComputeGpusReadyState, accepting, 1, 0);
}

typedef struct {
    unsigned int version;
    unsigned long long advantage;
} KeyRotation;

EXPORT nvmlReturn_t nvmlSystemGetConfComputeKeyRotationThresholdInfo(KeyRotation *out)
{
    enum { RECORDED = 60 };
    Call call;
    nvmlReturn_t error = enter_system(&call, CALL_nvmlSystemGetConfComputeKeyRotationThresholdInfo, out);
    if (error != NVML_SUCCESS)
        return error;
    if (out->version != NVML_VERSION_WORD(KeyRotation, 1))
        return leave(&call, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    out->advantage = RECORDED;
    return leave(&call, NVML_SUCCESS);
}
