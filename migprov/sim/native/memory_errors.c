/* Errors of memory: those of a simulated GPU are counted, and there are none. */
#include "answer.h"
#include "call.h"

/* Type: 0 corrected, 1 uncorrected. Counter: 0 since the driver started, 1 ever. */
EXPORT nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, unsigned int type, unsigned int counter,
                                                unsigned long long *count)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetTotalEccErrors, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!count || type > 1 || counter > 1)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    *count = 0;
    return leave(&call, NVML_SUCCESS);
}

enum { DRAM = 2, SRAM = 7 }; /* SRAM is the last of the locations */

/* The cards with MIG count by what the memory is made of. */
EXPORT nvmlReturn_t nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t device, unsigned int type, unsigned int counter,
                                                    unsigned int location, unsigned long long *count)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetMemoryErrorCounter, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!count || type > 1 || counter > 1 || location > SRAM)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (!call.target.gpu->mig_capable || (location != DRAM && location != SRAM))
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    *count = 0;
    return leave(&call, NVML_SUCCESS);
}

/* By unit of the chip: the older form, with totals where there are such units. */
typedef struct {
    unsigned long long l1, l2, memory, registers;
} DetailedErrors;

EXPORT nvmlReturn_t nvmlDeviceGetDetailedEccErrors(nvmlDevice_t device, unsigned int type, unsigned int counter,
                                                   DetailedErrors *out)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetDetailedEccErrors, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!out || type > 1 || counter > 1)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    *out = (DetailedErrors){0, 0, 0, 0};
    return leave(&call, NVML_SUCCESS);
}

DEVICE_NUMBER(nvmlDeviceGetDefaultEccMode, NEEDS_GPU, g, 1)

typedef struct {
    unsigned int version;
    unsigned long long errors[11]; /* aggregate and volatile, by kind; uncorrected ones by where */
    unsigned int threshold_exceeded;
} SramErrors;

DEVICE_VERSIONED(nvmlDeviceGetSramEccErrorStatus, SramErrors, 1, g->architecture >= 8, threshold_exceeded, 0)

typedef struct {
    unsigned int version, channel, tpc;
} Repairs;

DEVICE_VERSIONED(nvmlDeviceGetRepairStatus, Repairs, 1, g->architecture >= 9, channel, 0)
DEVICE_NUMBER(nvmlDeviceGetUnrepairableMemoryFlag_v1, NEEDS_WORKING, g->architecture >= 9, 0)

/* How many banks still have all their spare rows, many, some, few, none. */
typedef struct {
    unsigned int all, many, some, few, none;
} SpareRows;

EXPORT nvmlReturn_t nvmlDeviceGetRowRemapperHistogram(nvmlDevice_t device, SpareRows *out)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetRowRemapperHistogram, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    unsigned banks = call.target.gpu->board.remapper_banks;
    if (!out || !banks)
        return leave(&call, out ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_INVALID_ARGUMENT);
    *out = (SpareRows){banks, 0, 0, 0, 0};
    return leave(&call, NVML_SUCCESS);
}
