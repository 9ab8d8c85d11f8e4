/* MIG devices: the pairs of GPU instance and compute instance that programs run on. */
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "mig.h"

EXPORT nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned int *is_mig)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceIsMigDeviceHandle, device, NEEDS_NOTHING);
    if (error != NVML_SUCCESS)
        return error;
    if (!is_mig)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    *is_mig = call.target.ci != NULL;
    return leave(&call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int *count)
{
    Call call;
    nvmlReturn_t error = enter_gpu(&call, CALL_nvmlDeviceGetMaxMigDeviceCount, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    if (!count)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    *count = call.target.gpu->mig_current ? call.target.gpu->max_instances : 0;
    return leave(&call, NVML_SUCCESS);
}

/* The index runs over GPU instance ids, then compute instance ids, both ascending. */
static void *nth(const State *state, int index, unsigned wanted)
{
    const Gpu *gpu = &state->gpus[index];
    for (unsigned id = 0; id <= 14; id++)
        for (int i = 0; i < MAX_INSTANCES; i++)
            for (int j = 0; gpu->gi[i].used && gpu->gi[i].id == id && j < MAX_INSTANCES; j++)
                if (gpu->gi[i].ci[j].used && wanted-- == 0)
                    return handle_mig(state, index, &gpu->gi[i], &gpu->gi[i].ci[j]);
    return NULL;
}

EXPORT nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index, nvmlDevice_t *mig)
{
    Call call;
    nvmlReturn_t error = enter_gpu(&call, CALL_nvmlDeviceGetMigDeviceHandleByIndex, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!mig)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    void *handle = nth(call.state, call.target.index, index);
    if (handle)
        *mig = handle;
    return leave(&call, handle ? NVML_SUCCESS : NVML_ERROR_NOT_FOUND);
}

static nvmlReturn_t enter_mig(Call *call, CallId id, nvmlDevice_t device, const void *output)
{
    nvmlReturn_t error = enter_device(call, id, device, NEEDS_WORKING);
    if (error == NVML_SUCCESS && (!call->target.ci || !output))
        return leave(call, NVML_ERROR_INVALID_ARGUMENT);
    return error;
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t device, unsigned int *id)
{
    Call call;
    nvmlReturn_t error = enter_mig(&call, CALL_nvmlDeviceGetGpuInstanceId, device, id);
    if (error != NVML_SUCCESS)
        return error;
    *id = call.target.gi->id;
    return leave(&call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t device, unsigned int *id)
{
    Call call;
    nvmlReturn_t error = enter_mig(&call, CALL_nvmlDeviceGetComputeInstanceId, device, id);
    if (error != NVML_SUCCESS)
        return error;
    *id = call.target.ci->id;
    return leave(&call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t mig, nvmlDevice_t *device)
{
    Call call;
    nvmlReturn_t error = enter_mig(&call, CALL_nvmlDeviceGetDeviceHandleFromMigDeviceHandle, mig, device);
    if (error != NVML_SUCCESS)
        return error;
    *device = handle_gpu(call.state, call.target.index);
    return leave(&call, NVML_SUCCESS);
}

static nvmlReturn_t attributes(CallId id, nvmlDevice_t device, nvmlDeviceAttributes_t *out)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, id, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!out)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (!call.target.ci)
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    const GiProfile *gi = &call.target.gpu->profiles[call.target.gi->profile];
    const CiProfile *ci = &gi->ci[call.target.ci->profile];
    *out = (nvmlDeviceAttributes_t){ci->sms,  gi->copy_engines, gi->decoders, gi->encoders,  gi->jpegs,
                                    gi->ofas, gi->slices,       ci->slices,   gi->memory_mib};
    return leave(&call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlDeviceGetAttributes(nvmlDevice_t device, nvmlDeviceAttributes_t *out)
{
    return attributes(CALL_nvmlDeviceGetAttributes, device, out);
}

EXPORT nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t device, nvmlDeviceAttributes_t *out)
{
    return attributes(CALL_nvmlDeviceGetAttributes_v2, device, out);
}

static int same_place(const char *uuid, const Gpu *gpu, const GpuInstance *gi, const ComputeInstance *ci)
{
    char old[96];
    snprintf(old, sizeof old, "MIG-%s/%u/%u", gpu->uuid, gi->id, ci->id);
    return strcmp(uuid, ci->uuid) == 0 || strcmp(uuid, old) == 0;
}

int mig_by_uuid(State *state, const char *uuid, Target *target)
{
    for (unsigned g = 0; g < state->gpu_count; g++)
        for (int i = 0; i < MAX_INSTANCES; i++)
            for (int j = 0; state->gpus[g].gi[i].used && j < MAX_INSTANCES; j++) {
                Gpu *gpu = &state->gpus[g];
                ComputeInstance *ci = &gpu->gi[i].ci[j];
                if (ci->used && same_place(uuid, gpu, &gpu->gi[i], ci)) {
                    *target = (Target){gpu, (int)g, &gpu->gi[i], ci};
                    return 1;
                }
            }
    return 0;
}
