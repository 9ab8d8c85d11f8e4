/* GPU instances: profiles, placements, creating, finding, destroying. */
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "geometry.h"
#include "mig.h"

static nvmlReturn_t find_profile(const Call *call, unsigned number, const GiProfile **profile)
{
    if (number >= NVML_GI_PROFILE_COUNT)
        return NVML_ERROR_INVALID_ARGUMENT;
    *profile = gi_profile_by_number(call->target.gpu, number);
    return *profile ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfo(nvmlDevice_t device, unsigned int number,
                                                        nvmlGpuInstanceProfileInfo_t *info)
{
    Call call;
    const GiProfile *p = NULL;
    nvmlReturn_t error = enter_gpu(&call, CALL_nvmlDeviceGetGpuInstanceProfileInfo, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    error = info ? find_profile(&call, number, &p) : NVML_ERROR_INVALID_ARGUMENT;
    if (error == NVML_SUCCESS)
        *info = (nvmlGpuInstanceProfileInfo_t){p->id,       0,           p->slices,   p->max_count, p->sms,       p->copy_engines,
                                               p->decoders, p->encoders, p->jpegs,    p->ofas,      p->memory_mib};
    return leave(&call, error);
}

/* The version word of the answer is 0: recorded. */
static nvmlReturn_t fill_versioned(const GiProfile *p, void *info)
{
    unsigned version;
    memcpy(&version, info, sizeof version);
    if (version == NVML_VERSION_WORD(nvmlGpuInstanceProfileInfo_v2_t, 2)) {
        nvmlGpuInstanceProfileInfo_v2_t row = {0,           p->id,       0,           p->slices, p->max_count, p->sms, p->copy_engines,
                                               p->decoders, p->encoders, p->jpegs,    p->ofas,   p->memory_mib, {0}};
        snprintf(row.name, sizeof row.name, "%s", p->name);
        memcpy(info, &row, sizeof row);
        return NVML_SUCCESS;
    }
    if (version == NVML_VERSION_WORD(nvmlGpuInstanceProfileInfo_v3_t, 3)) {
        nvmlGpuInstanceProfileInfo_v3_t row = {0,           p->id,    p->slices, p->max_count, p->sms, p->copy_engines, p->decoders,
                                               p->encoders, p->jpegs, p->ofas,   p->memory_mib, {0},   p->capabilities};
        /* The name stays empty: recorded of driver 580. */
        memcpy(info, &row, sizeof row);
        return NVML_SUCCESS;
    }
    return NVML_ERROR_INVALID_ARGUMENT; /* not Argument Version Mismatch: measured */
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfoV(nvmlDevice_t device, unsigned int number, void *info)
{
    Call call;
    const GiProfile *profile = NULL;
    nvmlReturn_t error = enter_gpu(&call, CALL_nvmlDeviceGetGpuInstanceProfileInfoV, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    error = info ? find_profile(&call, number, &profile) : NVML_ERROR_INVALID_ARGUMENT;
    return leave(&call, error == NVML_SUCCESS ? fill_versioned(profile, info) : error);
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfoByIdV(nvmlDevice_t device, unsigned int id, void *info)
{
    Call call;
    nvmlReturn_t error = enter_gpu(&call, CALL_nvmlDeviceGetGpuInstanceProfileInfoByIdV, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    if (!info)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (!call.target.gpu->mig_capable)
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    const GiProfile *profile = gi_profile_by_id(call.target.gpu, id);
    return leave(&call, profile ? fill_versioned(profile, info) : NVML_ERROR_INVALID_ARGUMENT);
}

/* A GPU without MIG: profile id 0 is Not Supported, any other an Invalid Argument (measured). */
static nvmlReturn_t find_by_id(const Call *call, unsigned id, const GiProfile **profile)
{
    *profile = gi_profile_by_id(call->target.gpu, id);
    if (*profile)
        return NVML_SUCCESS;
    return !call->target.gpu->mig_capable && id == 0 ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_INVALID_ARGUMENT;
}

/* In MIG mode only root sees how the GPU is cut; before, everybody what could be (recorded). */
static nvmlReturn_t privileged_profile(const Call *call, unsigned id, const GiProfile **profile)
{
    nvmlReturn_t error = find_by_id(call, id, profile);
    if (error == NVML_SUCCESS && call->target.gpu->mig_current && !call->store->root)
        return NVML_ERROR_NO_PERMISSION;
    return error;
}

static nvmlReturn_t possible_placements(CallId id, nvmlDevice_t device, unsigned profile_id, nvmlPlacement_t *out,
                                        unsigned *count)
{
    Call call;
    const GiProfile *profile = NULL;
    nvmlReturn_t error = enter_gpu(&call, id, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    error = count ? privileged_profile(&call, profile_id, &profile) : NVML_ERROR_INVALID_ARGUMENT;
    if (error != NVML_SUCCESS)
        return leave(&call, error);
    for (unsigned i = 0; out && i < profile->start_count; i++)
        out[i] = (nvmlPlacement_t){profile->starts[i], profile->size};
    *count = profile->start_count;
    return leave(&call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuInstancePossiblePlacements(nvmlDevice_t device, unsigned int profile_id,
                                                               nvmlPlacement_t *placements, unsigned int *count)
{
    return possible_placements(CALL_nvmlDeviceGetGpuInstancePossiblePlacements, device, profile_id, placements, count);
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuInstancePossiblePlacements_v2(nvmlDevice_t device, unsigned int profile_id,
                                                                  nvmlPlacement_t *placements, unsigned int *count)
{
    return possible_placements(CALL_nvmlDeviceGetGpuInstancePossiblePlacements_v2, device, profile_id, placements,
                               count);
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuInstanceRemainingCapacity(nvmlDevice_t device, unsigned int profile_id,
                                                              unsigned int *count)
{
    Call call;
    const GiProfile *profile = NULL;
    nvmlReturn_t error = enter_gpu(&call, CALL_nvmlDeviceGetGpuInstanceRemainingCapacity, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    error = count ? privileged_profile(&call, profile_id, &profile) : NVML_ERROR_INVALID_ARGUMENT;
    if (error == NVML_SUCCESS)
        *count = gi_capacity(call.target.gpu, profile);
    return leave(&call, error);
}

/* Where the driver puts an instance that names no place: the first free start of its own order. */
static nvmlReturn_t choose(const Gpu *gpu, const GiProfile *profile, unsigned *start)
{
    for (unsigned i = 0; i < profile->start_count; i++) {
        *start = profile->order[i];
        if (gi_fits(gpu, profile, *start))
            return NVML_SUCCESS;
    }
    return NVML_ERROR_INSUFFICIENT_RESOURCES;
}

static nvmlReturn_t place(const Gpu *gpu, const GiProfile *profile, const nvmlPlacement_t *wanted, unsigned *start)
{
    if (!wanted)
        return choose(gpu, profile, start);
    if (wanted->size != profile->size || !gi_start_listed(profile, wanted->start))
        return NVML_ERROR_INVALID_ARGUMENT;
    *start = wanted->start;
    return gi_fits(gpu, profile, *start) ? NVML_SUCCESS : NVML_ERROR_INSUFFICIENT_RESOURCES;
}

static GpuInstance *make(State *state, Gpu *gpu, const GiProfile *profile, unsigned start)
{
    for (int i = 0; i < MAX_INSTANCES; i++) {
        GpuInstance *gi = &gpu->gi[i];
        if (gi->used)
            continue;
        memset(gi, 0, sizeof *gi);
        gi->id = gi_id_of(gpu, start, profile->size);
        gi->profile = (uint32_t)(profile - gpu->profiles);
        gi->start = start;
        gi->size = profile->size;
        gi->serial = ++state->next_serial;
        __atomic_store_n(&gi->used, 1, __ATOMIC_RELEASE);
        return gi;
    }
    return NULL;
}

static nvmlReturn_t create(Call *call, unsigned profile_id, const nvmlPlacement_t *wanted, nvmlGpuInstance_t *handle,
                           const GpuInstance **made)
{
    Gpu *gpu = call->target.gpu;
    const GiProfile *profile = NULL;
    unsigned start = 0;
    nvmlReturn_t error = handle ? find_by_id(call, profile_id, &profile) : NVML_ERROR_INVALID_ARGUMENT;
    if (!gpu->mig_capable)
        return error;
    if (!call->store->root)
        return NVML_ERROR_NO_PERMISSION;
    if (!gpu->mig_current)
        return NVML_ERROR_NOT_SUPPORTED;
    if (error != NVML_SUCCESS)
        return error;
    /* A context on the whole GPU, from before MIG mode: the partitionable engines are taken. */
    if (gi_in_use(call->state, call->target.index, NVML_NO_INSTANCE))
        return NVML_ERROR_IN_USE;
    if ((error = place(gpu, profile, wanted, &start)) != NVML_SUCCESS)
        return error;
    *made = make(call->state, gpu, profile, start);
    if (!*made)
        return NVML_ERROR_INSUFFICIENT_RESOURCES;
    *handle = handle_gi(call->state, call->target.index, *made);
    return NVML_SUCCESS;
}

static nvmlReturn_t create_logged(CallId id, nvmlDevice_t device, unsigned profile_id, const nvmlPlacement_t *wanted,
                                  nvmlGpuInstance_t *handle)
{
    Call call;
    const GpuInstance *made = NULL;
    nvmlReturn_t error = enter_gpu(&call, id, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    error = create(&call, profile_id, wanted, handle, &made);
    const GiProfile *profile = gi_profile_by_id(call.target.gpu, profile_id);
    const char *name = profile ? profile->name + strlen("MIG ") : "?";
    if (made)
        return leave_write(&call, error, call.target.index,
                           "\"profile\": \"%s\", \"profile_id\": %u, \"start\": %u, \"gi_id\": %u", name, profile_id,
                           made->start, made->id);
    return leave_write(&call, error, call.target.index, "\"profile\": \"%s\", \"profile_id\": %u", name, profile_id);
}

EXPORT nvmlReturn_t nvmlDeviceCreateGpuInstance(nvmlDevice_t device, unsigned int profile_id,
                                                nvmlGpuInstance_t *handle)
{
    return create_logged(CALL_nvmlDeviceCreateGpuInstance, device, profile_id, NULL, handle);
}

EXPORT nvmlReturn_t nvmlDeviceCreateGpuInstanceWithPlacement(nvmlDevice_t device, unsigned int profile_id,
                                                             const nvmlPlacement_t *placement,
                                                             nvmlGpuInstance_t *handle)
{
    /* NULL must not mean "anywhere" here. */
    static const nvmlPlacement_t nowhere = {NVML_NO_INSTANCE, NVML_NO_INSTANCE};
    return create_logged(CALL_nvmlDeviceCreateGpuInstanceWithPlacement, device, profile_id,
                         placement ? placement : &nowhere, handle);
}

EXPORT nvmlReturn_t nvmlGpuInstanceDestroy(nvmlGpuInstance_t handle)
{
    Call call;
    nvmlReturn_t error = enter_gi(&call, CALL_nvmlGpuInstanceDestroy, handle);
    if (error != NVML_SUCCESS)
        return error;
    GpuInstance *gi = call.target.gi;
    if (!call.store->root)
        error = NVML_ERROR_NO_PERMISSION;
    else if (ci_count(gi) || gi_in_use(call.state, call.target.index, gi->id))
        error = NVML_ERROR_IN_USE;
    else
        __atomic_store_n(&gi->used, 0, __ATOMIC_RELEASE);
    const char *name = call.target.gpu->profiles[gi->profile].name + strlen("MIG ");
    return leave_write(&call, error, call.target.index, "\"profile\": \"%s\", \"start\": %u, \"gi_id\": %u", name,
                       gi->start, gi->id);
}

/* With MIG off there are none, and the real driver says so rather than Not Supported (recorded). */
EXPORT nvmlReturn_t nvmlDeviceGetGpuInstances(nvmlDevice_t device, unsigned int profile_id, nvmlGpuInstance_t *handles,
                                              unsigned int *count)
{
    Call call;
    const GiProfile *profile = NULL;
    nvmlReturn_t error = enter_gpu(&call, CALL_nvmlDeviceGetGpuInstances, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    error = count && handles ? privileged_profile(&call, profile_id, &profile) : NVML_ERROR_INVALID_ARGUMENT;
    if (error != NVML_SUCCESS)
        return leave(&call, error);
    unsigned found = 0;
    for (unsigned id = 0; id <= 14; id++) /* in ascending order of id */
        for (int i = 0; i < MAX_INSTANCES; i++) {
            const GpuInstance *gi = &call.target.gpu->gi[i];
            if (gi->used && gi->id == id && &call.target.gpu->profiles[gi->profile] == profile)
                handles[found++] = handle_gi(call.state, call.target.index, gi);
        }
    *count = found;
    return leave(&call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuInstanceById(nvmlDevice_t device, unsigned int id, nvmlGpuInstance_t *handle)
{
    Call call;
    nvmlReturn_t error = enter_gpu(&call, CALL_nvmlDeviceGetGpuInstanceById, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!handle)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (call.target.gpu->mig_current && !call.store->root)
        return leave(&call, NVML_ERROR_NO_PERMISSION);
    for (int i = 0; i < MAX_INSTANCES; i++) {
        const GpuInstance *gi = &call.target.gpu->gi[i];
        if (gi->used && gi->id == id) {
            *handle = handle_gi(call.state, call.target.index, gi);
            return leave(&call, NVML_SUCCESS);
        }
    }
    return leave(&call, NVML_ERROR_NOT_FOUND);
}

EXPORT nvmlReturn_t nvmlGpuInstanceGetInfo(nvmlGpuInstance_t handle, nvmlGpuInstanceInfo_t *info)
{
    Call call;
    nvmlReturn_t error = enter_gi(&call, CALL_nvmlGpuInstanceGetInfo, handle);
    if (error != NVML_SUCCESS)
        return error;
    if (!info)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    const GpuInstance *gi = call.target.gi;
    *info = (nvmlGpuInstanceInfo_t){handle_gpu(call.state, call.target.index), gi->id,
                                    call.target.gpu->profiles[gi->profile].id, {gi->start, gi->size}};
    return leave(&call, NVML_SUCCESS);
}
