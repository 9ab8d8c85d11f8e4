#include "call.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(nvmlGpuInstanceProfileInfo_t) == 48, "ABI");
_Static_assert(sizeof(nvmlGpuInstanceProfileInfo_v2_t) == 152, "ABI");
_Static_assert(sizeof(nvmlGpuInstanceProfileInfo_v3_t) == 152, "ABI");
_Static_assert(sizeof(nvmlGpuInstanceInfo_t) == 24, "ABI");
_Static_assert(sizeof(nvmlComputeInstanceProfileInfo_t) == 36, "ABI");
_Static_assert(sizeof(nvmlComputeInstanceProfileInfo_v2_t) == 136, "ABI");
_Static_assert(sizeof(nvmlComputeInstanceProfileInfo_v3_t) == 140, "ABI");
_Static_assert(sizeof(nvmlComputeInstanceInfo_t) == 32, "ABI");
_Static_assert(sizeof(nvmlDeviceAttributes_t) == 40, "ABI");
_Static_assert(sizeof(nvmlProcessInfo_v1_t) == 16 && sizeof(nvmlProcessInfo_v2_t) == 24, "ABI");
_Static_assert(sizeof(nvmlMemory_v2_t) == 40 && sizeof(nvmlFieldValue_t) == 40, "ABI");
_Static_assert((int)CALL_COUNT <= (int)MAX_CALLS, "raise MAX_CALLS");

