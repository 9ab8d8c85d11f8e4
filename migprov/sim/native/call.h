/* What every NVML call does first and last: initialised? count, delay, injected fault, lock, handle. */
#ifndef MIGPROV_SIM_CALL_H
#define MIGPROV_SIM_CALL_H

#include "abi.h"
#include "calls.h"
#include "handle.h"
#include "store.h"

typedef struct {
    CallId id;
    Store *store;
    State *state;
    Target target;
} Call;

/* What a call needs of a GPU that fell off the bus or waits for a reset. */
typedef enum {
    NEEDS_NOTHING, /* answered from what the driver remembers */
    NEEDS_GPU,     /* 15 from a lost GPU */
    NEEDS_WORKING  /* also 16 from a GPU that requires a reset */
} Need;

/* Each returns NVML_SUCCESS with the node locked, or the error with nothing locked. After success, leave(). */
nvmlReturn_t enter(Call *call, CallId id);
/* A GPU or a MIG device. */
nvmlReturn_t enter_device(Call *call, CallId id, const void *device, Need need);
/* A GPU; a MIG device is an Invalid Argument. */
nvmlReturn_t enter_gpu(Call *call, CallId id, const void *device, Need need);
nvmlReturn_t enter_gi(Call *call, CallId id, const void *gi);
nvmlReturn_t enter_ci(Call *call, CallId id, const void *ci);
nvmlReturn_t leave(Call *call, nvmlReturn_t result);
/* leave() of a call that changes the machine: logged with what it was asked and what became of it. */
nvmlReturn_t leave_write(Call *call, nvmlReturn_t result, int gpu, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The node of this process, for what begins and ends the use of the library. */
nvmlReturn_t library_init(CallId id);
nvmlReturn_t library_shutdown(void);
/* events.c: with the last use of the library all sets of events end. */
void event_sets_end(void);

#endif
