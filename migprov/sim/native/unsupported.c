/* The rest of NVML's functions: there, so that a program that looks them up finds them, and answering Not Supported.
 * Those of a device check it first, so that a lost GPU or a bad handle is told as such. */
#include "call.h"

static nvmlReturn_t unsupported_device(CallId id, const void *device)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, id, device, NEEDS_GPU);
    return error == NVML_SUCCESS ? leave(&call, NVML_ERROR_NOT_SUPPORTED) : error;
}

static nvmlReturn_t unsupported(CallId id)
{
    Call call;
    nvmlReturn_t error = enter(&call, id);
    return error == NVML_SUCCESS ? leave(&call, NVML_ERROR_NOT_SUPPORTED) : error;
}

#define OF_DEVICE(name)                        \
    EXPORT nvmlReturn_t name(void *device)     \
    {                                          \
        return unsupported_device(CALL_##name, device); \
    }
#define OF_SYSTEM(name)             \
    EXPORT nvmlReturn_t name(void)  \
    {                               \
        return unsupported(CALL_##name); \
    }

UNSUPPORTED_DEVICE_CALLS(OF_DEVICE)
UNSUPPORTED_OTHER_CALLS(OF_SYSTEM)

/* NVIDIA's own tools ask for tables of private functions. This one holds enough of them, all Not Supported; its first
 * word is its size in bytes. */
static nvmlReturn_t private_function(void)
{
    return NVML_ERROR_NOT_SUPPORTED;
}

enum { TABLE_WORDS = 128 };
static const void *table[TABLE_WORDS];

EXPORT nvmlReturn_t nvmlInternalGetExportTable(const void **out, const void *id)
{
    (void)id;
    if (!out)
        return NVML_ERROR_INVALID_ARGUMENT;
    table[0] = (const void *)(uintptr_t)sizeof table;
    for (int i = 1; i < TABLE_WORDS; i++)
        table[i] = (const void *)(uintptr_t)private_function;
    *out = table;
    return NVML_SUCCESS;
}