static const char *const call_names[CALL_COUNT] = {
#define NAME(name) #name,
    ALL_CALLS(NAME)
#undef NAME
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static Store node;
static unsigned references;
static int init_failed;
static _Thread_local Fault late; /* what befalls the present call once it has done its work */

static void hold_mutex(void)
{
    pthread_mutex_lock(&mutex);
}

static void free_mutex(void)
{
    pthread_mutex_unlock(&mutex);
}

/* A fork while another thread is in a call would leave the child a lock that nobody frees. */
__attribute__((constructor)) static void guard_forks(void)
{
    pthread_atfork(hold_mutex, free_mutex, free_mutex);
}

static void lock(void)
{
    pthread_mutex_lock(&mutex);
    if (node.state)
        store_lock(&node);
}

static void unlock(void)
{
    if (node.state)
        store_unlock(&node);
    pthread_mutex_unlock(&mutex);
}

static void pause_us(uint64_t microseconds)
{
    struct timespec rest = {(time_t)(microseconds / 1000000), (long)(microseconds % 1000000) * 1000};
    while (nanosleep(&rest, &rest) != 0)
        continue;
}

/* "nvmlDeviceGetMemoryInfo" names _v2 as well, and "...ProfileInfo" the V form: a fault is about what is asked. */
static int fault_names(const Fault *fault, const char *call)
{
    size_t length = strlen(fault->call);
    if (length == 0)
        return 1;
    if (strncmp(fault->call, call, length) != 0)
        return 0;
    const char *rest = call + length;
    return *rest == '\0' || (rest[0] == '_' && rest[1] == 'v') || strcmp(rest, "V") == 0;
}

/* nvidia-smi is only the hand of whoever asked for the reset: that one dies as well. */
static void die(CallId id)
{
    if (id == CALL_migprovSimResetGpu)
        kill(getppid(), SIGKILL);
    kill(getpid(), SIGKILL);
}

/* A copy of the injected fault for this call; all zero: none. */
static Fault take_fault(State *state, int writable, CallId id, int gpu)
{
    for (int i = 0; i < MAX_FAULTS; i++) {
        Fault *fault = &state->faults[i];
        if (!fault->used || fault->times == 0 || (fault->gpu >= 0 && fault->gpu != gpu))
            continue;
        if ((fault->call[0] == '\0' && gpu < 0) || !fault_names(fault, call_names[id]))
            continue;
        if (fault->skip > 0) {
            fault->skip -= writable ? 1 : 0;
            continue;
        }
        if (fault->times > 0 && writable)
            fault->times--;
        return *fault;
    }
    return (Fault){0};
}

/* Locks. Counts the call, then waits (unlocked) as long as latency and faults say. */
static nvmlReturn_t begin(CallId id, const void *handle)
{
    lock();
    if (!node.state) {
        unlock();
        return NVML_ERROR_UNINITIALIZED;
    }
    State *state = node.state;
    if (node.writable)
        state->counters[id]++;
    uint64_t wait_us = state->latency_us[id];
    int gpu = handle ? handle_gpu_index(state, handle) : -1;
    Fault fault = take_fault(state, node.writable, id, gpu), none = {0};
    late = fault.late ? fault : none;
    nvmlReturn_t error = fault.late ? NVML_SUCCESS : (nvmlReturn_t)fault.error;
    if (fault.kill && !fault.late)
        die(id);
    wait_us += fault.late ? 0 : fault.hang_us;
    if (wait_us) {
        unlock();
        pause_us(wait_us);
        lock();
        if (!node.state)
            error = NVML_ERROR_UNINITIALIZED;
    }
    if (error != NVML_SUCCESS)
        unlock();
    return error;
}

static void fill(Call *call, CallId id)
{
    memset(call, 0, sizeof *call);
    call->id = id;
    call->store = &node;
    call->state = node.state;
    call->target.index = -1;
}

nvmlReturn_t enter(Call *call, CallId id)
{
    nvmlReturn_t error = begin(id, NULL);
    if (error == NVML_SUCCESS)
        fill(call, id);
    return error;
}

static nvmlReturn_t health(const Gpu *gpu, Need need)
{
    if (need >= NEEDS_GPU && gpu->lost)
        return NVML_ERROR_GPU_IS_LOST;
    if (need >= NEEDS_WORKING && gpu->requires_reset)
        return NVML_ERROR_RESET_REQUIRED;
    return NVML_SUCCESS;
}

static nvmlReturn_t enter_handle(Call *call, CallId id, const void *handle, HandleType type, HandleType other,
                                 Need need)
{
    nvmlReturn_t error = begin(id, handle);
    if (error != NVML_SUCCESS)
        return error;
    fill(call, id);
    if (!handle_resolve(call->state, handle, type, &call->target) &&
        !handle_resolve(call->state, handle, other, &call->target))
        return leave(call, NVML_ERROR_INVALID_ARGUMENT);
    error = health(call->target.gpu, need);
    return error == NVML_SUCCESS ? NVML_SUCCESS : leave(call, error);
}

nvmlReturn_t enter_device(Call *call, CallId id, const void *device, Need need)
{
    return enter_handle(call, id, device, HANDLE_GPU, HANDLE_MIG, need);
}

nvmlReturn_t enter_gpu(Call *call, CallId id, const void *device, Need need)
{
    return enter_handle(call, id, device, HANDLE_GPU, HANDLE_GPU, need);
}

nvmlReturn_t enter_gi(Call *call, CallId id, const void *gi)
{
    return enter_handle(call, id, gi, HANDLE_GI, HANDLE_GI, NEEDS_WORKING);
}

nvmlReturn_t enter_ci(Call *call, CallId id, const void *ci)
{
    return enter_handle(call, id, ci, HANDLE_CI, HANDLE_CI, NEEDS_WORKING);
}

/* What is to befall the call now that its work is done. */
static nvmlReturn_t befall(CallId id, nvmlReturn_t result)
{
    if (late.kill)
        die(id);
    if (late.hang_us)
        pause_us(late.hang_us);
    return late.error ? (nvmlReturn_t)late.error : result;
}

nvmlReturn_t leave(Call *call, nvmlReturn_t result)
{
    unlock();
    return befall(call->id, result);
}

nvmlReturn_t leave_write(Call *call, nvmlReturn_t result, int gpu, const char *format, ...)
{
    char arguments[256];
    va_list list;
    va_start(list, format);
    vsnprintf(arguments, sizeof arguments, format, list);
    va_end(list);
    store_log_write(call->store, call_names[call->id], gpu, arguments, result);
    return leave(call, result);
}

static nvmlReturn_t open_node(const char *path)
{
    if (node.state && strcmp(node.path, path) == 0)
        return NVML_SUCCESS;
    Store fresh;
    if (store_open(&fresh, path) != 0)
        return NVML_ERROR_DRIVER_NOT_LOADED;
    store_close(&node);
    node = fresh;
    return NVML_SUCCESS;
}

static nvmlReturn_t condition(const State *state)
{
    if (state->driver_condition == DRIVER_NOT_LOADED)
        return NVML_ERROR_DRIVER_NOT_LOADED;
    return state->driver_condition == DRIVER_MISMATCH ? NVML_ERROR_LIB_RM_VERSION_MISMATCH : NVML_SUCCESS;
}

/* One use of the library less; the last one's end closes the node. */
static void release(int failed)
{
    pthread_mutex_lock(&mutex);
    init_failed = failed;
    if (references > 0 && --references == 0) {
        store_close(&node);
        event_sets_end();
    }
    pthread_mutex_unlock(&mutex);
}

nvmlReturn_t library_init(CallId id)
{
    char path[sizeof node.path];
    pthread_mutex_lock(&mutex);
    nvmlReturn_t error = store_find(path, sizeof path) ? open_node(path) : NVML_ERROR_DRIVER_NOT_LOADED;
    init_failed = error != NVML_SUCCESS;
    references += !init_failed; /* at once: another thread's shutdown must not close the node under this call */
    pthread_mutex_unlock(&mutex);
    if (error != NVML_SUCCESS)
        return error;
    error = begin(id, NULL);
    if (error == NVML_SUCCESS) {
        error = condition(node.state);
        unlock();
    }
    if (error == NVML_SUCCESS)
        return befall(id, error);
    release(1);
    return error;
}

nvmlReturn_t library_shutdown(void)
{
    pthread_mutex_lock(&mutex);
    int harmless = references == 0 && init_failed; /* the real library's answer after an init that failed */
    pthread_mutex_unlock(&mutex);
    if (harmless)
        return NVML_SUCCESS;
    nvmlReturn_t error = begin(CALL_nvmlShutdown, NULL);
    if (error != NVML_SUCCESS)
        return error;
    unlock();
    release(0);
    return befall(CALL_nvmlShutdown, NVML_SUCCESS);
}

/* For the Python side, which lays out a new node's state: the names in the order of the counters. */
EXPORT const char *migprovSimCallName(unsigned int index)
{
    return index < CALL_COUNT ? call_names[index] : NULL;
}

EXPORT unsigned long migprovSimStateSize(void)
{
    return sizeof(State);
}
