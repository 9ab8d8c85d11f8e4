/* The library and the machine: beginning and end, versions, error texts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"

EXPORT nvmlReturn_t nvmlInit(void)
{
    return library_init(CALL_nvmlInit);
}

EXPORT nvmlReturn_t nvmlInit_v2(void)
{
    return library_init(CALL_nvmlInit_v2);
}

EXPORT nvmlReturn_t nvmlInitWithFlags(unsigned int flags)
{
    (void)flags;
    return library_init(CALL_nvmlInitWithFlags);
}

EXPORT nvmlReturn_t nvmlShutdown(void)
{
    return library_shutdown();
}

EXPORT const char *nvmlErrorString(nvmlReturn_t code)
{
    switch (code) {
    case 0: return "Success";
    case 1: return "Uninitialized";
    case 2: return "Invalid Argument";
    case 3: return "Not Supported";
    case 4: return "Insufficient Permissions";
    case 5: return "Already Initialized";
    case 6: return "Not Found";
    case 7: return "Insufficient Size";
    case 8: return "Insufficient External Power";
    case 9: return "Driver Not Loaded";
    case 10: return "Timeout";
    case 11: return "Interrupt Request Issue";
    case 12: return "NVML Shared Library Not Found";
    case 13: return "Function Not Found";
    case 14: return "Corrupted infoROM";
    case 15: return "GPU is lost";
    case 16: return "GPU requires reset";
    case 17: return "GPU access blocked by the operating system";
    case 18: return "Driver/library version mismatch";
    case 19: return "In use by another client";
    case 20: return "Insufficient Memory";
    case 21: return "No data";
    case 22: return "vGPU ECC not supported";
    case 23: return "Insufficient Resources";
    case 24: return "Invalid Frequency";
    case 25: return "Argument version mismatch";
    case 26: return "Requested functionality has been deprecated";
    case 27: return "System is not in ready state";
    case 28: return "No supported GPUs were found";
    case 29: return "Resource not in correct state to perform requested operation";
    case 30: return "Reset type is not supported for given device";
    default: return "Unknown Error";
    }
}

static nvmlReturn_t text(CallId id, const char *(*get)(const State *), char *out, unsigned length)
{
    Call call;
    nvmlReturn_t error = enter(&call, id);
    if (error != NVML_SUCCESS)
        return error;
    if (!out)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    const char *value = get(call.state);
    if (strlen(value) >= length)
        return leave(&call, NVML_ERROR_INSUFFICIENT_SIZE);
    memcpy(out, value, strlen(value) + 1);
    return leave(&call, NVML_SUCCESS);
}

static const char *driver_version(const State *state)
{
    return state->driver_version;
}

static const char *nvml_version(const State *state)
{
    return state->nvml_version;
}

EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    return text(CALL_nvmlSystemGetDriverVersion, driver_version, version, length);
}

EXPORT nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned int length)
{
    return text(CALL_nvmlSystemGetNVMLVersion, nvml_version, version, length);
}

/* Versions are cut from branches with names of their own; known is the recorded one. */
static const char *branch_of(const char *version, char *name, size_t size)
{
    if (strcmp(version, "580.159.04") == 0)
        return "r582_49";
    snprintf(name, size, "r%d", atoi(version));
    return name;
}

EXPORT nvmlReturn_t nvmlSystemGetDriverBranch(nvmlSystemDriverBranchInfo_t *info, unsigned int length)
{
    Call call;
    char name[16];
    nvmlReturn_t error = enter(&call, CALL_nvmlSystemGetDriverBranch);
    if (error != NVML_SUCCESS)
        return error;
    if (!info || info->version != NVML_VERSION_WORD(nvmlSystemDriverBranchInfo_t, 1))
        error = info ? NVML_ERROR_ARGUMENT_VERSION_MISMATCH : NVML_ERROR_INVALID_ARGUMENT;
    else if (length < 8 || length > sizeof info->branch)
        error = NVML_ERROR_INSUFFICIENT_SIZE;
    else
        snprintf(info->branch, length, "%s", branch_of(call.state->driver_version, name, sizeof name));
    return leave(&call, error);
}

static nvmlReturn_t cuda_version(CallId id, int *version)
{
    Call call;
    nvmlReturn_t error = enter(&call, id);
    if (error != NVML_SUCCESS)
        return error;
    if (!version)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    *version = call.state->cuda_version;
    return leave(&call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version)
{
    return cuda_version(CALL_nvmlSystemGetCudaDriverVersion, version);
}

EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    return cuda_version(CALL_nvmlSystemGetCudaDriverVersion_v2, version);
}

static nvmlReturn_t none_of_them(CallId id, unsigned int *count)
{
    Call call;
    nvmlReturn_t error = enter(&call, id);
    if (error != NVML_SUCCESS)
        return error;
    if (count)
        *count = 0;
    return leave(&call, count ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT);
}

EXPORT nvmlReturn_t nvmlUnitGetCount(unsigned int *count)
{
    return none_of_them(CALL_nvmlUnitGetCount, count);
}

EXPORT nvmlReturn_t nvmlGetExcludedDeviceCount(unsigned int *count)
{
    return none_of_them(CALL_nvmlGetExcludedDeviceCount, count);
}

EXPORT nvmlReturn_t nvmlSystemGetHicVersion(unsigned int *count, void *cards)
{
    (void)cards;
    return none_of_them(CALL_nvmlSystemGetHicVersion, count);
}
