/* Answers of one form: a number, or a text, of the device. */
#ifndef MIGPROV_SIM_ANSWER_H
#define MIGPROV_SIM_ANSWER_H

#include "call.h"

/* One number of the GPU; `supported` and `value` may use `g`, the GPU. */
#define DEVICE_NUMBER(name, need, supported, value)                                        \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, unsigned int *out)                       \
    {                                                                                      \
        Call call;                                                                         \
        nvmlReturn_t error = enter_device(&call, CALL_##name, device, need);               \
        if (error != NVML_SUCCESS)                                                         \
            return error;                                                                  \
        const Gpu *g = call.target.gpu;                                                    \
        if (!out || !(supported))                                                          \
            return leave(&call, out ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_INVALID_ARGUMENT); \
        *out = (value);                                                                    \
        return leave(&call, NVML_SUCCESS);                                                 \
    }

#endif
