/* Answers of one form: a number, or a text, of the device. */
#ifndef MIGPROV_SIM_ANSWER_H
#define MIGPROV_SIM_ANSWER_H

#include <string.h>

#include "call.h"

/* nvlink.c: how many links a GPU has; recorded: none when it is the only GPU of its machine. */
unsigned links_of(const State *state, const Gpu *gpu);
/* power.c: what the board has used. */
uint64_t energy_mj(const Board *board);

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

/* Two numbers, as above. */
#define DEVICE_NUMBERS(name, type, need, supported, first, second)                         \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, type *one, type *two)                    \
    {                                                                                      \
        Call call;                                                                         \
        nvmlReturn_t error = enter_device(&call, CALL_##name, device, need);               \
        if (error != NVML_SUCCESS)                                                         \
            return error;                                                                  \
        const Gpu *g = call.target.gpu;                                                    \
        if (!one || !two || !(supported))                                                  \
            return leave(&call, one && two ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_INVALID_ARGUMENT); \
        *one = (first);                                                                    \
        *two = (second);                                                                   \
        return leave(&call, NVML_SUCCESS);                                                 \
    }

/* A structure that begins with its version, and nothing to tell but the number that is `value` of its field. */
#define DEVICE_VERSIONED(name, Type, number, supported, field, value)                      \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, Type *out)                               \
    {                                                                                      \
        Call call;                                                                         \
        nvmlReturn_t error = enter_device(&call, CALL_##name, device, NEEDS_WORKING);      \
        if (error != NVML_SUCCESS)                                                         \
            return error;                                                                  \
        const Gpu *g = call.target.gpu;                                                    \
        if (!out)                                                                          \
            return leave(&call, NVML_ERROR_INVALID_ARGUMENT);                              \
        if (out->version != NVML_VERSION_WORD(Type, number))                               \
            return leave(&call, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);                     \
        if (!(supported))                                                                  \
            return leave(&call, NVML_ERROR_NOT_SUPPORTED);                                 \
        memset((char *)out + sizeof out->version, 0, sizeof *out - sizeof out->version);   \
        out->field = (value);                                                              \
        return leave(&call, NVML_SUCCESS);                                                 \
    }

/* A call whose answer is always the same error, whatever else it is given. */
#define DEVICE_ALWAYS(name, code)                                                          \
    EXPORT nvmlReturn_t name(nvmlDevice_t device)                                          \
    {                                                                                      \
        Call call;                                                                         \
        nvmlReturn_t error = enter_device(&call, CALL_##name, device, NEEDS_GPU);          \
        return error == NVML_SUCCESS ? leave(&call, code) : error;                         \
    }

#endif
