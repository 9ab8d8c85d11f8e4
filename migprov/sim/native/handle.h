/* Handles as values: type, node, GPU, instance ids and the serial number of the instance's record. A handle to an
 * instance that was destroyed, to another node or never given out resolves to nothing: Invalid Argument. */
#ifndef MIGPROV_SIM_HANDLE_H
#define MIGPROV_SIM_HANDLE_H

#include "abi.h"
#include "state.h"

typedef enum { HANDLE_GPU = 1, HANDLE_MIG = 2, HANDLE_GI = 3, HANDLE_CI = 4 } HandleType;

typedef struct {
    Gpu *gpu;
    int index;           /* of the GPU */
    GpuInstance *gi;     /* NULL for a GPU */
    ComputeInstance *ci; /* NULL for a GPU or a GPU instance */
} Target;

void *handle_gpu(const State *state, int gpu);
void *handle_gi(const State *state, int gpu, const GpuInstance *gi);
void *handle_ci(const State *state, int gpu, const GpuInstance *gi, const ComputeInstance *ci);
void *handle_mig(const State *state, int gpu, const GpuInstance *gi, const ComputeInstance *ci);
/* 0 when the handle is none of that type, of this node, alive. */
int handle_resolve(State *state, const void *handle, HandleType type, Target *target);
/* The GPU's index a handle speaks of, -1 when it is no handle. */
int handle_gpu_index(const State *state, const void *handle);

#endif
