/* Sets of events. What a program may wait for are errors of the hardware, and the simulated one makes none: every wait
 * ends with the time it was given. A change of the MIG configuration is not announced, so it is not offered either. */
#include <string.h>
#include <time.h>

#include "call.h"

enum { MAX_SETS = 64, SINGLE_BIT_ECC = 1, DOUBLE_BIT_ECC = 2, XID = 8, OFFERED = SINGLE_BIT_ECC | DOUBLE_BIT_ECC | XID };

/* Guarded by the lock that every call holds from enter() to leave(). */
static unsigned serials[MAX_SETS]; /* 0: free */

/* A value like all handles: type 5 | serial | place. */
static nvmlEventSet_t handle_of(unsigned place)
{
    return (nvmlEventSet_t)(uintptr_t)(((uint64_t)5 << 60) | ((uint64_t)serials[place] << 8) | place);
}

/* -1: no such set. */
static int place_of(nvmlEventSet_t set)
{
    unsigned place = (unsigned)((uintptr_t)set & 0xFF);
    return place < MAX_SETS && serials[place] && handle_of(place) == set ? (int)place : -1;
}

void event_sets_end(void)
{
    memset(serials, 0, sizeof serials);
}

EXPORT nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set)
{
    static unsigned last;
    Call call;
    nvmlReturn_t error = enter(&call, CALL_nvmlEventSetCreate);
    if (error != NVML_SUCCESS)
        return error;
    if (!set)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    for (unsigned place = 0; place < MAX_SETS; place++)
        if (!serials[place]) {
            serials[place] = ++last;
            *set = handle_of(place);
            return leave(&call, NVML_SUCCESS);
        }
    return leave(&call, NVML_ERROR_INSUFFICIENT_RESOURCES);
}

EXPORT nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set)
{
    Call call;
    nvmlReturn_t error = enter(&call, CALL_nvmlEventSetFree);
    if (error != NVML_SUCCESS)
        return error;
    int place = place_of(set);
    if (place >= 0)
        serials[place] = 0;
    return leave(&call, place < 0 ? NVML_ERROR_INVALID_ARGUMENT : NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t device, unsigned long long *types)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetSupportedEventTypes, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    if (types)
        *types = OFFERED;
    return leave(&call, types ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT);
}

EXPORT nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types, nvmlEventSet_t set)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceRegisterEvents, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    if (place_of(set) < 0)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    return leave(&call, types & ~(unsigned long long)OFFERED ? NVML_ERROR_NOT_SUPPORTED : NVML_SUCCESS);
}

static nvmlReturn_t wait_for(CallId id, nvmlEventSet_t set, const void *data, unsigned int milliseconds)
{
    Call call;
    nvmlReturn_t error = enter(&call, id);
    if (error != NVML_SUCCESS)
        return error;
    error = leave(&call, place_of(set) < 0 || !data ? NVML_ERROR_INVALID_ARGUMENT : NVML_ERROR_TIMEOUT);
    struct timespec rest = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000};
    while (error == NVML_ERROR_TIMEOUT && nanosleep(&rest, &rest) != 0)
        continue;
    return error;
}

EXPORT nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t set, void *data, unsigned int milliseconds)
{
    return wait_for(CALL_nvmlEventSetWait, set, data, milliseconds);
}

EXPORT nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, void *data, unsigned int milliseconds)
{
    return wait_for(CALL_nvmlEventSetWait_v2, set, data, milliseconds);
}
