/* Finding devices and what identifies them. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "mig.h"

static nvmlReturn_t count(CallId id, unsigned int *out)
{
    Call call;
    nvmlReturn_t error = enter(&call, id);
    if (error != NVML_SUCCESS)
        return error;
    if (!out)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    *out = call.state->gpu_count;
    return leave(&call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlDeviceGetCount(unsigned int *out)
{
    return count(CALL_nvmlDeviceGetCount, out);
}

EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *out)
{
    return count(CALL_nvmlDeviceGetCount_v2, out);
}

/* index -1: not there. A GPU that fell off the bus is still counted, but cannot be had. */
static nvmlReturn_t give(Call *call, int index, nvmlReturn_t absent, nvmlDevice_t *device)
{
    if (index < 0)
        return leave(call, absent);
    if (call->state->gpus[index].lost)
        return leave(call, NVML_ERROR_GPU_IS_LOST);
    *device = handle_gpu(call->state, index);
    return leave(call, NVML_SUCCESS);
}

static nvmlReturn_t by_index(CallId id, unsigned int index, nvmlDevice_t *device)
{
    Call call;
    nvmlReturn_t error = enter(&call, id);
    if (error != NVML_SUCCESS)
        return error;
    if (!device)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    return give(&call, index < call.state->gpu_count ? (int)index : -1, NVML_ERROR_INVALID_ARGUMENT, device);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t *device)
{
    return by_index(CALL_nvmlDeviceGetHandleByIndex, index, device);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    return by_index(CALL_nvmlDeviceGetHandleByIndex_v2, index, device);
}

