/* MIG mode, reset and persistence: what changes a whole GPU. */
#include <string.h>

#include "call.h"
#include "geometry.h"
#include "mig.h"

EXPORT nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int *current, unsigned int *pending)
{
    Call call;
    nvmlReturn_t error = enter_gpu(&call, CALL_nvmlDeviceGetMigMode, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    if (!current || !pending)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (!call.target.gpu->mig_capable)
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    *current = call.target.gpu->mig_current;
    *pending = call.target.gpu->mig_pending;
    return leave(&call, NVML_SUCCESS);
}

/* Ampere: the wish is stored on the board; the GPU follows at its next reset, which the driver does itself when
 * nobody uses the GPU. Instances in the way of disabling count as use. */
static nvmlReturn_t set_on_reset(Call *call, unsigned mode)
{
    Gpu *gpu = call->target.gpu;
    gpu->mig_pending = mode;
    if (gpu->mig_current == mode)
        return NVML_SUCCESS;
    if (gi_count(gpu) || gpu_in_use(call->state, call->target.index, 1))
        return NVML_ERROR_IN_USE;
    if (gpu->hypervisor)
        return NVML_ERROR_NOT_SUPPORTED; /* as nvidia-smi's words in such a machine show, in NVIDIA's guide */
    gpu->resets++;
    gpu->mig_current = mode;
    return NVML_SUCCESS;
}

/* Hopper and newer: at once or not at all; only contexts are in the way, not clients that merely look (derived). */
static nvmlReturn_t set_at_once(Call *call, unsigned mode)
{
    Gpu *gpu = call->target.gpu;
    if (gpu->mig_current == mode)
        return NVML_SUCCESS;
    if (gi_count(gpu) || gpu_in_use(call->state, call->target.index, 0))
        return NVML_ERROR_IN_USE;
    gpu->mig_current = gpu->mig_pending = mode;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceSetMigMode(nvmlDevice_t device, unsigned int mode, nvmlReturn_t *activation)
{
    Call call;
    nvmlReturn_t error = enter_gpu(&call, CALL_nvmlDeviceSetMigMode, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    nvmlReturn_t status = NVML_SUCCESS, result = NVML_SUCCESS;
    if (mode > 1 || !activation)
        result = NVML_ERROR_INVALID_ARGUMENT;
    else if (!call.target.gpu->mig_capable)
        result = NVML_ERROR_NOT_SUPPORTED;
    else if (!call.store->root)
        result = NVML_ERROR_NO_PERMISSION;
    else
        *activation = status = call.target.gpu->resetless ? set_at_once(&call, mode) : set_on_reset(&call, mode);
    return leave_write(&call, result, call.target.index, "\"mode\": %u, \"activation\": %d", mode, status);
}

static void drop_instances(Gpu *gpu)
{
    for (int i = 0; i < MAX_INSTANCES; i++)
        gpu->gi[i].used = 0;
}

static nvmlReturn_t reset(Call *call)
{
    Gpu *gpu = call->target.gpu;
    if (!call->store->root)
        return NVML_ERROR_NO_PERMISSION;
    if (gpu->lost)
        return NVML_ERROR_GPU_IS_LOST;
    if (gpu->hypervisor)
        return NVML_ERROR_NOT_SUPPORTED;
    if (gpu_in_use(call->state, call->target.index, 1))
        return NVML_ERROR_IN_USE;
    drop_instances(gpu);
    gpu->resets++;
    gpu->requires_reset = gpu->remap_pending = 0;
    gpu->mig_current = gpu->mig_pending;
    return NVML_SUCCESS;
}

/* What nvidia-smi --gpu-reset does; NVML has no public call for it. */
EXPORT nvmlReturn_t migprovSimResetGpu(nvmlDevice_t device)
{
    Call call;
    nvmlReturn_t error = enter_gpu(&call, CALL_migprovSimResetGpu, device, NEEDS_NOTHING);
    if (error != NVML_SUCCESS)
        return error;
    error = reset(&call);
    return leave_write(&call, error, call.target.index, "%s", "");
}

EXPORT nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t device, unsigned int *mode)
{
    Call call;
    nvmlReturn_t error = enter_gpu(&call, CALL_nvmlDeviceGetPersistenceMode, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    if (!mode)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    *mode = call.target.gpu->persistence;
    return leave(&call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlDeviceSetPersistenceMode(nvmlDevice_t device, unsigned int mode)
{
    Call call;
    nvmlReturn_t error = enter_gpu(&call, CALL_nvmlDeviceSetPersistenceMode, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    if (mode > 1)
        error = NVML_ERROR_INVALID_ARGUMENT;
    else if (!call.store->root)
        error = NVML_ERROR_NO_PERMISSION;
    else
        call.target.gpu->persistence = mode;
    return leave_write(&call, error, call.target.index, "\"mode\": %u", mode);
}
