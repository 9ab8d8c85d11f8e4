/* Where the GPUs sit: behind one host bridge, on the only NUMA node, near every processor. */
#include <string.h>
#include <unistd.h>

#include "answer.h"
#include "call.h"

enum { LEVEL_HOST_BRIDGE = 30, LEVEL_SYSTEM = 50 };
enum { P2P_OK = 0, P2P_NOT_SUPPORTED = 5, P2P_PCI = 4, P2P_KINDS = 6 };

static nvmlReturn_t bits(CallId id, nvmlDevice_t device, unsigned words, unsigned long *set, unsigned long count,
                         unsigned scope)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, id, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    if (!set || !words || scope > 1)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    memset(set, 0, words * sizeof *set);
    for (unsigned long i = 0; i < count && i < words * 8ul * sizeof *set; i++)
        set[i / (8 * sizeof *set)] |= 1ul << (i % (8 * sizeof *set));
    return leave(&call, NVML_SUCCESS);
}

static unsigned long processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_CONF);
    return count > 0 ? (unsigned long)count : 1;
}

EXPORT nvmlReturn_t nvmlDeviceGetCpuAffinity(nvmlDevice_t device, unsigned int words, unsigned long *set)
{
    return bits(CALL_nvmlDeviceGetCpuAffinity, device, words, set, processors(), 0);
}

EXPORT nvmlReturn_t nvmlDeviceGetCpuAffinityWithinScope(nvmlDevice_t device, unsigned int words, unsigned long *set,
                                                        unsigned int scope)
{
    return bits(CALL_nvmlDeviceGetCpuAffinityWithinScope, device, words, set, processors(), scope);
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryAffinity(nvmlDevice_t device, unsigned int words, unsigned long *set,
                                                unsigned int scope)
{
    return bits(CALL_nvmlDeviceGetMemoryAffinity, device, words, set, 1, scope);
}

/* Two GPUs of one node, with it locked. */
static nvmlReturn_t enter_pair(Call *call, CallId id, nvmlDevice_t first, nvmlDevice_t second, const void *out,
                               Target *other)
{
    nvmlReturn_t error = enter_gpu(call, id, first, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    if (!out || !handle_resolve(call->state, second, HANDLE_GPU, other))
        return leave(call, NVML_ERROR_INVALID_ARGUMENT);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t first, nvmlDevice_t second, unsigned int *level)
{
    Call call;
    Target other;
    nvmlReturn_t error = enter_pair(&call, CALL_nvmlDeviceGetTopologyCommonAncestor, first, second, level, &other);
    if (error != NVML_SUCCESS)
        return error;
    if (other.index == call.target.index)
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    *level = LEVEL_HOST_BRIDGE;
    return leave(&call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlDeviceOnSameBoard(nvmlDevice_t first, nvmlDevice_t second, int *same)
{
    Call call;
    Target other;
    nvmlReturn_t error = enter_pair(&call, CALL_nvmlDeviceOnSameBoard, first, second, same, &other);
    if (error != NVML_SUCCESS)
        return error;
    *same = other.index == call.target.index;
    return leave(&call, NVML_SUCCESS);
}

/* Over NVLink they reach each other, but for a GPU in MIG mode; PCI's own way is not offered. */
EXPORT nvmlReturn_t nvmlDeviceGetP2PStatus(nvmlDevice_t first, nvmlDevice_t second, unsigned int kind,
                                           unsigned int *status)
{
    Call call;
    Target other;
    nvmlReturn_t error = enter_pair(&call, CALL_nvmlDeviceGetP2PStatus, first, second, status, &other);
    if (error != NVML_SUCCESS)
        return error;
    const Gpu *one = call.target.gpu, *two = other.gpu;
    if (kind >= P2P_KINDS)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (!links_of(call.state, one) || !links_of(call.state, two))
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    *status = kind == P2P_PCI || one->mig_current || two->mig_current ? P2P_NOT_SUPPORTED : P2P_OK;
    return leave(&call, NVML_SUCCESS);
}

/* All other GPUs, at any level that goes through the host bridge; none are nearer, and to ask for none is wrong. */
EXPORT nvmlReturn_t nvmlDeviceGetTopologyNearestGpus(nvmlDevice_t device, unsigned int level, unsigned int *count,
                                                     nvmlDevice_t *others)
{
    Call call;
    nvmlReturn_t error = enter_gpu(&call, CALL_nvmlDeviceGetTopologyNearestGpus, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    unsigned there = call.state->gpu_count - 1;
    if (!count || !there || level < LEVEL_HOST_BRIDGE || level > LEVEL_SYSTEM || (*count && !others))
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    unsigned room = *count, found = 0;
    for (unsigned i = 0; i < call.state->gpu_count; i++)
        if ((int)i != call.target.index && found < room)
            others[found++] = handle_gpu(call.state, (int)i);
    *count = room ? found : there;
    return leave(&call, NVML_SUCCESS);
}
