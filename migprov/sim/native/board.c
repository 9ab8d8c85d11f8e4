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
    const char *objects[] = {board->inforom_image, board->inforom_oem, board->inforom_ecc, ""};
    if (!out || object < 0 || object > 3)
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

/* Objects: OEM, ECC, power; no board recorded has the last. */
EXPORT nvmlReturn_t nvmlDeviceGetInforomVersion(nvmlDevice_t device, unsigned int object, char *out, unsigned int length)
{
    return version(CALL_nvmlDeviceGetInforomVersion, device, object < 3 ? (int)object + 1 : -1, out, length);
}
