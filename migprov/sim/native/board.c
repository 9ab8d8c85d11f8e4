/* The board: brand and versions of what is written on it. */
#include <string.h>

#include "answer.h"
#include "call.h"

enum { BRAND_NVIDIA = 14, ACCOUNTED_PROCESSES = 4000 }; /* recorded of every data centre board */

DEVICE_NUMBER(nvmlDeviceGetBrand, NEEDS_GPU, g, BRAND_NVIDIA)
DEVICE_NUMBER(nvmlDeviceGetAccountingBufferSize, NEEDS_GPU, g, ACCOUNTED_PROCESSES)

static nvmlReturn_t version(CallId id, nvmlDevice_t device, int object, char *out, unsigned length)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, id, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    const Board *board = &call.target.gpu->board;
    const char *objects[] = {board->inforom_image, board->inforom_oem, board->inforom_ecc, "", ""};
    if (!out || object < 0 || object > 4)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (!*objects[object])
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    if (strlen(objects[object]) >= length)
        return leave(&call, NVML_ERROR_INSUFFICIENT_SIZE);
    strcpy(out, objects[object]);
    return leave(&call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlDeviceGetInforomImageVersion(nvmlDevice_t device, char *out, unsigned int length)
{
    return version(CALL_nvmlDeviceGetInforomImageVersion, device, 0, out, length);
}

/* Objects: OEM, ECC, power, and one more; no board recorded has the last two. */
EXPORT nvmlReturn_t nvmlDeviceGetInforomVersion(nvmlDevice_t device, unsigned int object, char *out,
                                                unsigned int length)
{
    return version(CALL_nvmlDeviceGetInforomVersion, device, object < 4 ? (int)object + 1 : -1, out, length);
}

DEVICE_NUMBER(nvmlDeviceGetMemoryBusWidth, NEEDS_GPU, g->board.memory_bus_bits, g->board.memory_bus_bits)
DEVICE_NUMBER(nvmlDeviceGetModuleId, NEEDS_GPU, g, (unsigned)call.target.index + 1)
DEVICE_NUMBERS(nvmlDeviceGetGspFirmwareMode, unsigned int, NEEDS_GPU, g->architecture >= 7, 1, 1)

/* A sum over what is written on the board: one that belongs to this board alone. */
DEVICE_NUMBER(nvmlDeviceGetInforomConfigurationChecksum, NEEDS_GPU, *g->board.inforom_image,
              (unsigned)(g->pdi & 0xFFFFFFFF))

typedef struct {
    unsigned int version;
    unsigned long long value;
} Pdi;

typedef struct {
    unsigned int version, value;
} Word;

typedef struct {
    unsigned int version;
    unsigned char guid[16], chassis[16], slot, tray, host, peer, module;
} Platform;

DEVICE_VERSIONED(nvmlDeviceGetPdi, Pdi, 1, g, value, g->pdi)
DEVICE_VERSIONED(nvmlDeviceGetAddressingMode, Word, 1, g, value, 0)
DEVICE_VERSIONED(nvmlDeviceGetCapabilities, Word, 1, g, value, 0)
DEVICE_VERSIONED(nvmlDeviceGetPlatformInfo, Platform, 2, g->architecture >= 9, module,
                 (unsigned char)(out->host = 1, call.target.index + 1))

/* The link between a processor and its GPU, which only Grace has. */
DEVICE_NUMBER(nvmlDeviceGetC2cModeInfoV, NEEDS_GPU, g->architecture >= 9, 0)

/* Nothing was ever flushed to the black box. */
DEVICE_ALWAYS(nvmlDeviceGetLastBBXFlushTime, NVML_ERROR_NOT_READY)

/* What is kept from ordinary users: setting application clocks (this driver does not tell), and auto boost. */
EXPORT nvmlReturn_t nvmlDeviceGetAPIRestriction(nvmlDevice_t device, unsigned int api, unsigned int *restricted)
{
    enum { AUTO_BOOST = 1 };
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetAPIRestriction, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    if (!restricted || api > AUTO_BOOST)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (api != AUTO_BOOST)
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    *restricted = 0;
    return leave(&call, NVML_SUCCESS);
}

/* Accounting is off. */
EXPORT nvmlReturn_t nvmlDeviceGetAccountingPids(nvmlDevice_t device, unsigned int *count, unsigned int *pids)
{
    (void)pids;
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetAccountingPids, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    if (count)
        *count = 0;
    return leave(&call, count ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT);
}

/* Features that a licence server would unlock: none. */
static nvmlReturn_t licences(CallId id, nvmlDevice_t device, unsigned int *supported_and_count)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, id, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    if (!supported_and_count)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    supported_and_count[0] = supported_and_count[1] = 0;
    return leave(&call, NVML_SUCCESS);
}

#define LICENCES(name)                                                                 \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, unsigned int *supported_and_count)   \
    {                                                                                  \
        return licences(CALL_##name, device, supported_and_count);                     \
    }

LICENCES(nvmlDeviceGetGridLicensableFeatures)
LICENCES(nvmlDeviceGetGridLicensableFeatures_v2)
LICENCES(nvmlDeviceGetGridLicensableFeatures_v3)
LICENCES(nvmlDeviceGetGridLicensableFeatures_v4)
