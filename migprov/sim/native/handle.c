#include "handle.h"

#include <string.h>

/* type 4 bits | node 12 | gpu 8 | gi id 4 | ci id 4 | serial 32 */
static void *pack(const State *state, HandleType type, uint64_t gpu, uint64_t gi, uint64_t ci, uint64_t serial)
{
    uint64_t value = ((uint64_t)type << 60) | ((uint64_t)(state->node_id & 0xFFF) << 48) | (gpu << 40) | (gi << 36) |
                     (ci << 32) | serial;
    return (void *)(uintptr_t)value;
}

void *handle_gpu(const State *state, int gpu)
{
    return pack(state, HANDLE_GPU, (uint64_t)gpu, 0, 0, 0);
}

void *handle_gi(const State *state, int gpu, const GpuInstance *gi)
{
    return pack(state, HANDLE_GI, (uint64_t)gpu, gi->id, 0, gi->serial);
}

void *handle_ci(const State *state, int gpu, const GpuInstance *gi, const ComputeInstance *ci)
{
    return pack(state, HANDLE_CI, (uint64_t)gpu, gi->id, ci->id, ci->serial);
}

void *handle_mig(const State *state, int gpu, const GpuInstance *gi, const ComputeInstance *ci)
{
    return pack(state, HANDLE_MIG, (uint64_t)gpu, gi->id, ci->id, ci->serial);
}

int handle_gpu_index(const State *state, const void *handle)
{
    uint64_t value = (uint64_t)(uintptr_t)handle;
    unsigned type = (unsigned)(value >> 60), gpu = (unsigned)(value >> 40) & 0xFF;
    if (type < HANDLE_GPU || type > HANDLE_CI || ((value >> 48) & 0xFFF) != (state->node_id & 0xFFF))
        return -1;
    return gpu < state->gpu_count ? (int)gpu : -1;
}

static int resolve_instances(uint64_t value, HandleType type, Target *target)
{
    unsigned gi_id = (unsigned)(value >> 36) & 0xF, ci_id = (unsigned)(value >> 32) & 0xF;
    uint32_t serial = (uint32_t)value;
    for (int i = 0; i < MAX_INSTANCES; i++) {
        GpuInstance *gi = &target->gpu->gi[i];
        if (!gi->used || gi->id != gi_id)
            continue;
        target->gi = gi;
        if (type == HANDLE_GI)
            return gi->serial == serial;
        for (int j = 0; j < MAX_INSTANCES; j++) {
            ComputeInstance *ci = &gi->ci[j];
            if (ci->used && ci->id == ci_id && ci->serial == serial) {
                target->ci = ci;
                return 1;
            }
        }
    }
    return 0;
}

int handle_resolve(State *state, const void *handle, HandleType type, Target *target)
{
    uint64_t value = (uint64_t)(uintptr_t)handle;
    memset(target, 0, sizeof *target);
    target->index = handle_gpu_index(state, handle);
    if (target->index < 0 || (HandleType)(value >> 60) != type)
        return 0;
    target->gpu = &state->gpus[target->index];
    return type == HANDLE_GPU ? (value & 0xFFFFFFFFFFull) == 0 : resolve_instances(value, type, target);
}