/* Also without its "GPU-"; in small letters only. */
static nvmlReturn_t find_uuid(Call *call, const char *uuid, nvmlDevice_t *device)
{
    enum { PREFIX = 4 };
    Target target;
    int found = -1;
    for (unsigned i = 0; i < call->state->gpu_count; i++)
        if (strcmp(call->state->gpus[i].uuid, uuid) == 0 || strcmp(call->state->gpus[i].uuid + PREFIX, uuid) == 0)
            found = (int)i;
    if (found < 0 && mig_by_uuid(call->state, uuid, &target)) {
        *device = handle_mig(call->state, target.index, target.gi, target.ci);
        return leave(call, NVML_SUCCESS);
    }
    return give(call, found, NVML_ERROR_NOT_FOUND, device);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
    Call call;
    nvmlReturn_t error = enter(&call, CALL_nvmlDeviceGetHandleByUUID);
    if (error != NVML_SUCCESS)
        return error;
    if (!uuid || !device)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    return find_uuid(&call, uuid, device);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUIDV(const nvmlUUID_t *uuid, nvmlDevice_t *device)
{
    Call call;
    nvmlReturn_t error = enter(&call, CALL_nvmlDeviceGetHandleByUUIDV);
    if (error != NVML_SUCCESS)
        return error;
    if (!uuid || !device || uuid->type < 1 || uuid->type > 2)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (uuid->version != NVML_VERSION_WORD(nvmlUUID_t, 1))
        return leave(&call, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    char text[48];
    if (uuid->type == 1) { /* whoever filled it all need not have ended it */
        snprintf(text, sizeof text, "%.*s", (int)sizeof uuid->value.text, uuid->value.text);
        return find_uuid(&call, text, device);
    }
    const unsigned char *b = uuid->value.bytes;
    snprintf(text, sizeof text, "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
    return find_uuid(&call, text, device);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleBySerial(const char *serial, nvmlDevice_t *device)
{
    Call call;
    nvmlReturn_t error = enter(&call, CALL_nvmlDeviceGetHandleBySerial);
    if (error != NVML_SUCCESS)
        return error;
    if (!serial || !device)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    int found = -1;
    for (unsigned i = 0; i < call.state->gpu_count; i++)
        if (strcmp(call.state->gpus[i].serial, serial) == 0)
            found = (int)i;
    return give(&call, found, NVML_ERROR_NOT_FOUND, device);
}

/* "00000000:07:00.0", "0000:07:00.0" or "07:00.0", the function may be left out. 0: no such text, or another function
 * than the GPU's. */
static int parse_bus_id(const char *text, unsigned *domain, unsigned *bus, unsigned *slot)
{
    unsigned function = 0;
    int end = 0, last = 0;
    if (sscanf(text, "%x:%x:%x%n", domain, bus, slot, &end) != 3) {
        *domain = 0;
        if (sscanf(text, "%x:%x%n", bus, slot, &end) != 2)
            return 0;
    }
    if (text[end] && sscanf(text + end, ".%1x%n", &function, &last) != 1)
        return 0;
    return !text[end + last] && function == 0;
}

static nvmlReturn_t by_bus_id(CallId id, const char *bus_id, nvmlDevice_t *device)
{
    Call call;
    nvmlReturn_t error = enter(&call, id);
    if (error != NVML_SUCCESS)
        return error;
    unsigned domain, bus, slot;
    if (!bus_id || !device || !parse_bus_id(bus_id, &domain, &bus, &slot))
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    int found = -1;
    for (unsigned i = 0; i < call.state->gpu_count; i++) {
        const Gpu *gpu = &call.state->gpus[i];
        if (gpu->pci_domain == domain && gpu->pci_bus == bus && gpu->pci_device == slot)
            found = (int)i;
    }
    return give(&call, found, NVML_ERROR_NOT_FOUND, device);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char *bus_id, nvmlDevice_t *device)
{
    return by_bus_id(CALL_nvmlDeviceGetHandleByPciBusId, bus_id, device);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *device)
{
    return by_bus_id(CALL_nvmlDeviceGetHandleByPciBusId_v2, bus_id, device);
}

typedef void Writer(const Target *target, char *out, size_t size);

static nvmlReturn_t device_text(CallId id, nvmlDevice_t device, Need need, Writer *write, char *out, unsigned length)
{
    Call call;
    char value[256] = "";
    nvmlReturn_t error = enter_device(&call, id, device, need);
    if (error != NVML_SUCCESS)
        return error;
    if (!out)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    write(&call.target, value, sizeof value);
    if (!*value)
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    if (strlen(value) >= length)
        return leave(&call, NVML_ERROR_INSUFFICIENT_SIZE);
    memcpy(out, value, strlen(value) + 1);
    return leave(&call, NVML_SUCCESS);
}

static void write_name(const Target *target, char *out, size_t size)
{
    int length = snprintf(out, size, "%s", target->gpu->name);
    if (!target->ci)
        return;
    const GiProfile *parent = &target->gpu->profiles[target->gi->profile];
    out[length] = ' '; /* the caller has room for far more than both names */
    ci_name(parent, &parent->ci[target->ci->profile], out + length + 1, size - (size_t)length - 1);
}

static void write_uuid(const Target *target, char *out, size_t size)
{
    snprintf(out, size, "%s", target->ci ? target->ci->uuid : target->gpu->uuid);
}

static void write_serial(const Target *target, char *out, size_t size)
{
    snprintf(out, size, "%s", target->gpu->serial);
}

static void write_vbios(const Target *target, char *out, size_t size)
{
    snprintf(out, size, "%s", target->gpu->board.vbios);
}

static void write_part(const Target *target, char *out, size_t size)
{
    snprintf(out, size, "%s", target->gpu->board.part_number);
}

#define DEVICE_TEXT(name, need, write)                                                      \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, char *out, unsigned int length)           \
    {                                                                                       \
        return device_text(CALL_##name, device, need, write, out, length);                  \
    }

DEVICE_TEXT(nvmlDeviceGetName, NEEDS_GPU, write_name)
DEVICE_TEXT(nvmlDeviceGetUUID, NEEDS_GPU, write_uuid)
DEVICE_TEXT(nvmlDeviceGetSerial, NEEDS_GPU, write_serial)
DEVICE_TEXT(nvmlDeviceGetVbiosVersion, NEEDS_GPU, write_vbios)
DEVICE_TEXT(nvmlDeviceGetBoardPartNumber, NEEDS_GPU, write_part)

EXPORT nvmlReturn_t nvmlDeviceGetGspFirmwareVersion(nvmlDevice_t device, char *out)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetGspFirmwareVersion, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    if (!out)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    strcpy(out, call.state->driver_version); /* the interface asks for room for 80 characters, as ours has */
    return leave(&call, NVML_SUCCESS);
}

typedef struct {
    char legacy[16], full[32];
} BusId;

static BusId bus_id(const Gpu *gpu)
{
    BusId id;
    memset(&id, 0, sizeof id);
    snprintf(id.legacy, sizeof id.legacy, "%04X:%02X:%02X.0", gpu->pci_domain & 0xFFFF, gpu->pci_bus & 0xFF,
             gpu->pci_device & 0xFF);
    snprintf(id.full, sizeof id.full, "%08X:%02X:%02X.0", gpu->pci_domain, gpu->pci_bus & 0xFF, gpu->pci_device & 0xFF);
    return id;
}

static nvmlReturn_t pci_info(CallId id, nvmlDevice_t device, nvmlPciInfo_v3_t *v3, nvmlPciInfo_v2_t *v2)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, id, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    const Gpu *g = call.target.gpu;
    BusId ids = bus_id(g);
    nvmlPciInfo_v3_t row = {{0}, g->pci_domain, g->pci_bus, g->pci_device, g->pci_device_id, g->pci_subsystem_id, {0}};
    memcpy(row.busIdLegacy, ids.legacy, sizeof row.busIdLegacy);
    memcpy(row.busId, ids.full, sizeof row.busId);
    if (v3)
        *v3 = row;
    if (v2) { /* the older structure is shorter; its last four words are reserved */
        memset(v2, 0, sizeof *v2);
        memcpy(v2, &row, offsetof(nvmlPciInfo_v2_t, reserved));
    }
    return leave(&call, v3 || v2 ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT);
}

EXPORT nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t device, nvmlPciInfo_v2_t *info)
{
    return pci_info(CALL_nvmlDeviceGetPciInfo, device, NULL, info);
}

EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, nvmlPciInfo_v2_t *info)
{
    return pci_info(CALL_nvmlDeviceGetPciInfo_v2, device, NULL, info);
}

EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_v3_t *info)
{
    return pci_info(CALL_nvmlDeviceGetPciInfo_v3, device, info, NULL);
}

