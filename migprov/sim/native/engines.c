/* The media engines, which nothing uses: their utilisation, not told of a GPU in MIG mode, and their sessions. */
#include "call.h"

enum { PERIOD_US = 100000 };

static nvmlReturn_t utilization(CallId id, nvmlDevice_t device, unsigned int *percent, unsigned int *period_us)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, id, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!percent || !period_us)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (call.target.gpu->mig_current)
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    *percent = 0;
    *period_us = PERIOD_US;
    return leave(&call, NVML_SUCCESS);
}

#define UTILIZATION(name)                                                                                 \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, unsigned int *percent, unsigned int *period_us)         \
    {                                                                                                     \
        return utilization(CALL_##name, device, percent, period_us);                                      \
    }

UTILIZATION(nvmlDeviceGetEncoderUtilization)
UTILIZATION(nvmlDeviceGetDecoderUtilization)
UTILIZATION(nvmlDeviceGetJpgUtilization)
UTILIZATION(nvmlDeviceGetOfaUtilization)

/* Percent of the encoder that is free, by what is to be written: H.264, HEVC; AV1 needs a newer one. */
EXPORT nvmlReturn_t nvmlDeviceGetEncoderCapacity(nvmlDevice_t device, unsigned int kind, unsigned int *percent)
{
    enum { AV1 = 2 };
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetEncoderCapacity, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!percent || kind > AV1)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (kind == AV1)
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    *percent = 100;
    return leave(&call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlDeviceGetEncoderStats(nvmlDevice_t device, unsigned int *sessions, unsigned int *frames,
                                              unsigned int *latency_us)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetEncoderStats, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!sessions || !frames || !latency_us)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    *sessions = *frames = *latency_us = 0;
    return leave(&call, NVML_SUCCESS);
}

typedef struct {
    unsigned int sessions, frames, latency_us;
} FrameBufferCapture;

EXPORT nvmlReturn_t nvmlDeviceGetFBCStats(nvmlDevice_t device, FrameBufferCapture *stats)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetFBCStats, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!stats)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    *stats = (FrameBufferCapture){0, 0, 0};
    return leave(&call, NVML_SUCCESS);
}

static nvmlReturn_t no_sessions(CallId id, nvmlDevice_t device, unsigned int *count)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, id, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (count)
        *count = 0;
    return leave(&call, count ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT);
}

EXPORT nvmlReturn_t nvmlDeviceGetEncoderSessions(nvmlDevice_t device, unsigned int *count, void *sessions)
{
    (void)sessions;
    return no_sessions(CALL_nvmlDeviceGetEncoderSessions, device, count);
}

EXPORT nvmlReturn_t nvmlDeviceGetFBCSessions(nvmlDevice_t device, unsigned int *count, void *sessions)
{
    (void)sessions;
    return no_sessions(CALL_nvmlDeviceGetFBCSessions, device, count);
}
