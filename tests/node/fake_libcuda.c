/* A CUDA driver library for tests: one device, named by CUDA_VISIBLE_DEVICES, whose memory is this process's.
 *
 * FAKE_CUDA says what is wrong with it: "wrong" (memory forgets a byte), "hang", "error" (an Xid, say), "full" (no
 * memory left), "other" (another device is shown), "crash". A text "MODE@UUID" is for that device alone.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *visible(void) {
    const char *uuid = getenv("CUDA_VISIBLE_DEVICES");
    return uuid ? uuid : "";
}

static int is(const char *mode) {
    const char *given = getenv("FAKE_CUDA");
    if (!given || strncmp(given, mode, strlen(mode)) != 0) return 0;
    const char *rest = given + strlen(mode);
    return *rest == 0 || (*rest == '@' && strcmp(rest + 1, visible()) == 0);
}

int cuInit(unsigned flags) {
    (void)flags;
    const char *log = getenv("FAKE_CUDA_LOG");
    FILE *file = log ? fopen(log, "a") : NULL;
    if (file) {
        fprintf(file, "%d %s\n", (int)getpid(), visible());
        fclose(file);
    }
    if (is("crash")) abort();
    while (is("hang")) pause();
    return is("error") ? 999 : 0;
}

int cuDeviceGet(int *device, int ordinal) {
    *device = ordinal;
    return ordinal == 0 && strchr(visible(), ',') == NULL ? 0 : 101;
}

int cuDeviceGetUuid_v2(unsigned char *out, int device) {
    (void)device;
    const char *from = strchr(visible(), '-');
    for (int i = 0; i < 16 && from; i++) {
        while (*from == '-') from++;
        unsigned value = 0;
        sscanf(from, "%2x", &value);
        out[i] = is("other") ? 0xff : value;
        from += 2;
    }
    return 0;
}

int cuDevicePrimaryCtxRetain(void **context, int device) {
    (void)device;
    *context = (void *)0x10;
    return 0;
}

int cuDevicePrimaryCtxRelease_v2(int device) { (void)device; return 0; }
int cuCtxSetCurrent(void *context) { return context == (void *)0x10 ? 0 : 201; }

int cuMemAlloc_v2(uint64_t *pointer, size_t bytes) {
    if (is("full")) return 2;
    *pointer = (uint64_t)(uintptr_t)calloc(1, bytes);
    return *pointer ? 0 : 2;
}

int cuMemsetD32_v2(uint64_t pointer, unsigned value, size_t count) {
    uint32_t *at = (uint32_t *)(uintptr_t)pointer;
    for (size_t i = 0; i < count; i++) at[i] = value;
    if (is("wrong")) at[count - 1] ^= 0x100;
    return 0;
}

int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t bytes) {
    memcpy(to, (void *)(uintptr_t)from, bytes);
    return 0;
}

int cuMemFree_v2(uint64_t pointer) {
    free((void *)(uintptr_t)pointer);
    return 0;
}

int cuGetErrorName(int value, const char **text) {
    *text = value == 999 ? "CUDA_ERROR_UNKNOWN" : value == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_X";
    return 0;
}