EXPORT nvmlReturn_t nvmlDeviceGetPciInfoExt(nvmlDevice_t device, nvmlPciInfoExt_t *info)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetPciInfoExt, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    if (!info)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (info->version != NVML_VERSION_WORD(nvmlPciInfoExt_t, 1))
        return leave(&call, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    const Gpu *g = call.target.gpu;
    BusId ids = bus_id(g);
    *info = (nvmlPciInfoExt_t){info->version, g->pci_domain, g->pci_bus, g->pci_device, g->pci_device_id,
                               g->pci_subsystem_id, 3, 2, {0}}; /* class 3.2, a 3D controller: recorded */
    memcpy(info->busId, ids.full, sizeof info->busId);
    return leave(&call, NVML_SUCCESS);
}

/* On a MIG device this is its place among the MIG devices of its GPU. */
static unsigned device_index(const State *state, const Target *target)
{
    unsigned index = 0;
    if (!target->ci)
        return (unsigned)target->index;
    for (int i = 0; i < MAX_INSTANCES; i++) {
        const GpuInstance *gi = &state->gpus[target->index].gi[i];
        for (int j = 0; gi->used && j < MAX_INSTANCES; j++)
            index += gi->ci[j].used && (gi->id < target->gi->id ||
                                        (gi->id == target->gi->id && gi->ci[j].id < target->ci->id));
    }
    return index;
}

EXPORT nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int *index)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetIndex, device, NEEDS_NOTHING);
    if (error != NVML_SUCCESS)
        return error;
    if (!index)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    *index = device_index(call.state, &call.target);
    return leave(&call, NVML_SUCCESS);
}
