/* Errors of memory: those of a simulated GPU are counted, and there are none. */
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
