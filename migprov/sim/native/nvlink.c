/* NVLink: every link is up and leads to a switch, and nothing goes over it. */
#include <string.h>

#include "answer.h"
#include "call.h"

enum { CAPABILITIES = 6, COUNTERS = 5, TO_SWITCH = 2 };

unsigned links_of(const State *state, const Gpu *gpu)
{
    return state->gpu_count > 1 ? gpu->board.nvlinks : 0;
}

/* With the link's number in range, where the board has any. */
static nvmlReturn_t enter_link(Call *call, CallId id, nvmlDevice_t device, unsigned link, const void *out)
{
    nvmlReturn_t error = enter_device(call, id, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    unsigned links = links_of(call->state, call->target.gpu);
    if (!links)
        return leave(call, NVML_ERROR_NOT_SUPPORTED);
    return out && link < links ? NVML_SUCCESS : leave(call, NVML_ERROR_INVALID_ARGUMENT);
}

#define OF_LINK(name, value)                                                                   \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, unsigned int link, unsigned int *out)        \
    {                                                                                          \
        Call call;                                                                             \
        nvmlReturn_t error = enter_link(&call, CALL_##name, device, link, out);                \
        if (error != NVML_SUCCESS)                                                             \
            return error;                                                                      \
        *out = (value);                                                                        \
        return leave(&call, NVML_SUCCESS);                                                     \
    }

OF_LINK(nvmlDeviceGetNvLinkState, 1)
OF_LINK(nvmlDeviceGetNvLinkVersion, call.target.gpu->board.nvlink_version)
OF_LINK(nvmlDeviceGetNvLinkRemoteDeviceType, TO_SWITCH)

EXPORT nvmlReturn_t nvmlDeviceGetNvLinkCapability(nvmlDevice_t device, unsigned int link, unsigned int capability,
                                                  unsigned int *out)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetNvLinkCapability, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    unsigned board_links = call.target.gpu->board.nvlinks; /* asked before whether any link is there: recorded */
    if (!out || capability >= CAPABILITIES || (board_links && link >= board_links))
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (!links_of(call.state, call.target.gpu))
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    *out = 1;
    return leave(&call, NVML_SUCCESS);
}

/* This one says of a link that is not there that it is not supported. */
EXPORT nvmlReturn_t nvmlDeviceGetNvLinkErrorCounter(nvmlDevice_t device, unsigned int link, unsigned int counter,
                                                    unsigned long long *out)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetNvLinkErrorCounter, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!out || counter >= COUNTERS)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (link >= links_of(call.state, call.target.gpu))
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    *out = 0;
    return leave(&call, NVML_SUCCESS);
}

/* The switch is not one of this machine's PCI devices. */
static nvmlReturn_t remote(CallId id, nvmlDevice_t device, unsigned link, nvmlPciInfo_v3_t *out)
{
    Call call;
    nvmlReturn_t error = enter_link(&call, id, device, link, out);
    if (error != NVML_SUCCESS)
        return error;
    *out = (nvmlPciInfo_v3_t){"FFFFFFF:FF:FF.0", ~0u, 0xFF, 0xFF, ~0u, 0, "FFFFFFFF:FF:FF.0"};
    return leave(&call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo_v2(nvmlDevice_t device, unsigned int link, nvmlPciInfo_v3_t *out)
{
    return remote(CALL_nvmlDeviceGetNvLinkRemotePciInfo_v2, device, link, out);
}

typedef struct {
    unsigned int version, encrypted;
} LinkInfo;

DEVICE_VERSIONED(nvmlDeviceGetNvLinkInfo, LinkInfo, 1, links_of(call.state, g), encrypted, 0)

/* The fabric of a machine by itself: no cluster. */
typedef struct {
    unsigned char cluster[16];
    nvmlReturn_t status;
    unsigned int clique;
    unsigned char state;
} Fabric;

typedef struct {
    unsigned int version;
    unsigned char cluster[16];
    nvmlReturn_t status;
    unsigned int clique;
    unsigned char state;
    unsigned int health;
} FabricV2;

enum { COMPLETED = 3 };

EXPORT nvmlReturn_t nvmlDeviceGetGpuFabricInfo(nvmlDevice_t device, Fabric *out)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetGpuFabricInfo, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!out || !call.target.gpu->board.nvlinks)
        return leave(&call, out ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_INVALID_ARGUMENT);
    memset(out, 0, sizeof *out);
    out->state = COMPLETED;
    return leave(&call, NVML_SUCCESS);
}

DEVICE_VERSIONED(nvmlDeviceGetGpuFabricInfoV, FabricV2, 2, g->board.nvlinks, state, COMPLETED)

/* Full bandwidth, where there is NVLink at all; only root is told (recorded). */
EXPORT nvmlReturn_t nvmlSystemGetNvlinkBwMode(unsigned int *mode)
{
    Call call;
    nvmlReturn_t error = enter(&call, CALL_nvmlSystemGetNvlinkBwMode);
    if (error != NVML_SUCCESS)
        return error;
    unsigned links = 0;
    for (unsigned i = 0; i < call.state->gpu_count; i++)
        links += call.state->gpus[i].board.nvlinks;
    if (!mode || !links)
        return leave(&call, mode ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_INVALID_ARGUMENT);
    if (!call.store->root)
        return leave(&call, NVML_ERROR_NO_PERMISSION);
    *mode = 0;
    return leave(&call, NVML_SUCCESS);
}
