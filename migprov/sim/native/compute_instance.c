/* Compute instances inside a GPU instance. */
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "geometry.h"
#include "mig.h"

/* The same capability, for which NVML has one bit of the instance's profile and another of the part's. */
enum { GI_GRAPHICS = 2, CI_GRAPHICS = 1 };

static const GiProfile *parent_of(const Call *call)
{
    return &call->target.gpu->profiles[call->target.gi->profile];
}

void ci_name(const GiProfile *parent, const CiProfile *profile, char *text, size_t size)
{
    if (profile->slices == parent->slices)
        snprintf(text, size, "%s", parent->name);
    else
        snprintf(text, size, "MIG %uc.%s", profile->slices, parent->name + strlen("MIG "));
}

static nvmlReturn_t profile_info(const Call *call, unsigned number, unsigned engines, const CiProfile **profile,
                                 nvmlComputeInstanceProfileInfo_t *info)
{
    const GiProfile *parent = parent_of(call);
    if (number >= NVML_CI_PROFILE_COUNT || engines != 0)
        return NVML_ERROR_INVALID_ARGUMENT;
    *profile = ci_profile_by_number(parent, number);
    if (!*profile)
        return NVML_ERROR_NOT_SUPPORTED;
    *info = (nvmlComputeInstanceProfileInfo_t){(*profile)->id,      (*profile)->slices, (*profile)->max_count,
                                               (*profile)->sms,     parent->copy_engines, parent->decoders,
                                               parent->encoders,    parent->jpegs,      parent->ofas};
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlGpuInstanceGetComputeInstanceProfileInfo(nvmlGpuInstance_t handle, unsigned int number,
                                                                 unsigned int engines,
                                                                 nvmlComputeInstanceProfileInfo_t *info)
{
    Call call;
    const CiProfile *profile;
    nvmlReturn_t error = enter_gi(&call, CALL_nvmlGpuInstanceGetComputeInstanceProfileInfo, handle);
    if (error != NVML_SUCCESS)
        return error;
    return leave(&call, info ? profile_info(&call, number, engines, &profile, info) : NVML_ERROR_INVALID_ARGUMENT);
}

EXPORT nvmlReturn_t nvmlGpuInstanceGetComputeInstanceProfileInfoV(nvmlGpuInstance_t handle, unsigned int number,
                                                                  unsigned int engines, void *info)
{
    Call call;
    const CiProfile *profile = NULL;
    nvmlComputeInstanceProfileInfo_v3_t row;
    unsigned version;
    memset(&row, 0, sizeof row);
    nvmlReturn_t error = enter_gi(&call, CALL_nvmlGpuInstanceGetComputeInstanceProfileInfoV, handle);
    if (error != NVML_SUCCESS)
        return error;
    error = info ? profile_info(&call, number, engines, &profile, &row.info) : NVML_ERROR_INVALID_ARGUMENT;
    if (error != NVML_SUCCESS)
        return leave(&call, error);
    ci_name(parent_of(&call), profile, row.name, sizeof row.name);
    row.capabilities = parent_of(&call)->capabilities & GI_GRAPHICS ? CI_GRAPHICS : 0;
    memcpy(&version, info, sizeof version);
    if (version == NVML_VERSION_WORD(nvmlComputeInstanceProfileInfo_v2_t, 2))
        memcpy(info, &row, sizeof(nvmlComputeInstanceProfileInfo_v2_t)); /* v3 without its last word */
    else if (version == NVML_VERSION_WORD(nvmlComputeInstanceProfileInfo_v3_t, 3))
        memcpy(info, &row, sizeof row);
    else
        error = NVML_ERROR_INVALID_ARGUMENT;
    return leave(&call, error);
}

static nvmlReturn_t find_profile(const Call *call, unsigned id, const CiProfile **profile)
{
    *profile = ci_profile_by_id(parent_of(call), id);
    if (*profile)
        return NVML_SUCCESS;
    return id < NVML_CI_PROFILE_COUNT ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_INVALID_ARGUMENT;
}

EXPORT nvmlReturn_t nvmlGpuInstanceGetComputeInstanceRemainingCapacity(nvmlGpuInstance_t handle, unsigned int id,
                                                                       unsigned int *count)
{
    Call call;
    const CiProfile *profile;
    nvmlReturn_t error = enter_gi(&call, CALL_nvmlGpuInstanceGetComputeInstanceRemainingCapacity, handle);
    if (error != NVML_SUCCESS)
        return error;
    error = count ? find_profile(&call, id, &profile) : NVML_ERROR_INVALID_ARGUMENT;
    if (error == NVML_SUCCESS)
        *count = ci_capacity(call.target.gi, parent_of(&call), profile);
    return leave(&call, error);
}

EXPORT nvmlReturn_t nvmlGpuInstanceGetComputeInstancePossiblePlacements(nvmlGpuInstance_t handle, unsigned int id,
                                                                        nvmlPlacement_t *placements,
                                                                        unsigned int *count)
{
    Call call;
    const CiProfile *profile;
    unsigned starts[MAX_INSTANCES];
    nvmlReturn_t error = enter_gi(&call, CALL_nvmlGpuInstanceGetComputeInstancePossiblePlacements, handle);
    if (error != NVML_SUCCESS)
        return error;
    error = count ? find_profile(&call, id, &profile) : NVML_ERROR_INVALID_ARGUMENT;
    if (error != NVML_SUCCESS)
        return leave(&call, error);
    *count = ci_starts(parent_of(&call), profile, starts);
    for (unsigned i = 0; placements && i < *count; i++)
        placements[i] = (nvmlPlacement_t){starts[i], profile->slices};
    return leave(&call, NVML_SUCCESS);
}

static nvmlReturn_t place(const Call *call, const CiProfile *profile, const nvmlPlacement_t *wanted, unsigned *start)
{
    unsigned starts[MAX_INSTANCES], count = ci_starts(parent_of(call), profile, starts);
    int listed = 0;
    for (unsigned i = 0; i < count; i++) {
        *start = starts[i];
        if (wanted && wanted->start == starts[i] && wanted->size == profile->slices)
            listed = 1;
        if ((!wanted || wanted->start == starts[i]) && ci_fits(call->target.gi, parent_of(call), profile, *start))
            return !wanted || listed ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
    }
    return !wanted || listed ? NVML_ERROR_INSUFFICIENT_RESOURCES : NVML_ERROR_INVALID_ARGUMENT;
}

/* The id is the lowest free slot, whatever the place. */
static ComputeInstance *make(Call *call, const CiProfile *profile, unsigned start)
{
    GpuInstance *gi = call->target.gi;
    for (unsigned i = 0; i < MAX_INSTANCES; i++) {
        ComputeInstance *ci = &gi->ci[i];
        if (ci->used)
            continue;
        memset(ci, 0, sizeof *ci);
        ci->id = i;
        ci->profile = (uint32_t)(profile - parent_of(call)->ci);
        ci->start = start;
        ci->size = profile->slices;
        ci->serial = ++call->state->next_serial;
        mig_uuid(call->state, call->target.gpu, gi, ci, ci->uuid, sizeof ci->uuid);
        __atomic_store_n(&ci->used, 1, __ATOMIC_RELEASE);
        return ci;
    }
    return NULL;
}

static nvmlReturn_t create(Call *call, unsigned id, const nvmlPlacement_t *wanted, nvmlComputeInstance_t *handle,
                           const ComputeInstance **made)
{
    const CiProfile *profile;
    unsigned start = 0;
    if (!call->store->root)
        return NVML_ERROR_NO_PERMISSION;
    nvmlReturn_t error = handle ? find_profile(call, id, &profile) : NVML_ERROR_INVALID_ARGUMENT;
    if (error != NVML_SUCCESS || (error = place(call, profile, wanted, &start)) != NVML_SUCCESS)
        return error;
    *made = make(call, profile, start);
    if (!*made)
        return NVML_ERROR_INSUFFICIENT_RESOURCES;
    *handle = handle_ci(call->state, call->target.index, call->target.gi, *made);
    return NVML_SUCCESS;
}

static nvmlReturn_t create_logged(CallId call_id, nvmlGpuInstance_t gi, unsigned id, const nvmlPlacement_t *wanted,
                                  nvmlComputeInstance_t *handle)
{
    Call call;
    const ComputeInstance *made = NULL;
    char name[96] = "MIG ?";
    nvmlReturn_t error = enter_gi(&call, call_id, gi);
    if (error != NVML_SUCCESS)
        return error;
    error = create(&call, id, wanted, handle, &made);
    const CiProfile *profile = ci_profile_by_id(parent_of(&call), id);
    if (profile)
        ci_name(parent_of(&call), profile, name, sizeof name);
    if (made)
        return leave_write(&call, error, call.target.index,
                           "\"profile\": \"%s\", \"profile_id\": %u, \"gi_id\": %u, \"start\": %u, \"ci_id\": %u",
                           name + strlen("MIG "), id, call.target.gi->id, made->start, made->id);
    return leave_write(&call, error, call.target.index, "\"profile\": \"%s\", \"profile_id\": %u, \"gi_id\": %u",
                       name + strlen("MIG "), id, call.target.gi->id);
}

EXPORT nvmlReturn_t nvmlGpuInstanceCreateComputeInstance(nvmlGpuInstance_t gi, unsigned int id,
                                                         nvmlComputeInstance_t *handle)
{
    return create_logged(CALL_nvmlGpuInstanceCreateComputeInstance, gi, id, NULL, handle);
}

EXPORT nvmlReturn_t nvmlGpuInstanceCreateComputeInstanceWithPlacement(nvmlGpuInstance_t gi, unsigned int id,
                                                                      const nvmlPlacement_t *placement,
                                                                      nvmlComputeInstance_t *handle)
{
    static const nvmlPlacement_t nowhere = {NVML_NO_INSTANCE, NVML_NO_INSTANCE};
    return create_logged(CALL_nvmlGpuInstanceCreateComputeInstanceWithPlacement, gi, id,
                         placement ? placement : &nowhere, handle);
}

EXPORT nvmlReturn_t nvmlComputeInstanceDestroy(nvmlComputeInstance_t handle)
{
    Call call;
    nvmlReturn_t error = enter_ci(&call, CALL_nvmlComputeInstanceDestroy, handle);
    if (error != NVML_SUCCESS)
        return error;
    ComputeInstance *ci = call.target.ci;
    unsigned gi_id = call.target.gi->id;
    if (!call.store->root)
        error = NVML_ERROR_NO_PERMISSION;
    else if (ci_in_use(call.state, call.target.index, gi_id, ci->id))
        error = NVML_ERROR_IN_USE;
    else
        __atomic_store_n(&ci->used, 0, __ATOMIC_RELEASE);
    return leave_write(&call, error, call.target.index, "\"gi_id\": %u, \"ci_id\": %u, \"uuid\": \"%s\"", gi_id, ci->id,
                       ci->uuid);
}

EXPORT nvmlReturn_t nvmlGpuInstanceGetComputeInstances(nvmlGpuInstance_t gi, unsigned int id,
                                                       nvmlComputeInstance_t *handles, unsigned int *count)
{
    Call call;
    const CiProfile *profile;
    nvmlReturn_t error = enter_gi(&call, CALL_nvmlGpuInstanceGetComputeInstances, gi);
    if (error != NVML_SUCCESS)
        return error;
    error = handles && count ? find_profile(&call, id, &profile) : NVML_ERROR_INVALID_ARGUMENT;
    if (error == NVML_SUCCESS && !call.store->root)
        error = NVML_ERROR_NO_PERMISSION;
    if (error != NVML_SUCCESS)
        return leave(&call, error);
    unsigned found = 0;
    for (int i = 0; i < MAX_INSTANCES; i++) {
        const ComputeInstance *ci = &call.target.gi->ci[i];
        if (ci->used && &parent_of(&call)->ci[ci->profile] == profile)
            handles[found++] = handle_ci(call.state, call.target.index, call.target.gi, ci);
    }
    *count = found;
    return leave(&call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlGpuInstanceGetComputeInstanceById(nvmlGpuInstance_t gi, unsigned int id,
                                                          nvmlComputeInstance_t *handle)
{
    Call call;
    nvmlReturn_t error = enter_gi(&call, CALL_nvmlGpuInstanceGetComputeInstanceById, gi);
    if (error != NVML_SUCCESS)
        return error;
    if (!handle)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (!call.store->root)
        return leave(&call, NVML_ERROR_NO_PERMISSION);
    if (id >= MAX_INSTANCES || !call.target.gi->ci[id].used)
        return leave(&call, NVML_ERROR_NOT_FOUND);
    *handle = handle_ci(call.state, call.target.index, call.target.gi, &call.target.gi->ci[id]);
    return leave(&call, NVML_SUCCESS);
}

/* `device` is the GPU: nvidia-smi prints its index beside each compute instance. */
static nvmlReturn_t get_info(CallId id, nvmlComputeInstance_t handle, nvmlComputeInstanceInfo_t *info)
{
    Call call;
    nvmlReturn_t error = enter_ci(&call, id, handle);
    if (error != NVML_SUCCESS)
        return error;
    if (!info)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    const ComputeInstance *ci = call.target.ci;
    const GpuInstance *gi = call.target.gi;
    int gpu = call.target.index;
    *info = (nvmlComputeInstanceInfo_t){handle_gpu(call.state, gpu), handle_gi(call.state, gpu, gi), ci->id,
                                        parent_of(&call)->ci[ci->profile].id, {ci->start, ci->size}};
    return leave(&call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlComputeInstanceGetInfo(nvmlComputeInstance_t handle, nvmlComputeInstanceInfo_t *info)
{
    return get_info(CALL_nvmlComputeInstanceGetInfo, handle, info);
}

EXPORT nvmlReturn_t nvmlComputeInstanceGetInfo_v2(nvmlComputeInstance_t handle, nvmlComputeInstanceInfo_t *info)
{
    return get_info(CALL_nvmlComputeInstanceGetInfo_v2, handle, info);
}
